"""Langflow's authentication service, with one more thing that a new user finds: the flow."""

from langflow.services.auth.service import AuthService
from langflow.services.database.models.user.model import User
from sqlmodel.ext.asyncio.session import AsyncSession

from frontend import flows


class FrontendAuthService(AuthService):
    """Registered as `auth_service` by the `lfx.toml` that `main` writes."""

    @staticmethod
    async def _initialize_jit_user_defaults(user: User, db: AsyncSession) -> None:
        """A folder of their own, and in it the flow."""
        await AuthService._initialize_jit_user_defaults(user, db)  # noqa: SLF001 - this is its subclass
        await flows.ensure(db, user.id)

"""What holds for every server behind the gateway."""

from typing import Final, Protocol

KEEP_ALIVE_SECONDS: Final = 4
"""Well below the 30 s after which the services close an idle connection, so that no request meets that moment."""


class ServiceTokens(Protocol):
    """The part of `ServiceTokenSource` that is needed here."""

    async def token(self, audience: str) -> str:
        """A token that only `audience` accepts."""
        ...

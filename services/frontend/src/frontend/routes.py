"""Our own pages and routes in Langflow: registered by an entry point of this package (`langflow.plugins`)."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from langflow.api.utils import CurrentActiveUser, DbSession
from langflow.services.deps import get_db_service
from lfx.interface.components import component_cache
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from frontend import attachments, context, failures, flows, identity, pages

CATEGORY: Final = "file_processing"
READY_SECONDS: Final = 4
"""Whoever asks waits for 5."""
LOAD_BALANCER_SESSION: Final = tuple(f"AWSELBAuthSessionCookie-{number}" for number in range(4))
"""A session is 16 KiB at most, and a cookie 4."""

router = APIRouter(include_in_schema=False)


@router.get("/readyz")
async def ready() -> JSONResponse:
    """Whether it can do its work: the database answers, and our components are loaded."""
    checks = {"components": "ok" if CATEGORY in (component_cache.all_types_dict or {}) else "not loaded yet"}
    try:
        async with asyncio.timeout(READY_SECONDS), get_db_service().engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        checks["database"] = "ok"
    except (SQLAlchemyError, OSError) as error:
        checks["database"] = type(error).__name__
    return JSONResponse(checks, 200 if set(checks.values()) == {"ok"} else 503)


@router.get("/")
async def start(request: Request, user: CurrentActiveUser) -> Response:
    """The first page, which says what to do, and does it."""
    name = await identity.displayed_name(request.headers, context.settings())
    return pages.start(name or user.username, can_sign_out=context.settings().logout_url is not None)


@router.get("/fileproc/playground")
async def playground(user: CurrentActiveUser, session: DbSession) -> Response:
    """The user's own copy of the flow, in Langflow."""
    return RedirectResponse(f"/flow/{await flows.ensure(session, user.id)}#playground")


@router.get("/fileproc/sign-out")
async def sign_out() -> Response:
    """End the load balancer's session, which only its application can, then Cognito's: either alone lets one in again.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
    """
    url = context.settings().logout_url
    if url is None:
        raise HTTPException(404, "There is no such page.")
    response = RedirectResponse(url, 302, headers={"cache-control": "no-store"})
    for cookie in LOAD_BALANCER_SESSION:
        response.delete_cookie(cookie, httponly=True)
    return response


@router.get("/fileproc/session")
async def session_state() -> dict[str, float]:
    """Whether the login still counts, for pages that wonder why nothing answers."""
    return {"expires": identity.current().expires}


@router.get("/fileproc/assets/{name}")
async def asset(name: str) -> Response:
    """A style sheet, a script or the logo."""
    return pages.asset(name)


@router.get("/fileproc/none/{_path:path}")
async def nothing(_path: str) -> dict[str, Any]:
    """In the place of addresses outside that Langflow's page would ask: they are told nothing, and say nothing."""
    return {}


def register(app: Any) -> None:
    """Add the routes to Langflow's application, and let it tell failures as our pages do."""
    failures.tell_sentences_only()
    app.include_router(router)
    app.include_router(attachments.router)

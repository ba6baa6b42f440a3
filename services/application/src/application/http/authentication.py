"""Only the gateway may call, and it says on whose behalf."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import Depends
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from common.caller import Caller
from common.problem import Problem, problem_response
from common.service_tokens import InvalidServiceToken, ServiceTokenVerifier, authenticate_service_request

log = structlog.get_logger()

_OPEN = {"/healthz", "/readyz"}


class ServiceAuthentication:
    """Refuses every request but health checks that does not come from an allowed service, before its body is read."""

    def __init__(self, app: ASGIApp) -> None:
        """The application's state holds the verifier."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            verifier: ServiceTokenVerifier = scope["app"].state.verifier
            try:
                caller = await authenticate_service_request(Headers(scope=scope), verifier)
            except InvalidServiceToken as error:
                log.warning("request.unauthenticated", path=scope["path"], error=str(error))
                await problem_response(_refused())(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)


def _refused() -> Problem:
    detail = "This service is called by the gateway only, with its own service token."
    return Problem(401, "unauthenticated", "Caller not authenticated", detail, {"www-authenticate": "Bearer"})


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]

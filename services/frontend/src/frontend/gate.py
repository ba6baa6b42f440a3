"""In front of Langflow: nobody passes without a token that counts, and what a request starts is done as its user."""

import logging
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from frontend import identity
from frontend.settings import Settings

ALIVE, READY = "/healthz", "/readyz"
UPLOAD: Final = "/api/v1/files/upload/"
ATTACHMENTS: Final = "/fileproc/attachments/"
REFRESH: Final = "/api/v1/refresh"
SESSION: Final = "/fileproc/session"
CLOSED: Final = ("/api/v1/login", "/api/v1/api_key", "/docs", "/redoc", "/openapi.json")
"""Langflow's own ways in: its password login, its keys. Who comes in is for the load balancer's login to say."""

log = logging.getLogger(__name__)


class Gate:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, settings: Settings, verifier: identity.Verifier) -> None:
        """`app` is Langflow, with our routes."""
        self._app = app
        self._verifier = verifier
        self._origin = settings.public_app_url
        self._policy = content_security_policy(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] == READY):
            await self._app(scope, receive, send)
            return
        # Langflow's own asks the database, whose absence is not mended by starting every replica again.
        if scope["type"] == "http" and scope["path"] == ALIVE:
            await JSONResponse({"status": "ok"})(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            person = await self._verifier.verify(headers.get(identity.TOKEN_HEADER, ""))
        except identity.NotLoggedIn as error:
            log.info("login.refused: %s", error)
            await refuse(
                scope, receive, send, 401, "You are not signed in, or your session has expired. Sign in again."
            )
            return
        if scope["type"] == "http" and scope["path"].startswith(CLOSED):
            await refuse(scope, receive, send, 404, "There is no such page.")
            return
        if not self._is_same_origin(scope, headers):
            await refuse(scope, receive, send, 403, "This was sent from another site, which may change nothing here.")
            return
        identity.begin(person)
        # What is attached in the Playground goes through as a stream, and never into Langflow's memory.
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(UPLOAD):
            scope = {**scope, "path": ATTACHMENTS + scope["path"].removeprefix(UPLOAD)}
        # Langflow's page asks for a new token when one was refused: the login that it has is the load balancer's.
        if scope["type"] == "http" and scope["path"] == REFRESH:
            scope = {**scope, "path": SESSION, "method": "GET"}
        await self._app(scope, receive, self._with_policy(send))

    def _is_same_origin(self, scope: Scope, headers: Headers) -> bool:
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            return True
        origin = headers.get("origin")
        if origin is not None:
            return origin == self._origin
        return headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}

    def _with_policy(self, send: Send) -> Send:
        async def sending(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))  # type: ignore[call-overload]
                names = {name.lower() for name, _ in headers}
                own = [(name, value) for name, value in self._policy if name not in names]
                message = {**message, "headers": [*headers, *own]}
            await send(message)

        return sending  # type: ignore[return-value]


def content_security_policy(settings: Settings) -> list[tuple[bytes, bytes]]:
    """What a browser may load for the page: from here, and nothing from outside but what goes to our bucket."""
    storage = " ".join(settings.storage_origins)
    policy = (
        # Langflow's editor needs inline styles, blobs for its workers and compiled expressions.
        "default-src 'self'; script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        f"connect-src 'self' {storage}; frame-ancestors 'none'; base-uri 'self'; form-action 'self'; object-src 'none'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
    ]


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    """Say no: as problem+json, and to a WebSocket by closing it."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": sentence})
        return
    problem = {"type": "about:blank", "title": "Refused", "status": status, "detail": sentence}
    response: Response = JSONResponse(problem, status, media_type="application/problem+json")
    await response(scope, receive, send)

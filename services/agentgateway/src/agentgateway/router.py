"""Which face answers which path."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Faces:
    """The ASGI applications that share the gateway's port."""

    mcp: ASGIApp
    programs: ASGIApp
    browsers: ASGIApp
    own: ASGIApp


class Router:
    """Sends each request to its face by nothing but comparisons of strings: this is in the way of every MCP call."""

    def __init__(self, open_faces: Callable[[], AbstractAsyncContextManager[Faces]]) -> None:
        """`open_faces` is entered when the server starts, and left when it ends."""
        self._open_faces = open_faces
        self._start_and_end = Starlette(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the server's start and end."""
        if scope["type"] != "http":
            await self._start_and_end(scope, receive, send)
            return
        faces, path = self._faces, scope["path"]
        if path.startswith("/mcp/") or path == "/mcp":
            await faces.mcp(scope, receive, send)
        elif path.startswith("/api/"):
            await faces.programs(scope, receive, send)
        elif path.startswith("/gateway/api/"):
            await faces.browsers(scope, receive, send)
        else:
            await faces.own(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._open_faces() as self._faces:
            yield

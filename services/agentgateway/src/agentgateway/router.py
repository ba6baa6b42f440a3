"""Which endpoint answers which path."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The ASGI applications that share the gateway's port."""

    mcp: ASGIApp
    programs: ASGIApp
    browsers: ASGIApp
    own: ASGIApp


class Router:
    """Sends each request to its endpoint by nothing but comparisons of strings: this is part of every MCP call."""

    def __init__(self, open_endpoints: Callable[[], AbstractAsyncContextManager[Endpoints]]) -> None:
        """`open_endpoints` is entered when the server starts, and left when it ends."""
        self._open_endpoints = open_endpoints
        self._start_and_end = Starlette(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the server's start and end."""
        if scope["type"] != "http":
            await self._start_and_end(scope, receive, send)
            return
        endpoints, path = self._endpoints, scope["path"]
        if path.startswith("/mcp/") or path == "/mcp":
            await endpoints.mcp(scope, receive, send)
        elif path.startswith("/api/"):
            await endpoints.programs(scope, receive, send)
        elif path.startswith("/gateway/api/"):
            await endpoints.browsers(scope, receive, send)
        else:
            await endpoints.own(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._open_endpoints() as self._endpoints:
            yield

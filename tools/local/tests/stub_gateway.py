"""What stands behind the edge in its tests: says what it got, streams, and breaks off."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from aiohttp import web

PIECE = bytes(1 << 20)


class StubGateway:
    """`go_on` lets a stream go on."""

    def __init__(self) -> None:
        self.url = ""
        self.go_on = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{prefix:(gateway/)?}events", self.events)
        app.router.add_route("*", "/{prefix:(gateway/)?}digest", self.digest)
        app.router.add_route("*", "/download", self.download)
        app.router.add_route("*", "/broken", self.broken)
        app.router.add_route("*", "/refuse", self.refuse)
        app.router.add_route("*", "/{path:.*}", self.echo)
        return app

    async def echo(self, request: web.Request) -> web.Response:
        said = {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name.lower(), value] for name, value in request.headers.items()],
            "body": (await request.read()).decode(),
        }
        headers = [("x-answer", "1"), ("x-answer", "2"), ("connection", "x-private"), ("x-private", "hop")]
        response = web.json_response(said, status=207)
        for name, value in headers:
            response.headers.add(name, value)
        return response

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        await asyncio.wait_for(self.go_on.wait(), 20)
        self.go_on.clear()
        await response.write(b"data: second\n\n")
        return response

    async def digest(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        size = 0
        async for piece in request.content.iter_any():
            digest.update(piece)
            size += len(piece)
        framing = "chunked" if request.headers.get("transfer-encoding") else request.headers.get("content-length")
        return web.json_response({"size": size, "sha256": digest.hexdigest(), "framing": framing})

    async def download(self, request: web.Request) -> web.StreamResponse:
        count = int(request.query["mib"])
        response = web.StreamResponse(headers={"content-length": str(count << 20), "content-encoding": "identity"})
        await response.prepare(request)
        for _ in range(count):
            await response.write(PIECE)
        return response

    async def broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def refuse(self, _: web.Request) -> web.Response:
        return web.Response(status=413, text="too large")


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE

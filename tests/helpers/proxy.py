"""A reverse proxy on loopback that passes requests on, or does to them what goes wrong in real networks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}

SMALL = 1 << 20

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""What happens to a request before it is passed on; a response ends it here."""


@dataclass
class Proxy:
    """`fault` is asked for each request; None passes all of them on. `seen` holds what came."""

    upstream: str
    url: str = ""
    fault: Fault | None = None
    seen: list[str] = field(default_factory=list)
    lookups: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    """Replace those of every request."""
    rewrite: Callable[[web.Request, bytes], bytes] | None = None
    """Makes another body of that of an answer."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass one request on."""
        self.lookups += is_lookup(request)
        self.seen.append(f"{aws_service(request)} {request.method} {request.path}")
        if self.fault is not None and (answer := await self.fault(request)) is not None:
            return answer
        try:
            return await self.forward(request)
        except ConnectionError:
            # Whoever asked is gone: a process that was killed has no more use for the answer.
            return web.Response(status=502)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Ask upstream, and pass its answer back."""
        # The signature of a request to AWS covers the Host header, so it goes on as it came.
        replaced = {name.lower() for name in self.headers} | HOP_BY_HOP
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in replaced]
        headers += [("Host", request.headers["Host"]), *self.headers.items()]
        # Small ones are kept, so that a fault may have read them already; large ones pass through as they come.
        is_small = (request.content_length or 0) <= SMALL
        body: Any = await request.read() if is_small else request.content.iter_chunked(1 << 16)
        if (length := request.headers.get("Content-Length")) is not None:
            headers.append(("Content-Length", length))
        session: aiohttp.ClientSession = request.app[SESSION]
        async with session.request(
            request.method, self.upstream + request.raw_path, headers=headers, data=body, allow_redirects=False
        ) as upstream:
            kept = [(name, value) for name, value in upstream.headers.items() if name.lower() not in HOP_BY_HOP]
            if self.rewrite is not None:
                body = self.rewrite(request, await upstream.read())
                return web.Response(status=upstream.status, headers=CIMultiDict(kept), body=body)
            response = web.StreamResponse(status=upstream.status)
            for name, value in kept:
                response.headers.add(name, value)
            if (length := upstream.headers.get("Content-Length")) is not None:
                response.headers["Content-Length"] = length
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session")


def is_lookup(request: web.Request) -> bool:
    """Whether a request is one for rows, to a department."""
    return "_lookup_" in request.headers.get("Mcp-Name", "")


def aws_service(request: web.Request) -> str:
    """Which service of AWS a request is for, by what its protocol shows."""
    target = request.headers.get("X-Amz-Target", "")
    credential = request.headers.get("Authorization", "") + request.query_string
    for service, name in (("DynamoDB", "dynamodb"), ("AmazonSQS", "sqs"), ("TrentService", "kms")):
        if target.startswith(service):
            return name
    return "s3" if "/s3/aws4_request" in credential.replace("%2F", "/") else "other"


def aws_operation(request: web.Request) -> str:
    """What is asked of which service, without the names of things: `s3 PUT results ?partNumber&uploadId`."""
    if target := request.headers.get("X-Amz-Target", "").rpartition(".")[2]:
        return f"{aws_service(request)} {target}"
    folder = request.path.strip("/").split("/")[1:2]
    query = "&".join(sorted(name for name in request.query if name in ("uploads", "uploadId", "partNumber", "prefix")))
    return " ".join([aws_service(request), request.method, *folder, f"?{query}" if query else ""]).strip()


@asynccontextmanager
async def running_proxy(upstream: str, port: int = 0) -> AsyncIterator[Proxy]:
    """A proxy in front of `upstream` for as long as the context lasts."""
    proxy = Proxy(upstream.rstrip("/"))
    app = web.Application(client_max_size=1 << 40)
    async with aiohttp.ClientSession(
        auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None), skip_auto_headers={"Accept", "User-Agent"}
    ) as session:
        app[SESSION] = session
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        proxy.url = site.name.rstrip("/")
        bound: tuple[str, int] = runner.addresses[0]
        proxy.url = f"http://127.0.0.1:{bound[1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()


def failing(service: str, status: int, code: str) -> Fault:
    """Every request to `service` gets an error as AWS gives it."""

    async def fault(request: web.Request) -> web.Response | None:
        if aws_service(request) != service:
            return None
        await request.read()
        if service == "s3":
            text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
            return web.Response(status=status, text=text, content_type="application/xml")
        document = {"__type": f"com.amazonaws#{code}", "message": "injected"}
        return web.json_response(document, status=status, content_type="application/x-amz-json-1.0")

    return fault


def slow(service: str, seconds: float) -> Fault:
    """Every request to `service` waits first."""

    async def fault(request: web.Request) -> None:
        if aws_service(request) == service:
            await asyncio.sleep(seconds)

    return fault


def cut(service: str) -> Fault:
    """Every connection to `service` is closed in the face of its caller."""

    async def fault(request: web.Request) -> web.Response | None:
        if aws_service(request) != service:
            return None
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=500)

    return fault

"""A reverse proxy before the stand-in for AWS that fails, delays, throttles or loses answers, as it is told."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9]+)/")
HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "content-encoding"}


@dataclass
class Fault:
    """What happens to requests that `matches`: after `delay`, the answer of that `status`, or a `lost` answer."""

    matches: Callable[[str, web.Request], bool]
    status: int | None = None
    code: str = "InternalError"
    delay: float = 0.0
    lost: bool = False
    cut_after: int | None = None
    times: int | None = None
    hits: int = field(default=0, init=False)

    def takes(self, service: str, request: web.Request) -> bool:
        if (self.times is not None and self.hits >= self.times) or not self.matches(service, request):
            return False
        self.hits += 1
        return True


class FaultProxy:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.url = ""
        self.seen: list[tuple[str, str, str]] = []
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(force_close=True))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    def add(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    def clear(self) -> None:
        self.faults.clear()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        match = SERVICE.search(request.headers.get("authorization", ""))
        service = match[1] if match else "s3"
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2] or request.method
        self.seen.append((service, operation, request.path_qs))
        fault = next((fault for fault in list(self.faults) if fault.takes(service, request)), None)
        body = await request.read()
        if fault is not None:
            await asyncio.sleep(fault.delay)
            if fault.status is not None:
                return refusal(service, fault)
        return await self._forward(request, body, fault)

    async def _forward(self, request: web.Request, body: bytes, fault: Fault | None) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        url = f"{self.upstream}{request.raw_path}"
        from yarl import URL  # the path must go on exactly as it was signed

        async with self._session.request(
            request.method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False
        ) as answer:
            content = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            if fault is not None and fault.lost:
                assert request.transport is not None
                request.transport.abort()
            if fault is not None and fault.cut_after is not None:
                return await self._cut(request, answer.status, kept, content, fault.cut_after)
            if request.method == "HEAD":
                kept["content-length"] = answer.headers.get("content-length", "0")
                return web.Response(status=answer.status, headers=kept)
            return web.Response(status=answer.status, body=content, headers=kept)

    @staticmethod
    async def _cut(
        request: web.Request, status: int, headers: dict[str, str], content: bytes, after: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={**headers, "content-length": str(len(content))})
        await response.prepare(request)
        await response.write(content[:after])
        assert request.transport is not None
        await asyncio.sleep(0.05)
        request.transport.abort()
        return response


def refusal(service: str, fault: Fault) -> web.Response:
    assert fault.status is not None
    if service == "s3":
        text = f"<Error><Code>{fault.code}</Code><Message>injected</Message></Error>"
        return web.Response(status=fault.status, text=text, content_type="application/xml")
    body = {"__type": f"com.amazonaws.{service}#{fault.code}", "message": "injected"}
    return web.json_response(body, status=fault.status, headers={"x-amzn-query-error": f"{fault.code};Sender"})


def service(name: str, *operations: str) -> Callable[[str, web.Request], bool]:
    """Requests to one AWS service; of DynamoDB and SQS those operations, of S3 those methods."""

    def matches(found: str, request: web.Request) -> bool:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2] or request.method
        return found == name and (not operations or operation in operations)

    return matches

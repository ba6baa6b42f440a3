"""A reverse proxy before the stand-in for AWS that fails, delays, throttles or loses answers, as it is told."""

import asyncio
import io
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9]+)/")
HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "content-encoding"}


@dataclass(frozen=True)
class Call:
    """One request to AWS; `operation` as AWS names it."""

    service: str
    operation: str
    key: str
    body: bytes


@dataclass
class Fault:
    """What happens to the calls that `matches`, for the first `times` of them after `skip` (always without `times`)."""

    matches: Callable[[Call], bool]
    skip: int = 0
    times: int | None = None
    status: int | None = None
    code: str = "InternalError"
    delay: float = 0.0
    dropped: bool = False
    cut_after: int | None = None
    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    hits: int = field(default=0, init=False)

    def takes(self, call: Call) -> bool:
        if not self.matches(call):
            return False
        self.hits += 1
        return self.skip < self.hits and (self.times is None or self.hits <= self.skip + self.times)


class FaultProxy:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.url = ""
        self._dynamodb = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(force_close=True))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
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
        call = call_of(request, await request.read())
        fault = next((fault for fault in list(self.faults) if fault.takes(call)), None)
        if fault is None:
            return await self._forward(request, call)
        if fault.before is not None:
            fault.before()
        await asyncio.sleep(fault.delay)
        if fault.dropped:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.status is not None:
            return refusal(call.service, fault.status, fault.code)
        response = await self._forward(request, call)
        if fault.after is not None:
            fault.after()
        if fault.cut_after is not None:
            return await self._cut(request, response, fault.cut_after)
        return response

    async def _forward(self, request: web.Request, call: Call) -> web.Response:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        # The path must go on exactly as it was signed.
        url = URL(f"{self.upstream}{request.raw_path}", encoded=True)
        # One at a time of DynamoDB's, so that a transaction is isolated, as on AWS and not in moto.
        turn = self._dynamodb if call.service == "dynamodb" else nullcontext()
        async with (
            turn,
            self._session.request(
                request.method, url, data=io.BytesIO(call.body), headers=headers, allow_redirects=False
            ) as answer,
        ):
            content = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            if request.method == "HEAD":
                kept["content-length"] = answer.headers.get("content-length", "0")
                return web.Response(status=answer.status, headers=kept)
            return web.Response(status=answer.status, body=content, headers=kept)

    @staticmethod
    async def _cut(request: web.Request, whole: web.Response, after: int) -> web.StreamResponse:
        """As much of the answer as said, then a broken connection."""
        content = whole.body
        assert isinstance(content, bytes)
        headers = {name: value for name, value in whole.headers.items() if name.lower() not in HOP}
        response = web.StreamResponse(status=whole.status, headers={**headers, "content-length": str(len(content))})
        await response.prepare(request)
        await response.write(content[:after])
        await asyncio.sleep(0.05)
        if request.transport is not None:
            request.transport.abort()
        return response


def call_of(request: web.Request, body: bytes) -> Call:
    match = SERVICE.search(request.headers.get("authorization", ""))
    service = match[1] if match else "s3"
    target = request.headers.get("x-amz-target", "").rpartition(".")[2]
    key = request.path.lstrip("/").partition("/")[2]
    return Call(service, target or s3_operation(request.method, key, set(request.query)), key, body)


def s3_operation(method: str, key: str, query: set[str]) -> str:
    if not key:
        return "ListMultipartUploads" if "uploads" in query else "ListObjects" if method == "GET" else "HeadBucket"
    if "uploads" in query:
        return "CreateMultipartUpload"
    if "uploadId" in query:
        return {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}[method]
    return f"{method.title()}Object"


def refusal(service: str, status: int, code: str) -> web.Response:
    if service == "s3":
        text = f"<Error><Code>{code}</Code><Message>injected</Message></Error>"
        return web.Response(status=status, text=text, content_type="application/xml")
    body = {"__type": f"com.amazonaws.{service}#{code}", "message": "injected"}
    return web.json_response(body, status=status)


def calls(service: str, *operations: str, holding: bytes = b"", key: str = "") -> Callable[[Call], bool]:
    """Calls of a service: of those operations, with that in the body, with that in the key of the object."""

    def matches(call: Call) -> bool:
        return (
            call.service == service
            and (not operations or call.operation in operations)
            and holding in call.body
            and key in call.key
        )

    return matches

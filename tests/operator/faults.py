"""What can go wrong with each call that the operator makes, by proxies before the API server and before EKS.

The classes of faults are those that tests of other operators use: crashes around a call, answers that fail or get lost,
reads that are old, events that are not seen, rights that are missing, an owner that goes.
"""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import yaml
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict
from tests.helpers.proxy import HOP_BY_HOP, SESSION

from local.kubernetes.control_plane import NAMESPACE

OWN: Final = {*HOP_BY_HOP, "content-encoding"}
"""Headers that are not passed on: bodies are read and unpacked here."""
PREFIX: Final = "mcp-"
EXPIRED: Final = (
    b'{"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", '
    b'"code": 410, "reason": "Expired", "message": "too old resource version"}}\n'
)
FORBIDDEN_TIMES: Final = 3

ANSWERED: Final = {"conflict": 409, "too many requests": 429, "server error": 500}
"""Faults that are an answer in place of the call."""
CRASHES: Final = ("crash before", "crash after")
FAULTS: Final = (
    *ANSWERED, "no answer", "answer lost", "late answer", "old read", "event lost", "right taken away", "owner removed",
    *CRASHES,
)  # fmt: skip


@dataclass
class Plan:
    """What happens to one department: at a call, as `Faulty.key` names it, a fault."""

    faults: dict[str, str]
    calls: Counter[str] = field(default_factory=Counter)
    forbidden: Counter[str] = field(default_factory=Counter)
    fired: dict[str, float] = field(default_factory=dict)
    last_call: float = 0.0
    lose_event: bool = False


@dataclass
class Faulty:
    """Passes calls on, and does to them what the plans of their departments say.

    Attributes:
        crash: Kills the operator, and starts it again.
        remove: Deletes a Department as it is, and makes it again.
        seen: How often each call was made, over all departments.
    """

    api: str
    eks: str
    crash: Callable[[], Awaitable[None]]
    remove: Callable[[str], Awaitable[None]]
    plans: dict[str, Plan] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    urls: tuple[str, str] = ("", "")
    _accounts: dict[str, str] = field(default_factory=dict)
    _first: dict[str, bytes] = field(default_factory=dict)

    async def handle_api(self, request: web.Request) -> web.StreamResponse:
        """One call of the API server."""
        body = await request.read()
        if request.query.get("watch"):
            return await self._watch(request)
        parts = request.path.split(f"/namespaces/{NAMESPACE}/")[-1].split("/")
        kind, name, below = [*parts, "", "", ""][:3]
        named = json.loads(body)["involvedObject"]["name"] if kind == "events" else name
        key = f"{request.method} {kind}{f'/{below}' if below else ''}"
        return await self._faulted(request, body, self.api, named, key)

    async def handle_eks(self, request: web.Request) -> web.StreamResponse:
        """One call of EKS."""
        body = await request.read()
        association = request.path.rpartition("/")[2]
        account = (
            json.loads(body)["serviceAccount"] if request.method == "POST" else self._accounts.get(association, "")
        )
        answer = await self._faulted(
            request, body, self.eks, account.removeprefix(PREFIX), f"{request.method} association"
        )
        if request.method == "POST" and isinstance(answer, web.Response) and answer.status == 200:
            made = json.loads(answer.body or b"{}")["association"]  # type: ignore[arg-type]  # bytes, as it was made here
            self._accounts[made["associationId"]] = made["serviceAccount"]
        return answer

    async def _faulted(
        self, request: web.Request, body: bytes, upstream: str, named: str, what: str
    ) -> web.StreamResponse:
        department = named.removeprefix(PREFIX)
        plan = self.plans.get(department)
        if plan is None:
            return await self._forward(request, body, upstream)
        plan.last_call = time.monotonic()
        key = f"{what} #{plan.calls[what]}"
        plan.calls[what] += 1
        self.seen[key] += 1
        fault = plan.faults.pop(key, None)
        if fault is not None:
            plan.fired[f"{fault} at {key}"] = time.monotonic()
        if fault == "right taken away":
            plan.forbidden[what] = FORBIDDEN_TIMES
        if plan.forbidden[what] > 0:
            plan.forbidden[what] -= 1
            return _status(403, "Forbidden")
        match fault:
            case "conflict" | "too many requests" | "server error":
                return _status(ANSWERED[fault], fault)
            case "no answer":
                return _cut(request)
            case "crash before":
                await self.crash()
                return _cut(request)
            case "old read" if request.method == "GET" and request.path in self._first:
                return web.Response(body=self._first[request.path], content_type="application/json")
            case "event lost":
                plan.lose_event = True
            case "owner removed":
                await self.remove(department)
        answer = await self._forward(request, body, upstream)
        match fault:
            case "answer lost":
                return _cut(request)
            case "late answer":
                await asyncio.sleep(1)
            case "crash after":
                await self.crash()
                return _cut(request)
        return answer

    async def _forward(self, request: web.Request, body: bytes, upstream: str) -> web.Response:
        async with request.app[SESSION].request(
            request.method, upstream + request.raw_path, headers=_headers(request), data=body or None
        ) as answer:
            read = await answer.read()
            if request.method == "GET" and answer.status == 200:
                self._first.setdefault(request.path, read)
            headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in OWN]
            return web.Response(status=answer.status, body=read, headers=CIMultiDict(headers))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """Events line by line; one that is lost ends the stream as expired: only then may the API server lose one."""
        async with request.app[SESSION].get(self.api + request.raw_path, headers=_headers(request)) as upstream:
            response = web.StreamResponse(status=upstream.status, headers={"Content-Type": "application/json"})
            with suppress(ConnectionError):  # an operator that was killed hears no more
                await response.prepare(request)
                async for line in upstream.content:
                    lost = self._loses(line)
                    await response.write(EXPIRED if lost else line)
                    if lost:
                        break
                await response.write_eof()
            return response

    def _loses(self, line: bytes) -> bool:
        name = json.loads(line)["object"]["metadata"].get("name", "")
        plan = self.plans.get(name.removeprefix(PREFIX))
        if plan is None or not plan.lose_event:
            return False
        plan.lose_event = False
        return True


def _whoever_is_gone(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Handler:
    async def handled(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except ConnectionError:  # an operator that was killed in the middle of a call
            return web.Response(status=500)

    return handled


def _headers(request: web.Request) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.headers.items() if name.lower() not in OWN]


def _status(code: int, reason: str) -> web.Response:
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "message": f"injected: {reason}",
    }
    headers = {"Retry-After": "1"} if code == 429 else {}
    return web.json_response(document, status=code, headers=headers)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


@asynccontextmanager
async def faulty(kubeconfig: Path, folder: Path, proxy: Faulty) -> AsyncIterator[Path]:
    """The proxies run for as long as the context lasts; a kubeconfig that leads through them."""
    document = yaml.safe_load(await asyncio.to_thread(kubeconfig.read_text))
    cluster = document["clusters"][0]["cluster"]
    proxy.api = cluster["server"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    runners = []
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=context),
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=1 << 20,
    ) as session:
        addresses = []
        for handle in (proxy.handle_api, proxy.handle_eks):
            app = web.Application(client_max_size=1 << 24)
            app[SESSION] = session
            app.router.add_route("*", "/{path:.*}", _whoever_is_gone(handle))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            addresses.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
            runners.append(runner)
        proxy.urls = (addresses[0], addresses[1])
        document["clusters"][0]["cluster"] = {"server": addresses[0]}
        through = folder / "faulty.kubeconfig"
        await asyncio.to_thread(through.write_text, yaml.safe_dump(document))
        try:
            yield through
        finally:
            await asyncio.gather(*(runner.cleanup() for runner in runners))

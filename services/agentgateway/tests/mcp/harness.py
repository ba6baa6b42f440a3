"""Real servers on loopback: departments by the official SDK or with faults, and the gateway's MCP endpoint in front."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
import orjson
import uvicorn
import yaml
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp, Receive, Scope, Send

from agentgateway.http.errors import Unauthenticated
from agentgateway.mcp.endpoint import McpEndpoint
from agentgateway.mcp.settings import McpSettings
from agentgateway.rest.application import Application
from common.caller import Caller
from common.departments import DepartmentDirectory
from common.service_tokens import ServiceTokenUnavailable

API_URL = "https://api.example.test"
APP_URL = "https://app.example.test"
WAIT_SECONDS = 10
VERSION = "2026-07-28"

PEOPLE = {
    "alice": Caller("sub-alice", "alice", frozenset({"finance"}), "cognito"),
    "frank": Caller("sub-frank", "frank", frozenset({"finance", "finance-leads"}), "cognito"),
    "bob": Caller("sub-bob", "bob", frozenset({"hr"}), "cognito"),
    "dana": Caller("sub-dana", "dana", frozenset({"finance", "hr", "legal"}), "cognito"),
    "eve": Caller("sub-eve", "eve", frozenset(), "cognito"),
}


class Door:
    """Knows its people by name: the token of alice is `alice`."""

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            raise Unauthenticated("Send an access token.", None)
        if token not in PEOPLE:
            raise Unauthenticated("The access token is not valid.", "invalid_token")
        return PEOPLE[token]


class Tokens:
    """Service tokens that name their audience."""

    broken = False

    async def token(self, audience: str) -> str:
        if self.broken:
            raise ServiceTokenUnavailable("the API server is away")
        return f"service-token-for-{audience}"


class Limit:
    """Lets everything through until told to make callers wait."""

    wait: float | None = None
    busy = False
    largest = 1 << 30

    def check(self, _: Caller) -> float | None:
        return self.wait

    def check_size(self, _: Caller, size: int) -> float | None:
        return 1.0 if size > self.largest else None

    def under_way(self, _: Caller) -> AbstractContextManager[bool]:
        return nullcontext(not self.busy)


class Served:
    """An ASGI application on a port of its own, in a thread of its own.

    The port is taken at once, and refuses connections until the context is entered. Another one may take it too, and
    serve when this one is gone.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(app, log_level="error", lifespan="on", ws="none", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> "Served":
        self._thread.start()
        wait_until(lambda: self.server.started or not self._thread.is_alive())
        assert self.server.started
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(WAIT_SECONDS)
        self._socket.close()
        assert not self._thread.is_alive()


def web(**headers: str) -> httpx2.AsyncClient:
    """A client for plain HTTP; certificates, which take long to read, are not needed."""
    return httpx2.AsyncClient(headers=headers, timeout=WAIT_SECONDS, verify=False)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, for at most `WAIT_SECONDS`."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `condition` holds, for at most `WAIT_SECONDS`."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not await condition():
            await asyncio.sleep(0.02)


def with_lifespan(app: ASGIApp, *contexts: Callable[[], AbstractAsyncContextManager[Any]]) -> ASGIApp:
    """`app` with the contexts open for as long as it is served."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            for context in contexts:
                await stack.enter_async_context(context())
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return wrapped


class Gateway:
    """The endpoint on a port, its departments in a directory that tests may change, and what it recorded."""

    def __init__(self, folder: Path, application_url: str = "http://127.0.0.1:9", **settings: Any) -> None:
        self.folder = folder
        self.limit = Limit()
        self.origins = {APP_URL}
        self.tokens = Tokens()
        self.audit: list[tuple[str, str | None, str, str]] = []
        directory = DepartmentDirectory(folder)
        application = Application(application_url, self.tokens, timeout_seconds=WAIT_SECONDS)
        self.endpoint = McpEndpoint(
            McpSettings(**settings),
            departments=directory,
            tokens=self.tokens,
            authenticator=Door(),
            rate_limiter=self.limit,
            audit=self._record,
            application=application,
            public_api_url=API_URL,
            origins=self.origins,
            scope="openid",
        )
        self.served = Served(
            with_lifespan(self.endpoint, lambda: directory, lambda: application, lambda: self.endpoint)
        )

    def _record(self, caller: Caller, department: str | None, tool: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.audit.append((caller.username, department, tool, outcome))

    @property
    def url(self) -> str:
        return self.served.url

    def add(self, name: str, endpoint: str, groups: list[str] | None = None) -> None:
        """Put a department into the directory, at once as one file."""
        document = {
            "apiVersion": "fileprocessing.internal/v1alpha1",
            "kind": "Department",
            "metadata": {"name": name},
            "spec": {
                "displayName": name.title(),
                "access": {"groups": groups or [name], "restrictedGroups": [f"{name}-leads"]},
                "datasets": [{"name": "items", "object": "items.csv", "key": "id"}],
            },
            "status": {"endpoint": endpoint},
        }
        written = self.folder / f"{name}.tmp"
        written.write_text(yaml.safe_dump(document))
        written.rename(self.folder / f"{name}.yaml")

    def remove(self, name: str) -> None:
        (self.folder / f"{name}.yaml").unlink()

    @contextlib.asynccontextmanager
    async def client(
        self, who: str, path: str = "/mcp", mode: str = "auto", answer: ElicitationFnT | None = None
    ) -> AsyncIterator[Client]:
        """The official SDK's client, logged in as `who`; `answer` is what its user says to questions."""
        async with web(authorization=f"Bearer {who}") as http:
            transport = streamable_http_client(f"{self.url}{path}", http_client=http)
            async with Client(transport, mode=mode, elicitation_callback=answer) as client:
                yield client

    async def post(
        self, who: str, method: str, params: Mapping[str, Any] | None = None, path: str = "/mcp", **more: Any
    ) -> httpx2.Response:
        """One request of the stateless era, without a client's help."""
        content = more.get("content", orjson.dumps(request(method, params)))
        sent = {**headers(who, method, params), **more.get("headers", {})}
        async with web() as http:
            return await http.post(
                f"{self.url}{path}",
                content=content,
                headers={name: value for name, value in sent.items() if value is not None},
            )

    async def legacy_post(self, who: str, document: Any, path: str = "/mcp", **more: str | None) -> httpx2.Response:
        """One request of the handshake era, without a client's help."""
        sent = {"mcp-protocol-version": "2025-11-25", "mcp-method": None, "mcp-name": None, **more}
        return await self.post(who, "", path=path, content=orjson.dumps(document), headers=sent)

    @contextlib.asynccontextmanager
    async def connection(
        self, sent: Mapping[str, str], size: int, path: str = "/mcp"
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection on which the head of a POST has been sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.served.port)
        try:
            lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {size}"]
            lines += [f"{name}: {value}" for name, value in sent.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


def request(method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request of the stateless era."""
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**(params or {}), "_meta": META}}


def headers(who: str, method: str, params: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The headers that belong to `request`."""
    sent = {
        "authorization": f"Bearer {who}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": VERSION,
        "mcp-method": method,
    }
    name = (params or {}).get("name") or (params or {}).get("uri")
    return {**sent, "mcp-name": str(name)} if name else sent


@contextlib.contextmanager
def gateway(folder: Path, departments: Mapping[str, str], **settings: Any) -> Iterator[Gateway]:
    """A running gateway with `departments` (name and endpoint)."""
    made = Gateway(folder, **settings)
    for name, endpoint in departments.items():
        made.add(name, endpoint)
    with made.served:
        yield made

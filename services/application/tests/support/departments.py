"""Departments' servers on the official SDK, whose data and misbehaviour tests decide."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent, Tool
from starlette.types import ASGIApp, Receive, Scope, Send

ANYTHING: dict[str, Any] = {"type": "object"}


@dataclass
class FakeDataset:
    key: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, Any]]
    aliases: tuple[str, ...] = ()
    pattern: str | None = None
    restricted: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    version: str | None = "v1"


@dataclass
class FakeDepartment:
    """`misbehave` is called before each answer of a tool: it may wait, raise, or return what is answered instead."""

    name: str
    groups: frozenset[str]
    datasets: dict[str, FakeDataset]
    restricted_groups: frozenset[str] = frozenset()
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    misbehave: Callable[[str], Any] | None = None
    status: int | None = None
    delay: float = 0.0
    raw: bytes | None = None
    url: str = ""
    tokens: set[str] = field(default_factory=set)
    asked: int = 0
    traces: set[str] = field(default_factory=set)

    def yaml(self) -> str:
        document = {
            "apiVersion": "fileprocessing.internal/v1alpha1",
            "kind": "Department",
            "metadata": {"name": self.name},
            "spec": {
                "displayName": self.name.title(),
                "access": {"groups": sorted(self.groups), "restrictedGroups": sorted(self.restricted_groups)},
                "datasets": [
                    {
                        "name": name,
                        "object": f"{name}.csv",
                        "key": dataset.key,
                        "restrictedColumns": list(dataset.restricted),
                        "search": list(dataset.search),
                    }
                    for name, dataset in self.datasets.items()
                ],
            },
            "status": {"endpoint": self.url},
        }
        return json.dumps(document)  # JSON is YAML

    def behave(self) -> None:
        self.misbehave, self.status, self.delay, self.raw = None, None, 0.0, None

    def answer(self, tool: str, arguments: dict[str, Any], groups: set[str]) -> dict[str, Any]:
        prefix = f"{self.name}_"
        if not groups & self.groups or not tool.startswith(prefix):
            raise MCPError(code=-32602, message=f"Unknown tool: {tool}")
        hidden = not groups & self.restricted_groups
        name = tool.removeprefix(prefix)
        if name == "describe_datasets":
            return self._description(hidden=hidden)
        dataset = self.datasets.get(name.removeprefix("lookup_"))
        if dataset is None:
            raise MCPError(code=-32602, message=f"Unknown tool: {tool}")
        columns = arguments["columns"]
        rows = [
            {"key": key, "matched": True, "values": {column: dataset.rows[key][column] for column in columns}}
            if key in dataset.rows
            else {"key": key, "matched": False}
            for key in arguments["keys"]
        ]
        return {"dataset": name, "key": dataset.key, "version": dataset.version, "columns": columns, "rows": rows}

    def _description(self, *, hidden: bool) -> dict[str, Any]:
        return {
            "department": self.name,
            "display_name": self.name.title(),
            "datasets": [
                {
                    "name": name,
                    "key": dataset.key,
                    "aliases": list(dataset.aliases),
                    "pattern": dataset.pattern,
                    "columns": [
                        {"name": column, "type": "string"}
                        for column in (dataset.key, *dataset.columns)
                        if not (hidden and column in dataset.restricted)
                    ],
                    "rows": len(dataset.rows),
                    "version": dataset.version,
                    "loaded_at": None,
                    "error": None,
                }
                for name, dataset in self.datasets.items()
            ],
        }


class DepartmentServer:
    """The department's MCP server on a port of its own."""

    def __init__(self, department: FakeDepartment) -> None:
        self.department = department
        self._server = Server(
            department.name,
            on_list_tools=self._list,
            on_call_tool=self._call,
            get_tool_input_schema=lambda _: ANYTHING,
        )
        self._uvicorn: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def _list(self, _: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="any", description="any", input_schema=ANYTHING)])

    async def _call(self, context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        department = self.department
        assert context.request is not None
        header = context.request.headers["x-caller"]
        caller = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
        arguments = dict(params.arguments or {})
        department.calls.append((params.name, arguments, caller["sub"]))
        if department.misbehave is not None:
            instead = department.misbehave(params.name)
            if instead is not None:
                return CallToolResult(content=[TextContent(text="instead")], structured_content=instead)
        answer = department.answer(params.name, arguments, set(caller["groups"]))
        return CallToolResult(content=[TextContent(text="in the structured content")], structured_content=answer)

    async def start(self) -> None:
        inner = self._server.streamable_http_app(json_response=True, stateless_http=True)
        started = asyncio.Event()
        stop = asyncio.Event()
        self._stop = stop
        config = uvicorn.Config(
            self._gate(inner), host="127.0.0.1", port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1
        )
        self._uvicorn = uvicorn.Server(config)

        async def serve() -> None:
            assert self._uvicorn is not None
            async with self._server.session_manager.run():
                serving = asyncio.create_task(self._uvicorn.serve())
                while not self._uvicorn.started:
                    await asyncio.sleep(0.01)
                port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
                self.department.url = f"http://127.0.0.1:{port}/mcp"
                started.set()
                await stop.wait()
                self._uvicorn.should_exit = True
                await serving

        self._task = asyncio.create_task(serve())
        await started.wait()

    async def stop(self) -> None:
        assert self._task is not None
        self._stop.set()
        await self._task

    def _gate(self, inner: ASGIApp) -> ASGIApp:
        """What goes wrong below the protocol: the server is down, slow, or answers rubbish."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            department = self.department
            headers = dict(scope.get("headers", []))
            department.asked += 1
            department.traces.add(headers.get(b"traceparent", b"").decode())
            department.tokens.add(headers.get(b"authorization", b"").decode())
            started = time.monotonic()
            while time.monotonic() - started < department.delay:
                await asyncio.sleep(0.02)
            if department.status is None and department.raw is None:
                await inner(scope, receive, send)
                return
            body = department.raw or b"out of order"
            start = {"type": "http.response.start", "status": department.status or 200}
            await send({**start, "headers": [(b"content-type", b"application/json")]})
            await send({"type": "http.response.body", "body": body})

        return app

"""Departments for tests: one by the official SDK that does everything, and ones that fail in every way."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    Prompt,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
    Tool,
)
from services.agentgateway.tests.mcp.harness import Served, with_lifespan
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.caller import CALLER_HEADER, Caller

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"keys": {"type": "array", "items": {"type": "string"}}}}

Context = ServerRequestContext[Any, Any]


class Department:
    """A whole department by the official SDK; counts what it is asked, and remembers what came with it."""

    def __init__(self, name: str, *, json_response: bool = True, tools: tuple[str, ...] = ()) -> None:
        self.name = name
        self.prefix = f"{name.replace('-', '_')}_"
        self.url = ""
        self.forget()
        names = tools or tuple(f"{self.prefix}{tool}" for tool in ("lookup_items", "count", "wait", "break", "big"))
        self.tools = [Tool(name=tool, description=f"{tool} of {name}", input_schema=SCHEMA) for tool in names]
        server = self._server()
        self._app = server.streamable_http_app(json_response=json_response, stateless_http=True, host="0.0.0.0")  # noqa: S104 - no check of Host
        self._run = server.session_manager.run

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.connections: set[object] = set()
        self.cancelled = 0

    def served(self, port: int = 0) -> Served:
        return Served(with_lifespan(self._noting, self._run), port)

    async def _noting(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.connections.add(scope["client"])
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})

        async def noting() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self.bodies.append(message["body"])
            return message

        await self._app(scope, noting, send)

    @property
    def callers(self) -> list[str]:
        return [Caller.from_header(sent[CALLER_HEADER]).username for sent in self.headers]

    def _server(self) -> Server[Any]:
        async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
            self.asked.append("tools/list")
            return ListToolsResult(tools=self.tools)

        async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
            self.asked.append(params.name)
            if params.name not in {tool.name for tool in self.tools}:
                raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
            return await self._call(context, params.name.removeprefix(self.prefix), params.arguments or {})

        async def list_resources(_: Context, __: PaginatedRequestParams | None) -> ListResourcesResult:
            return ListResourcesResult(resources=[Resource(name="items", uri=f"dataset://{self.name}/items")])

        async def list_templates(_: Context, __: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
            template = ResourceTemplate(name="rows", uri_template=f"dataset://{self.name}/items/{{key}}")
            return ListResourceTemplatesResult(resource_templates=[template])

        async def read(_: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
            text = TextResourceContents(uri=str(params.uri), text=f"read by {self.name}")
            return ReadResourceResult(contents=[text])

        async def list_prompts(_: Context, __: PaginatedRequestParams | None) -> ListPromptsResult:
            return ListPromptsResult(prompts=[Prompt(name=f"{self.prefix}ask")])

        async def prompt(_: Context, params: GetPromptRequestParams) -> GetPromptResult:
            text = TextContent(text=f"{params.name} by {self.name}")
            return GetPromptResult(messages=[PromptMessage(role="user", content=text)])

        async def complete(_: Context, __: CompleteRequestParams) -> CompleteResult:
            return CompleteResult(completion=Completion(values=[f"by {self.name}"]))

        return Server(
            self.name,
            on_list_tools=list_tools,
            on_call_tool=call_tool,
            on_list_resources=list_resources,
            on_list_resource_templates=list_templates,
            on_read_resource=read,
            on_list_prompts=list_prompts,
            on_get_prompt=prompt,
            on_completion=complete,
            get_tool_input_schema=lambda _: SCHEMA,
        )

    async def _call(self, context: Context, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        if tool == "count":
            for number in range(3):
                await context.session.report_progress(number, 3, f"{number} done")
        elif tool in {"wait", "wait_longer"}:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        elif tool == "break":
            return CallToolResult(content=[TextContent(text="no such data set")], is_error=True)
        elif tool == "big":
            return CallToolResult(content=[TextContent(text="x" * int(arguments["size"]))])
        rows = [{"key": key, "matched": True} for key in arguments.get("keys", [])]
        return CallToolResult(content=[TextContent(text="rows")], structured_content={"rows": rows, "by": self.name})


def answering(status: int, body: bytes, content_type: str = "application/json") -> ASGIApp:
    """A server that answers whatever it is asked by these bytes."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        raw = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return with_lifespan(app)


def streaming(
    events: list[bytes], between: Callable[[], Any] = lambda: asyncio.sleep(0), *, end: bool = True
) -> ASGIApp:
    """A server that streams these chunks, then ends the stream, or breaks it off."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        raw = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        for event in events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await between()
        if end:
            await send({"type": "http.response.body", "body": b""})

    return with_lifespan(app)


def event(message: dict[str, Any]) -> bytes:
    """A message as an event."""
    return b"event: message\ndata: " + orjson.dumps(message) + b"\n\n"

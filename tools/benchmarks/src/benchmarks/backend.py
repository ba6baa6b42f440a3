"""A department's server at its cheapest, so that a call's cost is that of what stands before it.

Started as `python -m benchmarks.backend PORT DEPARTMENTS`: the departments `bench-0`, `bench-1`, … answer at
`/<department>/mcp`, each with one tool `<prefix>_lookup_items(keys)`; `/plain` is an ordinary FastAPI endpoint that
parses the same JSON and answers the same JSON.
"""

import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from mcp.server import Server, ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent, Tool
from starlette.types import ASGIApp

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"keys": {"type": "array", "items": {"type": "string"}}},
    "required": ["keys"],
}


def answer(keys: list[str]) -> dict[str, Any]:
    """What every look-up answers: one row for each key."""
    return {"rows": [{"key": key, "matched": True, "values": {"name": f"Item {key}", "country": "NL"}} for key in keys]}


def department(name: str) -> Server[Any]:
    """The MCP server of one department with one tool."""
    tool = f"{name.replace('-', '_')}_lookup_items"

    async def list_tools(_: ServerRequestContext[Any], __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name=tool, description="Look items up", input_schema=SCHEMA)])

    async def call_tool(_: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        keys = [str(key) for key in (params.arguments or {})["keys"]]
        return CallToolResult(content=[TextContent(text=f"{len(keys)} rows")], structured_content=answer(keys))

    return Server(name, on_list_tools=list_tools, on_call_tool=call_tool, get_tool_input_schema=lambda _: SCHEMA)


def create_app(departments: int) -> FastAPI:
    """All the departments, and the plain endpoint, as one application."""
    servers = {f"bench-{number}": department(f"bench-{number}") for number in range(departments)}
    apps: dict[str, ASGIApp] = {
        name: server.streamable_http_app(json_response=True, stateless_http=True, host="0.0.0.0")  # noqa: S104
        for name, server in servers.items()
    }

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for server in servers.values():
                await stack.enter_async_context(server.session_manager.run())
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/plain")
    async def plain(request: Request) -> dict[str, Any]:
        body = await request.json()
        return {"jsonrpc": "2.0", "id": body["id"], "result": answer(body["params"]["arguments"]["keys"])}

    for name, mounted in apps.items():
        app.mount(f"/{name}", mounted)
    return app


if __name__ == "__main__":
    uvicorn.run(create_app(int(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")

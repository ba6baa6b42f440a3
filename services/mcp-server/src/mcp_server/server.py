"""The department as an MCP server: the protocol's requests answered from the caller's entitlements."""

import time
from importlib.metadata import version
from typing import Any

import structlog
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)
from starlette.requests import Request
from starlette.types import Scope

from common.telemetry import name_request
from mcp_server import resources
from mcp_server.access import ENTITLEMENTS
from mcp_server.catalog import Catalog, Entitlements
from mcp_server.definitions import Call, Result
from mcp_server.errors import ToolError
from mcp_server.metrics import TOOL_CALLS, TOOL_SECONDS
from mcp_server.results import answered, failed

log = structlog.get_logger()

CACHE_SECONDS = 30
"""How long a client may keep what it was told of tools and data sets; a call is checked anew in any case."""

Context = ServerRequestContext[Any, Request]


def build_server(department: str, catalog: Catalog) -> Server[Any]:
    """The MCP server of `department`; it keeps nothing between two requests."""
    # What is listed and read depends on who asks, so no cache may share it.
    hint = CacheHint(ttl_ms=CACHE_SECONDS * 1000, scope="private")
    server: Server[Any] = Server(
        f"mcp-{department}",
        version=version("mcp-server"),
        instructions=f"Reference data of the department {department}, found by key or by text.",
        cache_hints={
            "server/discover": hint,
            "tools/list": hint,
            "resources/list": hint,
            "resources/templates/list": hint,
            "resources/read": hint,
        },
        get_tool_input_schema=catalog.header_schema,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_resource_templates,
        on_read_resource=read_resource,
    )
    # Its one middleware makes spans that go on from what the caller says (SEP-414), and keep what an exception says.
    server.middleware.clear()
    return server


def scope_of(context: Context) -> Scope:
    """The HTTP request that brought this one of the protocol."""
    assert context.request is not None  # noqa: S101 - HTTP is the only transport
    return context.request.scope


def entitlements_of(context: Context) -> Entitlements:
    """What `AccessControl` found that the caller of this request may use."""
    entitlements: Entitlements = scope_of(context)[ENTITLEMENTS]
    return entitlements


async def list_tools(context: Context, _: PaginatedRequestParams | None) -> ListToolsResult:
    """The caller's tools, always in the same order."""
    definitions = entitlements_of(context).definitions.values()
    return ListToolsResult(tools=[definition.tool for definition in definitions])


async def call_tool(context: Context, params: CallToolRequestParams) -> Result:
    """Answer a call of one of the caller's tools; another's is unknown."""
    entitlements = entitlements_of(context)
    definition = entitlements.definitions.get(params.name)
    if definition is None:
        TOOL_CALLS.labels("unknown", "unknown").inc()
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name}")
    call = Call(entitlements.view, entitlements.states, params.arguments or {}, context, params)
    name_request(f"tools/call {params.name}")
    started = time.perf_counter()
    outcome = "failed"
    try:
        answer = await definition.handle(call)
        outcome = "answered"
        return answered(answer, scope_of(context)) if isinstance(answer, dict) else answer
    except ToolError as error:
        outcome = "refused"
        return failed(str(error))
    except MCPError:
        raise
    except Exception as error:
        # The SDK tells a client of the older protocol what an exception says; that is for the log alone.
        log.exception("tool.failed", tool=params.name)
        raise MCPError(INTERNAL_ERROR, "The tool failed; this is our fault, not yours") from error
    finally:
        TOOL_CALLS.labels(params.name, outcome).inc()
        TOOL_SECONDS.labels(params.name).observe(time.perf_counter() - started)


async def list_resources(context: Context, _: PaginatedRequestParams | None) -> ListResourcesResult:
    """The caller's data sets."""
    return resources.listed(entitlements_of(context))


async def list_resource_templates(context: Context, _: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    """How the addresses of data sets are made."""
    return resources.templates(entitlements_of(context))


async def read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    """One data set's schema and freshness."""
    found = resources.read(entitlements_of(context), params.uri)
    if found is None:
        raise MCPError(INVALID_PARAMS, "Resource not found", {"uri": params.uri})
    return found

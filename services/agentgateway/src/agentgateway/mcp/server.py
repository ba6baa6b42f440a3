"""The federated server: whatever is not passed on to one department, by the official SDK's server."""

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    EmptyResult,
    GetPromptRequestParams,
    InputRequiredResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    SetLevelRequestParams,
)

from agentgateway.mcp.call import CALL, Call
from agentgateway.mcp.catalog import PROMPTS, RESOURCES, TEMPLATES, TOOLS, Catalog, Kind
from agentgateway.mcp.file_questions import answered, can_ask
from agentgateway.mcp.file_tools import FileTools

UNAVAILABLE_META_KEY = "internal.fileprocessing/unavailableDepartments"

INSTRUCTIONS = (
    "Look up and search the departments' reference data (tools named <department>_…), and enrich files with it "
    "(tools named files_…). Only what you may use is listed."
)

Context = ServerRequestContext[Any, Any]


def call_of(context: Context) -> Call:
    """The caller's request, put into its scope by the gateway."""
    assert context.request is not None  # noqa: S101 - every request comes by HTTP
    call: Call = context.request.scope[CALL]
    return call


def unknown(context: Context, message: str, data: Any = None) -> MCPError:
    """The error for what does not exist, or is not the caller's."""
    call_of(context).outcome = "unknown"
    return MCPError(INVALID_PARAMS, message, data)


def create_server(catalog: Catalog, files: FileTools, ttl_seconds: float) -> Server[Any]:
    """The server of `/mcp`.

    What belongs to one department never gets here, so every name that does get here and is not a file tool's is
    unknown to the caller.
    """
    server: Server[Any] = Server(
        "agentgateway", version=version("agentgateway"), instructions=INSTRUCTIONS, get_tool_input_schema=files.schema
    )

    # Its one middleware makes spans, whose parent would be what the caller says (SEP-414); ours link that.
    server.middleware.clear()

    def lister(kind: Kind) -> Callable[[Context, PaginatedRequestParams], Awaitable[dict[str, Any]]]:
        async def handle(context: Context, params: PaginatedRequestParams) -> dict[str, Any]:
            if params.cursor is not None:
                raise MCPError(INVALID_PARAMS, "Unknown cursor: the list is given as one page.")
            listing = await catalog.listing(kind, call_of(context).access)
            items = [item for _, found in listing.items for item in found]
            if kind is TOOLS:
                items = files.listed + [item for item in items if item["name"] not in files.names]
            result: dict[str, Any] = {
                "resultType": "complete",
                kind.member: items,
                "ttlMs": int(ttl_seconds * 1000),
                "cacheScope": "private",
            }
            if listing.failures:
                result["_meta"] = {UNAVAILABLE_META_KEY: list(listing.failures)}
            return result

        return handle

    for kind in (TOOLS, RESOURCES, TEMPLATES, PROMPTS):
        server.add_request_handler(kind.method, PaginatedRequestParams, lister(kind))

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        call = call_of(context)
        if params.name not in files.names:
            raise unknown(context, f"Unknown tool: {params.name}")
        call.known = True
        arguments, state = params.arguments or {}, params.request_state
        if state is not None:
            try:
                arguments = answered(arguments, state, params.input_responses or {})
            except ValueError as error:
                raise MCPError(INVALID_PARAMS, str(error)) from None
        asks = state is None and can_ask(context.session.client_capabilities)
        result = await files.call(params.name, arguments, call.access, context.session.report_progress, asks=asks)
        if isinstance(result, InputRequiredResult):
            call.outcome = "input_required"
        else:
            call.outcome = "tool_error" if result.is_error else "ok"
        return result

    async def read_resource(context: Context, params: ReadResourceRequestParams) -> dict[str, Any]:
        raise unknown(context, f"Unknown resource: {params.uri}", {"uri": str(params.uri)})

    async def get_prompt(context: Context, params: GetPromptRequestParams) -> dict[str, Any]:
        raise unknown(context, f"Unknown prompt: {params.name}")

    async def complete(context: Context, _: CompleteRequestParams) -> dict[str, Any]:
        raise unknown(context, "Unknown prompt or resource template")

    async def set_level(_: Context, __: SetLevelRequestParams) -> EmptyResult:
        # Nothing outlives a request here; the departments' messages come with each call, at every level.
        return EmptyResult()

    server.add_request_handler("tools/call", CallToolRequestParams, call_tool)
    server.add_request_handler("resources/read", ReadResourceRequestParams, read_resource)
    server.add_request_handler("prompts/get", GetPromptRequestParams, get_prompt)
    server.add_request_handler("completion/complete", CompleteRequestParams, complete)
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    return server

"""The official conformance suite against our server, with the suite's fixtures in place of a department's tools."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp.server import Server
from mcp_types import (
    CallToolResult,
    EmptyResult,
    InputRequiredResult,
    SetLevelRequestParams,
    SubscribeRequestParams,
    Tool,
    UnsubscribeRequestParams,
)
from services.common.tests.conformance import Outcome, assert_conformance, header_shim, run_suite
from services.common.tests.conformance_fixtures import fixtures

from mcp_server.definitions import Call, Definition, Result
from mcp_server.department import View
from mcp_server.refresh import DatasetState

# Logging and sampling are deprecated as of 2026-07-28; 2025-11-25 requires them.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")]


class FixtureTools:
    """The suite's tools as a toolset of ours."""

    def definitions(self, view: View, states: Mapping[str, DatasetState]) -> list[Definition]:
        return [
            Definition(Tool(name=tool.name, description=tool.name, input_schema=tool.parameters), self.handle)
            for tool in fixtures._tool_manager.list_tools()
        ]

    @staticmethod
    async def handle(call: Call) -> Result:
        entry = fixtures._lowlevel_server.get_request_handler("tools/call")
        assert entry is not None
        result = await entry.handler(call.context, call.params)
        assert isinstance(result, CallToolResult | InputRequiredResult)
        return result


async def accept(*_: Any) -> EmptyResult:
    return EmptyResult()


def extend(server: Server[Any]) -> None:
    """Add to our server what no department offers."""
    low = fixtures._lowlevel_server
    for method, entry in low._request_handlers.items():
        if method not in {"tools/list", "tools/call", "ping", "server/discover"}:
            server.add_request_handler(method, entry.params_type, entry.handler)
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, accept)
    server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, accept)
    server.middleware.extend(low.middleware[1:])


OPTIONS: dict[str, Any] = {"toolsets": {"finance": (FixtureTools(),)}, "extend": extend}

SESSION = "no session, so that any replica answers any request: the server cannot ask the client in return"
STREAM = "an answer is one JSON document: the tools of departments have nothing to report before it"


async def outcomes_of(running: Any, revision: str, folder: Path) -> dict[str, Outcome]:
    async with header_shim(running.url, running.headers("finance")) as url:
        return await run_suite(f"{url}/mcp", revision, folder)


async def test_all_that_2026_07_28_requires_is_met(own_finance: Any, tmp_path: Path) -> None:
    async with own_finance(**OPTIONS, json_response=False) as running:
        assert_conformance(await outcomes_of(running, "2026-07-28", tmp_path), left_out={})


async def test_all_that_2025_11_25_requires_is_met(own_finance: Any, tmp_path: Path) -> None:
    async with own_finance(**OPTIONS, json_response=False, stateless=False) as running:
        assert_conformance(await outcomes_of(running, "2025-11-25", tmp_path), left_out={})


async def test_what_2026_07_28_requires_is_met_as_departments_run(own_finance: Any, tmp_path: Path) -> None:
    async with own_finance(**OPTIONS) as running:
        outcomes = await outcomes_of(running, "2026-07-28", tmp_path)
        assert_conformance(outcomes, left_out={"tools-call-with-progress": STREAM})


async def test_what_2025_11_25_requires_is_met_as_departments_run(own_finance: Any, tmp_path: Path) -> None:
    async with own_finance(**OPTIONS) as running:
        left_out = {
            "tools-call-sampling": SESSION,
            "tools-call-elicitation": SESSION,
            "elicitation-sep1034-defaults": SESSION,
            "elicitation-sep1330-enums": SESSION,
            "server-sse-multiple-streams": SESSION,
            "tools-call-with-logging": STREAM,
            "tools-call-with-progress": STREAM,
        }
        assert_conformance(await outcomes_of(running, "2025-11-25", tmp_path), left_out)

"""The official conformance suite through the gateway, with the suite's fixtures as the department `test`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from services.agentgateway.tests.mcp.harness import Gateway, Served, gateway, with_lifespan
from services.common.tests.conformance import Outcome, assert_conformance, header_shim, run_suite
from services.common.tests.conformance_fixtures import fixtures

# Logging and sampling are deprecated as of 2026-07-28; 2025-11-25 requires them.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")]


SESSION = "no session, so that any replica answers any request: the server cannot ask the client in return"
SUBSCRIBE = "the federated server keeps no state of clients; they learn of changes by the lists' `ttlMs`"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Gateway]:
    for tool in fixtures._tool_manager.list_tools():
        tool.description = tool.description or tool.name
    app = fixtures.streamable_http_app(stateless_http=True, json_response=False, host="0.0.0.0")  # noqa: S104 - no check of Host
    department = Served(with_lifespan(app, fixtures.session_manager.run))
    folder = tmp_path / "departments"
    folder.mkdir()
    with department, gateway(folder, {"test": f"{department.url}/mcp"}) as running:
        running.add("test", f"{department.url}/mcp", ["finance"])
        yield running


async def outcomes_of(front: Gateway, revision: str, folder: Path) -> dict[str, Outcome]:
    async with header_shim(front.url, {"authorization": "Bearer alice"}) as url:
        front.origins.add(url)
        return await run_suite(f"{url}/mcp", revision, folder)


async def test_what_2026_07_28_requires_is_met(front: Gateway, tmp_path: Path) -> None:
    assert_conformance(await outcomes_of(front, "2026-07-28", tmp_path), left_out={})


async def test_what_2025_11_25_requires_is_met(front: Gateway, tmp_path: Path) -> None:
    left_out = {
        "tools-call-sampling": SESSION,
        "tools-call-elicitation": SESSION,
        "elicitation-sep1034-defaults": SESSION,
        "elicitation-sep1330-enums": SESSION,
        "server-sse-multiple-streams": SESSION,
        "resources-subscribe": SUBSCRIBE,
        "resources-unsubscribe": SUBSCRIBE,
    }
    assert_conformance(await outcomes_of(front, "2025-11-25", tmp_path), left_out)

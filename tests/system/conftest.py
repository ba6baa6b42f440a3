"""One real stack for all system tests of a process; each of them sees what a user sees."""

from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest
import pytest_asyncio
from tests.helpers.data import DataSet, read_data_sets
from tests.helpers.extra import write_extra_departments
from tests.helpers.rest import Rest, bearer, http_session
from tests.helpers.stack import Settings, Stack

DEPARTMENTS = ("finance", "hr", "legal", "treasury-desk", "zqvault")
SETTINGS: Settings = {
    # The tests ask faster than any one user would; slow clients are cut off within seconds.
    "gateway": {
        "RATE_LIMIT": "100000/second",
        "EXCHANGE_RATE_LIMIT": "100000/second",
        "HEADER_TIMEOUT_SECONDS": "3",
        "CLIENT_TIMEOUT_SECONDS": "4",
        "MCP_BODY_SECONDS": "3",
        "LOG_LEVEL": "debug",
    },
    "application": {"EVENTS_POLL_SECONDS": "0.1", "LOG_LEVEL": "debug"},
    "worker": {"RECEIVE_SECONDS": "1", "LOG_LEVEL": "debug"},
    **{f"mcp-{name}": {"REFRESH_SECONDS": "0.5", "LOG_LEVEL": "debug"} for name in DEPARTMENTS},
}


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, with two more departments than people's own."""
    folder = tmp_path_factory.mktemp("stack")
    departments, data = write_extra_departments(folder / "own")
    with Stack(folder / "state", departments=departments, data=data, settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def data_sets(stack: Stack) -> dict[str, DataSet]:
    """Every data set of every department, by its full name."""
    return {data_set.ref: data_set for data_set in read_data_sets(stack)}


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections that all tests share."""
    async with http_session() as opened:
        yield opened


@pytest.fixture(scope="package")
def rest(stack: Stack, session: aiohttp.ClientSession) -> Callable[[str], Rest]:
    """The REST interface as a demo user uses it."""
    return lambda user: Rest(session, stack.api, bearer(stack.tokens[user]))

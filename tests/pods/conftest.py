"""One cluster with a real node for all tests of this folder; where none can run, they are left out."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.helpers.data import DataSet, read_data_sets
from tests.helpers.images import what_is_missing
from tests.helpers.rest import Rest, bearer, http_session
from tests.pods.world import READY_SECONDS, World, built_images, rules, traces

from local.kubernetes.cluster import Cluster
from local.kubernetes.kubectl import wait_for
from local.kubernetes.real_node import network
from local.kubernetes.real_node.check import obstacle

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out on a machine that cannot run a node; `make test` has said why."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    if ours and (what_is_missing() or obstacle(Path(tempfile.gettempdir()))):
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The cluster that `make cluster NODE=real` starts, with ports and a folder of its own, once every pod is ready."""
    folder = tmp_path_factory.mktemp("pods") / "state"
    # There can be one on a machine, and somebody else's tests may run here too.
    wait_for(lambda: network.owner() is None, READY_SECONDS, "no other real node runs here", state=network.owner)
    before = rules()
    with Cluster(folder, real_node=True, images=built_images()) as cluster:
        cluster.wait_until_synced()
        running = World(cluster)
        running.wait_until_ready()
        yield running
    assert traces(folder) == []
    assert rules() == before


@pytest.fixture(scope="package")
def data_sets(world: World) -> dict[str, DataSet]:
    """Every data set of every department, by its full name."""
    return {data_set.ref: data_set for data_set in read_data_sets(world)}


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections that tests share."""
    async with http_session() as opened:
        yield opened


@pytest.fixture
def rest(world: World, session: aiohttp.ClientSession) -> Callable[[str], Rest]:
    """The REST interface of the gateway's Service, as a demo user uses it."""
    return lambda user: Rest(session, world.api, bearer(world.tokens[user]))

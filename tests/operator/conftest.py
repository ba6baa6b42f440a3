"""One cluster for all tests of a process; each test has departments of its own."""

from collections.abc import Iterator

import pytest
from tests.operator.world import OperatorProcess, World, world


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster with controllers and simulated nodes; no operator runs."""
    with world(tmp_path_factory.mktemp("operator")) as running:
        yield running


@pytest.fixture(scope="module")
def operator(cluster: World) -> Iterator[OperatorProcess]:
    """One operator for all tests of a file."""
    with cluster.operator() as process:
        yield process
        assert process.process.poll() is None, process.log.read_text()

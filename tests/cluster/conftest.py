"""One cluster for all tests of this folder; it has what is committed, in `overlays/prod`."""

from collections.abc import Iterator

import pytest

from local.kubernetes.cluster import Cluster


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Argo CD, a Git server, the operator and simulated nodes; `make cluster` with ports and a folder of its own."""
    with Cluster(tmp_path_factory.mktemp("cluster") / "state") as running:
        yield running

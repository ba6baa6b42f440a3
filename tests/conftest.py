"""An API server for the tests of any folder."""

from collections.abc import Iterator

import pytest

from local.kubernetes.control_plane import ControlPlane


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An empty Kubernetes API server: no controllers, no nodes."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane") / "state") as running:
        yield running

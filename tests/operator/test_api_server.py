"""The API server is restarted, or does not know the kind yet, while the operator runs."""

import time
from collections.abc import Iterator

import pytest
from tests.operator.world import KINDS, World, department, wait_for_definition, world

from local.kubernetes.kubectl import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster of its own, without controllers: they do not outlive the API server."""
    with world(tmp_path_factory.mktemp("restarted"), controllers=False) as running:
        yield running


def test_the_operator_outlives_the_api_server(cluster: World) -> None:
    with cluster.operator() as operator:
        cluster.kubectl.apply(department("before"))
        cluster.wait_for_objects("before")
        cluster.plane.kill("kube-apiserver")
        time.sleep(3)  # as long as a restart takes
        cluster.plane.start_again("kube-apiserver")
        cluster.plane.wait_until_ready()
        cluster.kubectl.apply(department("after"))
        cluster.wait_for_objects("after", 60)
        cluster.wait_for_reason("after", Accepted="Accepted")
        cluster.kubectl.delete("service", "mcp-before")
        wait_for(lambda: set(cluster.objects("before")) == set(KINDS), 30, "the Service is back")
        assert operator.process.poll() is None, operator.log.read_text()


def test_the_operator_waits_for_the_kind_to_be_known(cluster: World) -> None:
    schema = cluster.kubectl.get("crd", "departments.fileprocessing.internal")
    assert schema is not None
    cluster.kubectl.delete("crd", "departments.fileprocessing.internal")
    operator = cluster.start_operator()
    try:
        wait_for(lambda: "start.again" in operator.log.read_text(), 20, "it says that it waits")
        cluster.kubectl.apply(
            {key: schema[key] for key in ("apiVersion", "kind", "spec")}
            | {"metadata": {"name": schema["metadata"]["name"]}}
        )
        wait_for_definition(cluster.kubectl)
        cluster.kubectl.apply(department("late"))
        cluster.wait_for_objects("late", 60)
    finally:
        operator.kill()

"""The node itself: beside the simulated ones, one on a machine, reached as the load balancers reach it."""

import subprocess
from pathlib import Path

import httpx2
import pytest
from tests.helpers.rest import bearer
from tests.helpers.stack import COMMANDS, ROOT
from tests.pods.world import NAMESPACE, NODE, World

from local.kubernetes.cluster import Cluster
from local.kubernetes.control_plane import ControlPlaneError

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(900)]


def test_kwok_manages_the_simulated_nodes_alone(world: World) -> None:
    nodes = {node["metadata"]["name"]: node for node in world.kubectl.list("nodes")}
    versions = {name: node["status"]["nodeInfo"]["kubeletVersion"] for name, node in nodes.items()}
    assert len(versions) == 7
    assert versions.pop(NODE).startswith("v1.")
    assert all(version.startswith("kwok-") for version in versions.values())


def test_no_pod_is_on_a_simulated_node(world: World) -> None:
    pods = world.kubectl.list("pods", namespace=NAMESPACE)
    # An autoscaler may have made one this moment.
    assert {pod["spec"]["nodeName"] for pod in pods if "nodeName" in pod["spec"]} == {NODE}


def test_a_machine_that_can_run_a_node_is_told_so() -> None:
    checked = subprocess.run(
        [COMMANDS / "local", "cluster", "node-check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (checked.returncode, checked.stdout) == (0, "This machine can run a real node.\n"), checked.stderr


def test_a_second_node_is_refused_and_told_whose_the_first_is(world: World, tmp_path: Path) -> None:
    with pytest.raises(ControlPlaneError, match="a real node runs on this machine already") as refused:
        Cluster(tmp_path / "other", real_node=True).start()
    assert str(world.cluster.folder) in str(refused.value)
    assert not (tmp_path / "other").exists()


def test_the_edge_leads_to_the_gateways_service(world: World) -> None:
    answer = httpx2.get(f"{world.cluster.api_url}/api/departments", headers=bearer(world.tokens["dana"]), timeout=60)
    assert [each["name"] for each in answer.json()["departments"]] == ["finance", "hr", "legal"]
    refused = httpx2.get(f"{world.cluster.api_url}/api/departments", timeout=60)
    assert refused.status_code == 401

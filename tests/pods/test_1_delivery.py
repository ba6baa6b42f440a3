"""From `git push` to a working system on real pods."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.helpers.data import DataSet
from tests.helpers.gitops import ArgoCD, WorkCopy
from tests.helpers.jobs import MAPPING, Task
from tests.helpers.overlays import environment_objects, pod_templates
from tests.helpers.rest import Rest
from tests.pods.memory import asked, megabytes
from tests.pods.world import DEPLOYMENTS, NAMESPACE, NODE, World, department, processes

from local.kubernetes.kubectl import Object

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(1800)]

NOBODY = 65532
SECURITY = ("automountServiceAccountToken", "enableServiceLinks", "hostNetwork", "hostPID", "securityContext")


def seconds(pod: Object, since: str, until: str) -> float:
    """Between two of a pod's conditions."""
    times = {each["type"]: datetime.fromisoformat(each["lastTransitionTime"]) for each in pod["status"]["conditions"]}
    return (times[until] - times[since]).total_seconds()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_service_is_ready_as_a_pod_of_the_real_node(
    world: World, name: str, report_figure: Callable[[str], None]
) -> None:
    pod = world.pod(name)
    assert pod["spec"]["nodeName"] == NODE
    report_figure(f"{name}: {seconds(pod, 'PodScheduled', 'Ready'):.0f} s from scheduled to ready")


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_memory_at_rest_is_within_what_each_pod_asks_for(
    world: World, name: str, report_figure: Callable[[str], None]
) -> None:
    """So that a node that is full of requests still has memory."""
    pod = world.pod(name)
    request, limit = asked(pod, "requests"), asked(pod, "limits")
    used = world.wait(lambda: world.working_sets().get(pod["metadata"]["name"]), "the kubelet has measured it")
    report_figure(f"{name}: {used:.0f} MB at rest; asks for {request}, may have {limit}")
    assert used <= megabytes(request)


def templates() -> dict[str, dict[str, Any]]:
    """What pods are made from in prod, by Deployment; the departments' is the PodTemplate."""
    return dict(pod_templates(environment_objects("prod")))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_pod_has_the_security_context_of_production(world: World, name: str) -> None:
    wanted = templates()["mcp-server" if name.startswith("mcp-") else name]["spec"]
    found = world.pod(name)["spec"]
    assert {key: found[key] for key in SECURITY if key in wanted} == {
        key: wanted[key] for key in SECURITY if key in wanted
    }
    assert found["containers"][0]["securityContext"] == wanted["containers"][0]["securityContext"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_process_is_confined_as_its_pod_asks(world: World, name: str) -> None:
    found = list(processes(world.pod(name)))
    assert found
    for process in found:
        status = kernel_status(process)
        assert set(status["Uid"].split()) == {str(NOBODY)}
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert "ro" in root_mount_options(process)


def kernel_status(process: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def root_mount_options(process: psutil.Process) -> list[str]:
    mounts = (line.split() for line in Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines())
    return next(fields[5].split(",") for fields in mounts if fields[4] == "/")


@pytest.mark.parametrize("extension", ["csv", "parquet"])
async def test_a_file_goes_in_through_the_gateways_service_and_comes_out_enriched(
    rest: Callable[[str], Rest], data_sets: dict[str, DataSet], extension: str
) -> None:
    task = Task.of_size(extension, 2_000)
    _, result = await rest("dana").enrich(f"invoices.{extension}", task.content(), mapping=MAPPING)
    assert task.is_fulfilled_by(result, "dana", data_sets)


TREASURY: Object = {
    "apiVersion": "fileprocessing.internal/v1alpha1",
    "kind": "Department",
    "metadata": {"name": "treasury", "namespace": NAMESPACE},
    "spec": {
        "displayName": "Treasury",
        "access": {"groups": ["finance"]},
        "datasets": [{"name": "accounts", "object": "accounts.csv", "key": "account_id"}],
    },
}


@pytest.fixture
def treasury(world: World) -> Iterator[None]:
    with department(world, TREASURY, {"accounts.csv": b"account_id,bank\nA-1,Northern\n"}):
        yield


async def test_a_new_department_answers_tools_call_from_a_real_pod(
    world: World, treasury: None, report_figure: Callable[[str], None]
) -> None:
    begin = time.monotonic()
    world.wait_until_ready("mcp-treasury")
    assert world.pod("mcp-treasury")["spec"]["nodeName"] == NODE
    world.wait(lambda: (world.kubectl.get("department", "treasury") or {}).get("status", {}).get("tools"), "tools")
    report_figure(f"kubectl apply of a Department to its pod serving: {time.monotonic() - begin:.0f} s")
    headers = {"Authorization": f"Bearer {world.tokens['alice']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{world.api}/mcp/treasury", http_client=http)) as client,
    ):
        answer = await client.call_tool("treasury_lookup_accounts", {"keys": ["A-1"]})
    assert answer.structured_content is not None
    assert answer.structured_content["rows"] == [{"key": "A-1", "matched": True, "values": {"bank": "Northern"}}]


def test_a_pushed_version_rolls_out(world: World, tmp_path: Path, report_figure: Callable[[str], None]) -> None:
    world.cluster.node.tag("localhost/agentgateway:local", "localhost/agentgateway:next")
    work = WorkCopy.clone(world.cluster.git_url, tmp_path / "clone")
    before = {pod["metadata"]["name"] for pod in world.pods("agentgateway")}
    work.edit("overlays/real/agentgateway/kustomization.yaml", "agentgateway:local", "agentgateway:next")
    begin = time.monotonic()
    revision = work.push("The gateway's next version")
    ArgoCD(world.kubectl, world.cluster.argocd_url).wait_synced("agentgateway", revision)
    world.wait_until_ready("agentgateway")
    report_figure(f"git push to the new version serving: {time.monotonic() - begin:.0f} s")
    after = world.pods("agentgateway")
    assert not before & {pod["metadata"]["name"] for pod in after}
    assert {pod["spec"]["containers"][0]["image"] for pod in after} == {"localhost/agentgateway:next"}

"""Roll-outs, kills, and what is gone for a while: what people notice of it, which is nothing."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest
from tests.helpers.data import DataSet
from tests.helpers.jobs import MAPPING, Task
from tests.helpers.rest import Rest, bearer
from tests.pods.load import load
from tests.pods.world import DEPARTMENTS, NAMESPACE, NODE, World, processes

from local.kubernetes.kubectl import KubectlError, Object, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROLLED = ("agentgateway", "application", *DEPARTMENTS)
PATHS = ("/api/departments", "/api/jobs")


def is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def test_a_roll_out_of_each_service_under_load_fails_no_request(
    world: World, report_figure: Callable[[str], None]
) -> None:
    before = {pod["metadata"]["uid"] for name in ROLLED for pod in world.pods(name)}
    async with load(world.api, PATHS, bearer(world.tokens["dana"])) as done:
        await asyncio.to_thread(world.roll, *ROLLED)
        await asyncio.to_thread(world.wait_until_ready, *ROLLED)
        # The old ones serve until nobody sends there any more.
        await asyncio.to_thread(wait_for, lambda: gone(world, before), 120, "the old pods are gone")
    report_figure(f"roll-out of {len(ROLLED)} services: {done.requests} requests, slowest {done.slowest:.1f} s")
    assert done.requests > 100
    assert done.failures == []


def gone(world: World, pods: set[str]) -> bool:
    return not pods & {pod["metadata"]["uid"] for pod in world.kubectl.list("pods", namespace=NAMESPACE)}


async def test_a_job_survives_its_workers_roll_out(
    world: World,
    rest: Callable[[str], Rest],
    data_sets: dict[str, DataSet],
    report_figure: Callable[[str], None],
) -> None:
    task = Task.of_size("csv", 60_000)
    dana = rest("dana")
    job = await dana.submit(await dana.upload("invoices.csv", task.content()), mapping=MAPPING)
    while (await dana.job(job))["status"] == "queued":
        await asyncio.sleep(0.05)
    world.roll("application-worker")
    state = await dana.finished(job, 240)
    assert state["status"] == "succeeded", state
    result = (await dana.good("GET", f"/api/jobs/{job}/result")).body
    assert task.is_fulfilled_by(result, "dana", data_sets)
    world.wait_until_ready("application-worker")
    for name, megabytes in world.working_sets().items():
        report_figure(f"{name}: {megabytes:.0f} MB after jobs and load")


@pytest.mark.parametrize("name", ["agentgateway", "mcp-hr"])
def test_a_process_that_is_killed_is_started_again(world: World, name: str) -> None:
    pod = world.pod(name)
    before = world.restarts()
    for process in list(processes(pod)):
        process.kill()
    wait_for(lambda: world.restarted(before), 60, "it was started again")
    world.wait_until_ready(name)
    assert world.restarted(before) == [pod["metadata"]["name"]]


def test_a_pod_that_is_deleted_is_replaced(world: World) -> None:
    before = [pod["metadata"]["name"] for pod in world.pods("application")]
    world.kubectl.delete("pod", *before, namespace=NAMESPACE, wait=False)
    wait_for(lambda: [each for each in world.pods("application") if is_ready(each)], 120, "another one is ready")
    assert not {pod["metadata"]["name"] for pod in world.pods("application")} & set(before)


async def test_the_kubelet_restarts_and_no_pod_notices(world: World) -> None:
    before = world.restarts()
    async with load(world.api, PATHS, bearer(world.tokens["dana"]), clients=1) as done:
        await asyncio.to_thread(world.cluster.stop_program, "kubelet")
        await asyncio.to_thread(world.cluster.start_program, "kubelet")
        await asyncio.to_thread(wait_for, lambda: node_is_ready(world), 60, "the node is ready")
        await asyncio.to_thread(world.wait_until_ready)
    assert done.failures == []
    assert world.restarted(before) == []


def node_is_ready(world: World) -> bool:
    node = world.kubectl.get("node", NODE) or {}
    return is_ready(node)


# As a leak would: what takes the memory is the container's and no process's, so that the kernel chooses the service.
LEAK = """
import os
open('/proc/1/oom_score_adj', 'w').write('1000')
taken = os.memfd_create('leak')
while True:
    os.write(taken, b'x' * (8 << 20))
"""


def test_a_service_at_its_memory_limit_is_killed_alone_and_comes_back(world: World) -> None:
    before = world.restarts()
    name = world.pod("mcp-legal")["metadata"]["name"]
    with pytest.raises(KubectlError):
        world.kubectl.run("exec", name, "-n", NAMESPACE, "--", "/usr/bin/python3.11", "-c", LEAK, seconds=120)
    wait_for(lambda: last_end(world, "mcp-legal") == "OOMKilled", 60, "the kernel killed it for its memory")
    world.wait_until_ready("mcp-legal")
    assert world.restarted(before) == [name]


def last_end(world: World, name: str) -> str:
    """Why the container of a Deployment's pod ended the last time."""
    statuses = world.pod(name)["status"].get("containerStatuses", [])
    return str(statuses[0].get("lastState", {}).get("terminated", {}).get("reason", "")) if statuses else ""


async def test_with_s3_gone_what_cannot_work_is_not_ready_and_nothing_restarts(world: World) -> None:
    before = world.restarts()
    await asyncio.to_thread(world.cluster.stop_program, "aws-address")
    try:
        for name in ("application", "application-worker"):
            await asyncio.to_thread(wait_for, lambda name=name: not world.ready(name), 90, f"{name} is not ready")
            for pod in world.pods(name):
                address = f"http://{pod['status']['podIP']}:8000"
                assert httpx2.get(f"{address}/readyz", timeout=10).status_code == 503
                assert httpx2.get(f"{address}/healthz", timeout=10).status_code == 200, "so it is not started again"
        assert all(world.ready(name) for name in DEPARTMENTS), "what is in memory is served on"
        assert world.restarted(before) == []
    finally:
        await asyncio.to_thread(world.cluster.start_program, "aws-address")
    await asyncio.to_thread(world.wait_until_ready)
    assert world.restarted(before) == []

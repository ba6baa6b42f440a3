"""Kills, and what is gone for a while: what people notice of it, which is nothing."""

import asyncio
from contextlib import suppress

import psutil
import pytest
from tests.helpers.rest import bearer
from tests.pods.load import asking, load
from tests.pods.world import DEPARTMENTS, NAMESPACE, NODE, World, is_ready, processes

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", ["agentgateway", "mcp-hr"])
def test_a_process_that_is_killed_is_started_again(world: World, name: str) -> None:
    pod = world.pod(name)
    before = world.restarts()
    for process in list(processes(pod)):
        with suppress(psutil.NoSuchProcess):  # it ended with another
            process.kill()
    world.wait(lambda: world.restarted(before), "it was started again")
    world.wait_until_ready(name)
    assert world.restarted(before) == [pod["metadata"]["name"]]


def test_a_pod_that_is_deleted_is_replaced(world: World) -> None:
    before = [pod["metadata"]["name"] for pod in world.pods("application")]
    world.kubectl.delete("pod", *before, namespace=NAMESPACE, wait=False)
    world.pod("application")
    assert not {pod["metadata"]["name"] for pod in world.pods("application")} & set(before)


async def test_the_kubelet_restarts_and_no_pod_notices(world: World) -> None:
    before = world.restarts()
    async with load(asking(world.api, bearer(world.tokens["dana"]), "/api/departments", "/api/jobs")) as done:
        await asyncio.to_thread(world.cluster.stop_program, "kubelet")
        await asyncio.to_thread(world.cluster.start_program, "kubelet")
        await asyncio.to_thread(
            world.wait, lambda: is_ready(world.kubectl.get("node", NODE) or {}), "the node is ready"
        )
        await asyncio.to_thread(world.wait_until_ready)
    assert done.failures == []
    assert world.restarted(before) == []


async def test_with_s3_gone_what_cannot_work_is_not_ready_and_nothing_restarts(world: World) -> None:
    before = world.restarts()
    await asyncio.to_thread(world.cluster.stop_program, "aws-address")
    try:
        for name in ("application", "application-worker"):
            await asyncio.to_thread(world.wait, lambda name=name: not world.ready(name), f"{name} is not ready")
            for pod in world.pods(name):
                address = f"http://{pod['status']['podIP']}:8000"
                assert world.status(f"{address}/readyz") == 503
                assert world.status(f"{address}/healthz") == 200, "so it is not started again"
        assert all(world.ready(name) for name in DEPARTMENTS), "what is in memory is served on"
        assert world.restarted(before) == []
    finally:
        await asyncio.to_thread(world.cluster.start_program, "aws-address")
    await asyncio.to_thread(world.wait_until_ready)
    assert world.restarted(before) == []

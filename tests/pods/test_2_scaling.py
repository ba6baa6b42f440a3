"""More replicas while there is more to do, fewer afterwards; and a worker that dies of its memory meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from tests.helpers.data import DataSet
from tests.helpers.jobs import MAPPING, Task
from tests.helpers.rest import bearer
from tests.pods.load import Load, asking, load, visitor
from tests.pods.memory import reach_limit
from tests.pods.world import NAMESPACE, NODE, World, processes, selector

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(900)]

GATEWAY, WORKER = "agentgateway", "application-worker"
# Of a processor, on the gateway: more than three replicas may use (70 % of the 0.1 that each asks for), so that four
# are wanted, and little enough for the machine.
LOAD = 0.35
COUNTED = 100
# So many that one who waits for an answer on a busy machine makes no difference.
CLIENTS = 3 * ("alice", "bob", "carol", "dana")
MOST_PER_SECOND = 160
LIST_TOOLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
# That a worker is gone is noticed after SILENT_SECONDS and SWEEP_SECONDS, 75 together; then the job begins anew.
JOB_SECONDS = 300
# Ten seconds of work and more; the kernel needs one or two.
JOBS = 6


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def jobs_of_a_killed_worker(world: World) -> AsyncIterator[tuple[list[str], Task]]:
    """Jobs that were at work and waiting when their worker reached its limit; nobody has waited for them."""
    task = Task.of_size("csv", 60_000)
    async with visitor(world.api, bearer(world.tokens["dana"])) as dana:
        file = await dana.upload("invoices.csv", task.content())
        jobs = [await dana.submit(file, mapping=MAPPING) for _ in range(JOBS)]
        await asyncio.to_thread(reach_limit, world, world.pod(WORKER))
    yield jobs, task


def list_tools(world: World, user: str) -> Callable[[], Awaitable[None]]:
    """A client whose requests cost the gateway, and nobody behind it."""
    headers = bearer(world.tokens[user]) | {"Accept": "application/json, text/event-stream"}

    async def ask() -> None:
        async with visitor(world.api, headers) as rest:
            assert b'"tools"' in (await rest.good("POST", "/mcp", body=LIST_TOOLS)).body

    return ask


async def seconds_per_request(world: World, done: Load) -> float:
    """Of a processor."""
    running = list(processes(world.pod(GATEWAY)))

    def used() -> float:
        return float(sum(times.user + times.system for times in (each.cpu_times() for each in running)))

    requests, before = done.done, used()
    while done.done < requests + COUNTED:
        await asyncio.sleep(0.1)
    return (used() - before) / (done.done - requests)


def replicas(world: World) -> int:
    """Of the gateway, where all that there are serve, and none is on its way."""
    pods = world.kubectl.list("pods", namespace=NAMESPACE, selector=selector(GATEWAY))
    return len(pods) if world.ready(GATEWAY) and len(pods) == len(world.pods(GATEWAY)) else 0


async def test_the_autoscaler_scales_the_gateway_from_1_to_4_and_back_and_no_request_fails(
    world: World, jobs_of_a_killed_worker: object, report_figure: Callable[[str], None]
) -> None:
    async def come_to(count: int) -> float:
        begin = time.monotonic()
        await asyncio.to_thread(world.wait, lambda: replicas(world) == count, f"the gateway has {count} replicas")
        return time.monotonic() - begin

    await come_to(1)
    people = asking(world.api, bearer(world.tokens["dana"]), "/api/departments", "/api/jobs")
    async with (
        load(people, every=1) as done,
        load(*(list_tools(world, user) for user in CLIENTS), every=0.3) as lists,
    ):
        cost = await seconds_per_request(world, lists)
        lists.every = len(CLIENTS) * max(cost / LOAD, 1 / MOST_PER_SECOND)
        up = await come_to(4)
        assert {pod["spec"]["nodeName"] for pod in world.pods(GATEWAY)} == {NODE}
        lists.every = 2
        down = await come_to(1)
    report_figure(f"the gateway from 1 to 4 replicas in {up:.0f} s, back in {down:.0f} s: {lists.done} requests")
    assert done.failures + lists.failures == []
    assert done.done > 10


async def test_jobs_survive_that_their_worker_reached_its_memory_limit(
    world: World, jobs_of_a_killed_worker: tuple[list[str], Task], data_sets: dict[str, DataSet]
) -> None:
    jobs, task = jobs_of_a_killed_worker
    attempts, results = [], set()
    async with visitor(world.api, bearer(world.tokens["dana"])) as dana:
        for job in jobs:
            state = await dana.finished(job, JOB_SECONDS, every=0.5)
            assert state["status"] == "succeeded", state
            attempts.append(state["attempts"])
            results.add((await dana.good("GET", f"/api/jobs/{job}/result")).body)
    assert max(attempts) == 2, "it was killed while it worked"
    (result,) = results
    assert task.is_fulfilled_by(result, "dana", data_sets)

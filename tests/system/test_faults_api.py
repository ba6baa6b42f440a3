"""The API whose AWS fails, and the gateway that is restarted under load: nothing is lost, nothing is done twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from tests.helpers.data import DataSet, read_data_sets
from tests.helpers.jobs import MAPPING, Task, all_are_right, only_results_are_left, submit_all
from tests.helpers.proxy import Fault, Proxy, aws_operation, aws_service, cut, failing, running_proxy, slow
from tests.helpers.rest import Answer, Rest, bearer
from tests.helpers.stack import Stack
from tests.helpers.traces import traces
from tests.helpers.wire import Wire, structured

from fileproc import Client
from fileproc.transport import Retry

pytestmark = pytest.mark.slow

SMALL = Task.of_size("csv", 300)
CALLERS = 6


@dataclass
class Site:
    """A stack of this file's own, whose API reaches AWS through a proxy."""

    stack: Stack
    aws: Proxy
    data_sets: dict[str, DataSet]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running_proxy("") as aws:
        settings = {
            "application": {"AWS_ENDPOINT_URL": aws.url},
            "gateway": {"RATE_LIMIT": "100000/second"},
            # Notices within seconds what it notices within a minute in production.
            "worker": {"SILENT_SECONDS": "3", "SWEEP_SECONDS": "1", "VISIBILITY_SECONDS": "5", "RECEIVE_SECONDS": "1"},
        }
        stack = Stack(tmp_path_factory.mktemp("site") / "state", settings=settings)
        aws.upstream = stack.addresses.aws
        # In a thread: the API is ready only once the proxy, which lives in this one, has answered it.
        await asyncio.to_thread(stack.__enter__)
        try:
            yield Site(stack, aws, {data_set.ref: data_set for data_set in read_data_sets(stack)})
        finally:
            await asyncio.to_thread(stack.stop)


@pytest.fixture
def dana(site: Site, session: aiohttp.ClientSession) -> Rest:
    site.aws.fault = None
    return Rest(session, site.stack.api, bearer(site.stack.tokens["dana"]))


THROTTLED = {"s3": "SlowDown", "sqs": "ThrottlingException", "dynamodb": "ProvisionedThroughputExceededException"}
FAULTS: dict[str, Callable[[str], Fault]] = {
    "fails": lambda service: failing(service, 500, "InternalServerError"),
    "throttles": lambda service: failing(service, 503 if service == "s3" else 400, THROTTLED[service]),
    "cuts-connections": cut,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("service", ["s3", "dynamodb"])
async def test_the_api_says_that_aws_fails_and_keeps_nothing_half_when(
    site: Site, dana: Rest, service: str, fault: str
) -> None:
    before = traces(site.stack)
    site.aws.fault = FAULTS[fault](service)
    answer = await dana.call("POST", "/api/files?name=a.csv", data=SMALL.content())
    assert (answer.status, answer.slug) == (503, "storage-unavailable"), answer
    assert "Retry-After" in answer.headers
    site.aws.fault = None
    # What could not be taken back while AWS failed is at most one object that nothing refers to, and that expires.
    left = traces(site.stack).beyond(before)
    assert left.items == left.uploads == frozenset()
    jobs = await submit_all(dana, [SMALL])
    await all_are_right(dana, "dana", jobs, site.data_sets, seconds=40)


async def test_a_job_whose_message_could_not_be_sent_is_done_all_the_same(site: Site, dana: Rest) -> None:
    site.aws.fault = failing("sqs", 500, "InternalServerError")
    jobs = await submit_all(dana, [SMALL])
    site.aws.fault = None
    # A worker's sweeper finds it.
    await all_are_right(dana, "dana", jobs, site.data_sets, seconds=40)


async def test_a_slow_aws_costs_only_time(site: Site, dana: Rest) -> None:
    site.aws.fault = slow("dynamodb", 0.3)
    jobs = await submit_all(dana, [SMALL])
    await all_are_right(dana, "dana", jobs, site.data_sets, seconds=40)


async def test_a_submission_whose_answer_from_the_table_was_lost_makes_one_job(site: Site, dana: Rest) -> None:
    lost: list[str] = []

    async def lose_the_answer(request: web.Request) -> web.Response | None:
        if aws_operation(request) != "dynamodb TransactWriteItems" or lost:
            return None
        lost.append(aws_service(request))
        await site.aws.forward(request)
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=500)

    file = await dana.upload("a.csv", SMALL.content())
    known = {job["id"] for job in (await dana.good("GET", "/api/jobs")).json["jobs"]}
    site.aws.fault = lose_the_answer
    job = await dana.submit(file, mapping=MAPPING)
    assert lost
    listed = {job["id"] for job in (await dana.good("GET", "/api/jobs")).json["jobs"]}
    assert listed - known == {job}
    await all_are_right(dana, "dana", {job: SMALL}, site.data_sets, seconds=40)


async def test_two_submissions_with_one_idempotency_key_at_once_make_one_job(site: Site, dana: Rest) -> None:
    file = await dana.upload("a.csv", SMALL.content())

    async def submit() -> Answer:
        body = {"file": file, "mapping": MAPPING}
        return await dana.call("POST", "/api/jobs", body=body, headers={"Idempotency-Key": "the-same"})

    answers = await asyncio.gather(*(submit() for _ in range(8)))
    assert {answer.status for answer in answers} <= {202, 409}
    (job,) = {answer.json["id"] for answer in answers if answer.status == 202}
    await all_are_right(dana, "dana", {job: SMALL}, site.data_sets, seconds=40)
    other = await dana.call("POST", "/api/jobs", body={"file": "x"}, headers={"Idempotency-Key": "the-same"})
    assert (other.status, other.slug) == (422, "idempotency-key-reused")


@pytest.mark.parametrize("how", ["asked to stop", "killed"])
async def test_a_gateway_that_is_restarted_under_load_costs_only_time(
    site: Site, dana: Rest, tmp_path: Path, how: str
) -> None:
    stack = site.stack
    before = traces(stack)
    path = tmp_path / "a.csv"
    path.write_bytes(SMALL.content())
    restarted, answered = asyncio.Event(), 0
    expected = site.data_sets["finance.vendors"].rows["V-00001"]["name"]

    async def look_up() -> None:
        """Asks over and over, as agents do; what is answered must be right, also while the gateway goes."""
        nonlocal answered
        wire = Wire(dana.session, f"{stack.gateway}/mcp", dana.headers)
        deadline = time.monotonic() + 60
        while not restarted.is_set():
            assert time.monotonic() < deadline
            try:
                answer = await wire.tool("finance_lookup_vendors", keys=["V-00001"], columns=["name"])
            except (aiohttp.ClientError, ConnectionError):
                await asyncio.sleep(0.1)
                continue
            if answer.status in (502, 503):
                await asyncio.sleep(0.1)
                continue
            assert structured(answer)["rows"][0]["values"] == {"name": expected}
            answered += 1

    def enrich() -> str:
        """The main job by the client library, which tries again by itself; a busy machine starts a gateway slowly."""
        with Client(stack.gateway, stack.tokens["dana"], retry=Retry(attempts=9)) as client:
            job = client.submit(client.upload(path).id, mapping=MAPPING)
            return client.wait(job.id).id

    load = [asyncio.create_task(look_up()) for _ in range(CALLERS)]
    work = [asyncio.create_task(asyncio.to_thread(enrich)) for _ in range(3)]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(stack.stop_service if how == "asked to stop" else stack.kill, "gateway")
    await asyncio.to_thread(stack.start_service, "gateway")
    before_more = answered
    while answered < before_more + CALLERS:
        await asyncio.sleep(0.05)
    restarted.set()
    await asyncio.gather(*load)
    jobs = await asyncio.gather(*work)
    await all_are_right(dana, "dana", dict.fromkeys(jobs, SMALL), site.data_sets, seconds=40)
    only_results_are_left(traces(stack).beyond(before), jobs)

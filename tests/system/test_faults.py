"""Workers that die, messages that come twice, departments that fail: each row once and in order, or a clear word."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from tests.helpers.data import DataSet
from tests.helpers.departments import through_proxy, until
from tests.helpers.jobs import (
    Task,
    all_are_right,
    nothing_half_is_visible,
    only_results_are_left,
    submit_all,
)
from tests.helpers.processes import Copies, in_place_of
from tests.helpers.proxy import Fault, Proxy, cut, failing, is_lookup, running_proxy, slow
from tests.helpers.rest import Rest
from tests.helpers.stack import Stack
from tests.helpers.traces import Traces, traces
from tests.helpers.wire import Wire, result, structured

pytestmark = pytest.mark.slow

QUICK = {
    "HEARTBEAT_SECONDS": "0.3",
    "SILENT_SECONDS": "2",
    "VISIBILITY_SECONDS": "3",
    "SWEEP_SECONDS": "0.5",
    "RECEIVE_SECONDS": "1",
    "RETRY_SECONDS": "0.2",
    "MAX_ATTEMPTS": "100",
    "DEPARTMENT_SECONDS": "3",
}
"""A worker that notices within seconds what it notices within a minute in production."""

SMALL = [Task.of_size(extension, 800) for extension in ("csv", "jsonl", "parquet", "xlsx", "json", "tsv")]
LARGE = Task.of_size("csv", 6_000, "so that the result is uploaded in several parts; " * 20)
"""Also more keys of employees than one look-up takes."""


@dataclass
class Workers:
    """Workers of this test, in place of the stack's own; all they say to AWS goes through a proxy."""

    copies: Copies
    aws: Proxy


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def workers(stack: Stack) -> AsyncIterator[Workers]:
    async with running_proxy(stack.addresses.aws) as aws:
        copies = Copies(stack, "worker", {**QUICK, "AWS_ENDPOINT_URL": aws.url})
        with in_place_of(stack, "worker"):
            copies.start(1)
            try:
                yield Workers(copies, aws)
            finally:
                copies.stop()


@pytest.fixture
def before(stack: Stack, workers: Workers) -> Traces:
    workers.aws.fault = None
    return traces(stack)


async def test_a_message_delivered_twice_at_once_to_two_workers_makes_one_result(
    stack: Stack, rest: Callable[[str], Rest], workers: Workers, before: Traces, data_sets: dict[str, DataSet]
) -> None:
    dana, sqs = rest("dana"), stack.client("sqs")
    workers.copies.start(1)
    jobs = await submit_all(dana, SMALL)
    queue = stack.environment()["JOBS_QUEUE_URL"]
    for job in jobs:
        for _ in range(4):
            sqs.send_message(QueueUrl=queue, MessageBody=f'{{"job": "{job}"}}')
    async with nothing_half_is_visible(dana, jobs):
        await all_are_right(dana, "dana", jobs, data_sets, seconds=60)
    only_results_are_left(traces(stack).beyond(before), list(jobs))
    workers.copies.stop()
    workers.copies.start(1)


async def test_workers_that_are_killed_again_and_again_lose_no_row(
    stack: Stack, rest: Callable[[str], Rest], workers: Workers, before: Traces, data_sets: dict[str, DataSet]
) -> None:
    dana = rest("dana")
    jobs = await submit_all(dana, [*SMALL, LARGE])
    async with nothing_half_is_visible(dana, jobs):
        # How many calls of AWS a worker lives for: from its first message to several jobs at once under way.
        for calls in (2, 5, 9, 14, 21, 34):
            workers.aws.seen.clear()

            async def reached(calls: int = calls) -> bool:
                return len(workers.aws.seen) >= calls

            await until(f"{calls} calls of AWS were made", reached, 20)
            workers.copies.kill()
            workers.copies.start(1)
        await all_are_right(dana, "dana", jobs, data_sets, seconds=60)
    only_results_are_left(traces(stack).beyond(before), list(jobs))


THROTTLED = {"s3": "SlowDown", "sqs": "ThrottlingException", "dynamodb": "ProvisionedThroughputExceededException"}
FAULTS: dict[str, Callable[[str], Fault]] = {
    "fails": lambda service: failing(service, 500, "InternalServerError"),
    "throttles": lambda service: failing(service, 503 if service == "s3" else 400, THROTTLED[service]),
    "is slow": lambda service: slow(service, 1.0),
    "cuts connections": cut,
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("service", THROTTLED)
async def test_a_worker_bears_an_aws_service_that(
    stack: Stack,
    rest: Callable[[str], Rest],
    workers: Workers,
    before: Traces,
    data_sets: dict[str, DataSet],
    service: str,
    fault: str,
) -> None:
    dana = rest("dana")
    jobs = await submit_all(dana, SMALL[:1])
    workers.aws.seen.clear()
    workers.aws.fault = FAULTS[fault](service)
    jobs |= await submit_all(dana, SMALL[1:3])

    async def asked_again() -> bool:
        return sum(line.startswith(service) for line in workers.aws.seen) >= 4

    async with nothing_half_is_visible(dana, jobs):
        await until(f"{service} was asked and asked again", asked_again, 20)
        workers.aws.fault = None
        await all_are_right(dana, "dana", jobs, data_sets, seconds=40)
    only_results_are_left(traces(stack).beyond(before), list(jobs))


async def test_a_job_that_is_cancelled_in_the_middle_leaves_nothing_and_can_be_retried(
    stack: Stack, rest: Callable[[str], Rest], before: Traces, data_sets: dict[str, DataSet]
) -> None:
    dana, reached = rest("dana"), asyncio.Event()

    async def hold(request: web.Request) -> None:
        if is_lookup(request):
            reached.set()
            await asyncio.sleep(1)

    async with through_proxy(stack, "finance") as proxy:
        proxy.fault = hold
        jobs = await submit_all(dana, [LARGE])
        (job,) = jobs
        async with asyncio.timeout(20):
            await reached.wait()
        assert (await dana.call("DELETE", f"/api/jobs/{job}")).status == 202
        assert (await dana.finished(job, 20))["status"] == "cancelled"
        refused = await dana.call("GET", f"/api/jobs/{job}/result")
        assert (refused.status, refused.slug) == (409, "job-not-finished")

        async def is_clean() -> bool:
            left = traces(stack).beyond(before)
            return not left.uploads and not any(key.startswith("results/") for key in left.objects)

        await until("nothing of the job is left in S3", is_clean, 10)
        proxy.fault = None
        await dana.good("POST", f"/api/jobs/{job}/retry")
        await all_are_right(dana, "dana", jobs, data_sets, seconds=40)
    only_results_are_left(traces(stack).beyond(before), [job])


def tool_answer(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """An answer of the right form in which something is wrong."""

    def rewrite(body: bytes) -> bytes:
        document = json.loads(body)
        change(document["result"]["structuredContent"])
        return json.dumps(document).encode()

    return rewrite


def lose_a_column(content: dict[str, Any]) -> None:
    for row in content["rows"]:
        if row["matched"]:
            row["values"].popitem()


RUBBISH: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "a page": lambda _: b"<html>It works!</html>",
    "half an answer": lambda body: body[: len(body) // 2],
    "null": lambda _: b"null",
    "an error": lambda _: b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"secret of the server"}}',
    "fewer rows": tool_answer(lambda content: content["rows"].pop()),
    "more rows": tool_answer(lambda content: content["rows"].append(content["rows"][0])),
    "rows in another order": tool_answer(lambda content: content["rows"].reverse()),
    "rows without a column": tool_answer(lose_a_column),
    "rows of another kind": tool_answer(lambda content: content.update(rows=[[] for _ in content["rows"]])),
    "no version": tool_answer(lambda content: content.pop("version")),
    "lists for values": tool_answer(
        lambda content: [row["values"].update(name=[]) for row in content["rows"] if row["matched"]]
    ),
}


@pytest.mark.parametrize("kind", RUBBISH)
async def test_a_department_that_answers_rubbish_for_a_while_spoils_no_row(
    stack: Stack, rest: Callable[[str], Rest], before: Traces, data_sets: dict[str, DataSet], kind: str
) -> None:
    async with through_proxy(stack, "finance") as proxy:
        left = itertools.count(1)
        proxy.rewrite = lambda request, body: RUBBISH[kind](body) if is_lookup(request) and next(left) < 4 else body
        jobs = await submit_all(rest("dana"), SMALL[:1])
        await all_are_right(rest("dana"), "dana", jobs, data_sets, seconds=40)
        assert next(left) > 4
    only_results_are_left(traces(stack).beyond(before), list(jobs))


async def reset(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=500)


async def unavailable(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def silence(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response(status=504)


@pytest.mark.parametrize("fault", [reset, unavailable, silence], ids=["down", "unavailable", "silent"])
async def test_a_job_says_which_department_failed_and_can_be_retried(
    stack: Stack,
    rest: Callable[[str], Rest],
    before: Traces,
    data_sets: dict[str, DataSet],
    fault: Callable[[web.Request], Awaitable[web.Response]],
) -> None:
    dana, lookups = rest("dana"), itertools.count(1)

    async def fail_from_the_second_on(request: web.Request) -> web.Response | None:
        return await fault(request) if is_lookup(request) and next(lookups) > 1 else None

    async with through_proxy(stack, "hr") as proxy:
        proxy.fault = fail_from_the_second_on
        jobs = await submit_all(dana, [LARGE])
        (job,) = jobs
        state = await dana.finished(job, 60)
        assert state["status"] == "failed", state
        assert state["error"]["department"] == "hr", state
        assert state["retryable"], state
        assert state["result"] is None
        refused = await dana.call("GET", f"/api/jobs/{job}/result")
        assert (refused.status, refused.slug) == (409, "job-not-finished")
        proxy.fault = None
        await dana.good("POST", f"/api/jobs/{job}/retry")
        await all_are_right(dana, "dana", jobs, data_sets, seconds=40)
    only_results_are_left(traces(stack).beyond(before), [job])


async def test_a_department_that_is_slow_costs_only_time(
    stack: Stack, rest: Callable[[str], Rest], before: Traces, data_sets: dict[str, DataSet]
) -> None:
    async def wait(request: web.Request) -> None:
        if is_lookup(request):
            await asyncio.sleep(1)

    async with through_proxy(stack, "legal") as proxy:
        proxy.fault = wait
        jobs = await submit_all(rest("dana"), SMALL[:2])
        await all_are_right(rest("dana"), "dana", jobs, data_sets, seconds=40)
    only_results_are_left(traces(stack).beyond(before), list(jobs))


async def test_a_dead_department_costs_nobody_else_anything(stack: Stack, rest: Callable[[str], Rest]) -> None:
    dana = rest("dana")
    async with through_proxy(stack, "hr") as proxy:
        proxy.fault = reset
        listed = (await dana.good("GET", "/api/departments")).json["departments"]
        available = {department["name"]: department["available"] for department in listed}
        assert available == {"finance": True, "hr": False, "legal": True, "treasury-desk": True}
        wire = Wire(dana.session, f"{stack.api}/mcp", dana.headers)
        tools = {tool["name"] for tool in result(await wire.call("tools/list"))["tools"]}
        assert {"finance_lookup_vendors", "legal_lookup_contracts", "treasury_desk_lookup_accounts"} <= tools
        found = structured(await wire.tool("finance_lookup_vendors", keys=["V-00001"]))
        assert found["rows"][0]["matched"]
        file = await dana.upload("a.csv", SMALL[0].content())
        job = await dana.finished(await dana.submit(file, departments=["finance", "legal"]))
        assert job["status"] == "succeeded", job

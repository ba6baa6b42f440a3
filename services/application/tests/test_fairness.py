"""One person's many jobs and requests do not hold up another person's one."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.fault_proxy import Fault, calls
from services.application.tests.support.files import check_vendors, vendors_csv
from services.application.tests.support.stack import Platform, Process, Stack, running_stack, wait_until

from application.aws.queue import JobQueue
from application.aws.table import Table
from application.errors import Conflict
from application.jobs.store import JobStore
from application.worker.context import Context
from application.worker.sweeper import Sweeper

pytestmark = pytest.mark.slow

MANY = 3
CALLS, CALLS_OF_ONE, WORK = 64, 16, 8
ROWS = 10


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Stack]:
    """An API; each test starts its worker after it has submitted its jobs."""
    with running_stack(platform, "fairness") as running:
        yield running


@pytest.fixture(autouse=True)
def workers(stack: Stack) -> Iterator[list[Process]]:
    yield stack.workers
    stack.stop_workers()


def submitted(stack: Stack) -> tuple[Client, list[str], Client, str]:
    """Many jobs of one person, then one job of another."""
    greedy, other = Client(stack, ("finance",)), Client(stack, ("finance",))
    file, own = greedy.upload(vendors_csv(ROWS)), other.upload(vendors_csv(ROWS))
    many = [greedy.submit(file) for _ in range(MANY)]
    return greedy, many, other, other.submit(own)


def end_well(stack: Stack, greedy: Client, many: list[str], other: Client, one: str) -> int:
    """Wait until all jobs succeeded and nothing is left of them; how many jobs ended before the other person's."""
    ended = [other.wait(one), *(greedy.wait(job) for job in many)]
    assert [job["status"] for job in ended] == ["succeeded"] * (MANY + 1)
    for client, job in [(other, one), *((greedy, job) for job in many)]:
        check_vendors(client.result(job), ROWS)
        stack.wait_until_settled(job)
    mine, *others = [job["finished_at"] for job in ended]
    return sum(theirs < mine for theirs in others)


def test_a_job_does_not_wait_for_the_jobs_that_another_person_submitted_before(stack: Stack) -> None:
    jobs = submitted(stack)
    stack.start_worker(JOBS_AT_ONCE="1")
    assert end_well(stack, *jobs) <= 1


def test_a_person_alone_uses_all_slots(stack: Stack, finance: FakeDepartment) -> None:
    alone = Client(stack, ("finance",))
    file = alone.upload(vendors_csv(ROWS))
    jobs = [alone.submit(file) for _ in range(2)]
    finance.delay = 1
    stack.start_worker(JOBS_AT_ONCE="2")
    wait_until(lambda: {alone.job(job)["status"] for job in jobs} == {"running"}, what="both jobs running")
    finance.behave()
    for job in jobs:
        assert alone.wait(job)["status"] == "succeeded"
        stack.wait_until_settled(job)


def test_no_job_is_lost_when_a_worker_is_killed_on_a_job_that_used_another_jobs_message(
    stack: Stack, platform: Platform
) -> None:
    jobs = submitted(stack)
    published = calls("dynamodb", "UpdateItem", holding=b"succeeded")
    fault = Fault(lambda call: published(call) and jobs[3].encode() in call.body, times=1, dropped=True)
    fault.before = lambda: stack.workers[0].popen.kill()
    platform.proxy.add(fault)
    worker = stack.start_worker(JOBS_AT_ONCE="1")
    wait_until(lambda: worker.popen.poll() is not None, what="the worker's death")
    stack.start_worker(JOBS_AT_ONCE="1")
    end_well(stack, *jobs)
    assert jobs[2].job(jobs[3])["attempts"] == 2


def test_messages_of_cancelled_and_deleted_jobs_cost_no_other_job_its_turn(stack: Stack) -> None:
    greedy, many, other, one = submitted(stack)
    gone = Client(stack, ("finance",))
    file = gone.upload(vendors_csv(ROWS))
    stack.sqs.purge_queue(QueueUrl=stack.queue_url)
    for job in (gone.submit(file), gone.submit(file)):
        assert gone.call("DELETE", f"/api/jobs/{job}").status == 202
    assert gone.call("DELETE", f"/api/files/{file}").status == 204
    stack.start_worker(JOBS_AT_ONCE="1", SILENT_SECONDS="600", VISIBILITY_SECONDS="900")
    wait_until(lambda: stack.messages() == 0, 60, "the use of both messages")
    states = [greedy.job(job)["status"] for job in many] + [other.job(one)["status"]]
    assert sorted(states) == ["queued"] * (MANY - 1) + ["succeeded"] * 2
    for job in many:
        stack.send(job)
    end_well(stack, greedy, many, other, one)


def test_silent_job_is_sent_again_at_intervals_that_double_and_by_one_sweeper(stack: Stack) -> None:
    client = Client(stack, ("finance",))
    job = client.submit(client.upload(vendors_csv(ROWS)))
    store = JobStore(Table(stack.dynamodb, stack.table))
    needed = SimpleNamespace(
        settings=SimpleNamespace(silent_seconds=10), jobs=store, queue=JobQueue(stack.sqs, stack.queue_url)
    )
    sweeper = Sweeper(cast("Context", needed), asyncio.Event())
    before, sent = stack.messages(), []
    for seconds in (5, 15, 15, 25, 25, 45):
        stack.change(job, heartbeat={"N": str(int((time.time() - seconds) * 1000))}, gsi1sk={"S": "0"})
        sweeper.sweep()
        sent.append(stack.messages() - before)
    assert sent == [0, 1, 1, 2, 2, 3]
    (seen,) = [each for each in store.silent(int(time.time() * 1000)) if each.id == job]
    store.note_resend(seen)
    with pytest.raises(Conflict):
        store.note_resend(seen)
    assert client.call("DELETE", f"/api/jobs/{job}").status == 202
    # SQS purges a queue once a minute at most, and another test does.
    while found := stack.sqs.receive_message(QueueUrl=stack.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in found:
            stack.sqs.delete_message(QueueUrl=stack.queue_url, ReceiptHandle=message["ReceiptHandle"])


def test_jobs_end_well_though_their_swapped_messages_reach_the_dead_letter_queue(
    stack: Stack, platform: Platform
) -> None:
    greedy, many, other, one = jobs = submitted(stack)
    # One more message than jobs: that of the first run of a job that was cancelled and retried.
    assert greedy.call("DELETE", f"/api/jobs/{many[0]}").status == 202
    assert greedy.call("POST", f"/api/jobs/{many[0]}/retry").status == 202
    dead = stack.sqs.create_queue(QueueName=f"dead-{stack.name}")["QueueUrl"]
    arn = stack.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def redrive(after: int) -> None:
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": after})
        stack.sqs.set_queue_attributes(QueueUrl=stack.queue_url, Attributes={"RedrivePolicy": policy})

    def died() -> int:
        counts = stack.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
        return int(counts["Attributes"]["ApproximateNumberOfMessages"])

    redrive(1)
    # The other person's job fails three times, whichever message it runs by; then that message is received once more.
    file = other.job(one)["file"]["id"]
    platform.proxy.add(Fault(calls("s3", "GetObject", key=file), times=3, status=403, code="AccessDenied"))
    stack.start_worker(JOBS_AT_ONCE="1")
    end_well(stack, *jobs)
    redrive(1000)
    assert died() >= 2
    assert [other.job(one)["attempts"], *(greedy.job(job)["attempts"] for job in many)] == [4, 1, 1, 1]


@pytest.mark.parametrize(
    ("path", "many", "under_way"),
    [("/api/files", CALLS + 8, CALLS_OF_ONE), ("/api/preview", WORK + 1, 1)],
)
def test_one_persons_requests_that_wait_for_aws_do_not_keep_others_waiting(
    stack: Stack, platform: Platform, path: str, many: int, under_way: int
) -> None:
    greedy, other = Client(stack, ("finance",)), Client(stack, ("finance",))
    file, own = greedy.upload(vendors_csv(ROWS)), other.upload(vendors_csv(ROWS))
    listing, reading = calls("dynamodb", "Query", holding=greedy.subject.encode()), calls("s3", "GetObject", key=file)
    fault = Fault(lambda call: listing(call) or reading(call), delay=30)

    def ask(client: Client, its: str) -> int:
        if path == "/api/preview":
            return client.call("POST", path, document={"file": its}).status
        return client.call("GET", path).status

    platform.proxy.add(fault)
    with ThreadPoolExecutor(many) as pool:
        waiting = [pool.submit(ask, greedy, file) for _ in range(many)]
        wait_until(lambda: fault.hits >= under_way)
        for _ in range(5):
            assert ask(other, own) == 200
        assert not any(future.done() for future in waiting)
        # Each waits until its call has timed out and is tried again.
        platform.proxy.clear()

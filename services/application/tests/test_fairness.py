"""One person's many jobs and requests do not hold up another person's one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.fault_proxy import Fault, calls
from services.application.tests.support.files import check_vendors, vendors_csv
from services.application.tests.support.stack import Platform, Process, Stack, running_stack, wait_until

pytestmark = pytest.mark.slow

MANY = 3
CALLS, CALLS_OF_ONE = 64, 16
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


def test_one_persons_requests_that_wait_for_aws_do_not_keep_others_waiting(stack: Stack, platform: Platform) -> None:
    greedy, other = Client(stack, ("finance",)), Client(stack, ("finance",))
    fault = Fault(calls("dynamodb", "Query", holding=greedy.subject.encode()), delay=30)
    platform.proxy.add(fault)
    with ThreadPoolExecutor(CALLS + 8) as pool:
        waiting = [pool.submit(greedy.call, "GET", "/api/files") for _ in range(CALLS + 8)]
        wait_until(lambda: fault.hits >= CALLS_OF_ONE)
        for _ in range(5):
            assert other.call("GET", "/api/files").status == 200
        assert not any(future.done() for future in waiting)
        # Each waits until its call has timed out and is tried again.
        platform.proxy.clear()

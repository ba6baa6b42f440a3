"""What goes wrong in the middle of a job: every row is in the result once, or the job says what can be done."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.fault_proxy import Fault, calls
from services.application.tests.support.files import check_vendors, vendors_csv
from services.application.tests.support.stack import Platform, Process, Stack, running_stack, wait_until

pytestmark = pytest.mark.slow

ROWS = 30_000


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Stack]:
    with running_stack(platform, "faults") as stack:
        yield stack


@pytest.fixture(scope="module")
def workers(stack: Stack) -> list[Process]:
    return [stack.start_worker(), stack.start_worker()]


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return Client(stack, ("finance",))


@pytest.fixture(scope="module")
def file(client: Client) -> str:
    return client.upload(vendors_csv(ROWS))


@pytest.fixture
def finance(platform: Platform) -> FakeDepartment:
    return platform.departments["finance"]


class AtLookup:
    """Does something when the department gets its look-up of that number, counted from 1."""

    def __init__(self, number: int, action: Callable[[], Any]) -> None:
        self._number = number
        self._action = action
        self._lookups = 0
        self.reached = threading.Event()

    def __call__(self, tool: str) -> Any:
        if "lookup" not in tool:
            return None
        self._lookups += 1
        if self._lookups != self._number:
            return None
        self.reached.set()
        return self._action()


def holder(stack: Stack, workers: list[Process], job: str) -> Process:
    """The worker that runs the job."""

    def found() -> Process | None:
        return next((worker for worker in workers if f'"job": "{job}"' in worker.output()), None)

    return wait_until(found, what="a worker's taking the job")  # type: ignore[no-any-return]


def test_a_message_that_comes_many_times_at_once_is_one_job(
    stack: Stack, workers: list[Process], client: Client, file: str
) -> None:
    job = client.submit(file)
    for _ in range(6):
        stack.send(job)
    done = client.wait(job)
    assert (done["status"], done["attempts"]) == ("succeeded", 1)
    check_vendors(client.result(job), ROWS)
    stack.wait_until_settled(job)
    assert client.job(job) == done


def test_a_worker_that_was_away_for_too_long_throws_its_result_away(
    stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    finance.delay = 0.3
    at = AtLookup(2, lambda: None)
    finance.misbehave = at
    job = client.submit(file)
    assert at.reached.wait(20)
    away = holder(stack, workers, job)
    away.popen.send_signal(signal.SIGSTOP)
    try:
        finance.behave()
        done = client.wait(job)
        result = client.result(job)
    finally:
        away.popen.send_signal(signal.SIGCONT)
    assert (done["status"], done["attempts"]) == ("succeeded", 2)
    check_vendors(result, ROWS)
    wait_until(lambda: '"outcome": "fenced"' in away.output(), what="the other's noticing")
    stack.wait_until_settled(job)
    assert client.result(job) == result


def test_a_worker_that_is_stopped_gives_its_job_back_at_once(
    stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    job = _submit(client, file, finance)
    stopped = holder(stack, workers, job)
    started = time.monotonic()
    stopped.popen.send_signal(signal.SIGTERM)
    finance.behave()
    stopped.stop()
    assert stopped.popen.returncode == 0
    assert time.monotonic() - started < 10
    workers[workers.index(stopped)] = stack.start_worker()
    done = client.wait(job)
    assert (done["status"], done["attempts"]) == ("succeeded", 1)
    check_vendors(client.result(job), ROWS)
    stack.wait_until_settled(job)


def _submit(client: Client, file: str, department: FakeDepartment, delay: float = 60) -> str:
    """Submit a job while the department answers; from its first look-up on it is slow."""

    def slow() -> None:
        department.delay = delay

    department.delay = 0
    department.misbehave = AtLookup(1, slow)
    job = client.submit(file)
    wait_until(lambda: department.delay, what="the first look-up")
    return job


def test_a_job_is_cancelled_in_the_middle_and_leaves_nothing(
    stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    job = _submit(client, file, finance)
    started = time.monotonic()
    assert client.call("DELETE", f"/api/jobs/{job}").status == 202
    done = client.wait(job)
    assert done["status"] == "cancelled"
    assert time.monotonic() - started < 5
    assert (done["result"], done["retryable"]) == (None, True)
    stack.wait_until_settled(job)
    again = client.call("DELETE", f"/api/jobs/{job}")
    assert (again.status, again.json()["status"]) == (202, "cancelled")
    assert client.call("GET", f"/api/jobs/{job}/result").slug == "job-not-finished"
    finance.behave()
    assert client.call("POST", f"/api/jobs/{job}/retry").status == 202
    assert client.wait(job)["status"] == "succeeded"
    check_vendors(client.result(job), ROWS)


def test_a_department_that_is_away_for_a_moment_costs_a_moment(
    stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    def away() -> None:
        finance.status = 503
        threading.Timer(1.0, finance.behave).start()

    finance.misbehave = AtLookup(3, away)
    job = client.submit(file)
    done = client.wait(job)
    assert (done["status"], done["attempts"]) == ("succeeded", 1), done
    check_vendors(client.result(job), ROWS)


RUBBISH: dict[str, dict[str, Any]] = {
    "not JSON": {"raw": b"<html>"},
    "not the protocol": {"raw": b'{"jsonrpc": "2.0", "id": 1, "result": {}}'},
    "no object": {"raw": b"[]"},
    "an error": {"raw": b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "x"}}'},
    "down": {"status": 500},
    "slow": {"delay": 30.0},
    "redirected": {"status": 307},
}


@pytest.mark.parametrize("how", RUBBISH)
def test_a_department_that_fails_in_the_middle_is_named_and_the_job_can_be_retried(
    how: str, stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    def fail() -> None:
        for name, value in RUBBISH[how].items():
            setattr(finance, name, value)

    finance.misbehave = AtLookup(3, fail)
    job = client.submit(file)
    done = client.wait(job)
    assert (done["status"], done["retryable"], done["result"]) == ("failed", True, None)
    assert done["error"]["type"] == "urn:fileproc:problem:department-unavailable"
    assert done["error"]["department"] == "finance"
    stack.wait_until_settled(job)
    finance.behave()
    if how == "down":
        assert client.call("POST", f"/api/jobs/{job}/retry").json()["status"] == "queued"
        assert client.wait(job)["status"] == "succeeded"
        check_vendors(client.result(job), ROWS)


def test_a_department_that_withdraws_access_in_the_middle_ends_the_job(
    stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    def refuse() -> None:
        finance.status = 403

    finance.misbehave = AtLookup(3, refuse)
    done = client.wait(client.submit(file))
    assert done["status"] == "failed"
    assert done["error"]["type"] == "urn:fileproc:problem:access-withdrawn"
    assert done["error"]["department"] == "finance"


def test_a_file_that_vanished_ends_the_job_for_good(
    stack: Stack, workers: list[Process], client: Client, finance: FakeDepartment, platform: Platform
) -> None:
    file = client.upload(vendors_csv(10))
    # Once the API has read the file, and before a worker does; tidying up after another job calls S3 too.
    gone = Fault(calls("sqs", "SendMessage"), times=1)
    gone.before = lambda: stack.s3.delete_object(Bucket=stack.bucket, Key=f"uploads/{file}")  # type: ignore[assignment]
    platform.proxy.add(gone)
    job = client.submit(file)
    done = client.wait(job)
    assert (done["status"], done["retryable"]) == ("failed", False)
    assert done["error"]["type"] == "urn:fileproc:problem:file-gone"
    assert client.call("POST", f"/api/jobs/{job}/retry").slug == "job-not-retryable"
    assert client.call("POST", "/api/preview", document={"file": file}).slug == "file-gone"


def test_a_job_whose_message_was_never_sent_is_found(
    stack: Stack, workers: list[Process], client: Client, file: str, platform: Platform
) -> None:
    platform.proxy.add(Fault(calls("sqs", "SendMessage"), times=4, status=500))
    job = client.submit(file)
    done = client.wait(job)
    assert (done["status"], done["attempts"]) == ("succeeded", 1)


def test_a_job_whose_workers_all_died_has_failed_and_can_be_retried(
    stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    job = _submit(client, file, finance)
    worker = holder(stack, workers, job)
    worker.kill()
    # The fifth attempt dies now; the four before it are written into the item.
    stack.change(job, attempts={"N": "5"})
    finance.behave()
    done = client.wait(job)
    assert (done["status"], done["retryable"]) == ("failed", True)
    assert done["error"]["type"] == "urn:fileproc:problem:too-many-attempts"
    workers[workers.index(worker)] = stack.start_worker()
    stack.wait_until_settled(job)
    client.call("POST", f"/api/jobs/{job}/retry")
    done = client.wait(job)
    assert (done["status"], done["attempts"]) == ("succeeded", 1)
    check_vendors(client.result(job), ROWS)


def test_a_job_acts_for_its_caller_no_longer_than_a_day(
    stack: Stack, workers: list[Process], client: Client, file: str, finance: FakeDepartment
) -> None:
    job = _submit(client, file, finance)
    stack.change(job, caller_until={"N": str(int(time.time()) - 1)})
    done = client.wait(job)
    assert (done["status"], done["retryable"]) == ("failed", True)
    assert done["error"]["type"] == "urn:fileproc:problem:caller-expired"
    finance.behave()
    client.call("POST", f"/api/jobs/{job}/retry")
    assert client.wait(job)["status"] == "succeeded"


def test_messages_that_are_none_of_ours_are_removed(stack: Stack, workers: list[Process]) -> None:
    for body in ("rubbish", "[]", '{"job": 7}', '{"job": "nothing"}', '{"job": "../../x"}'):
        stack.sqs.send_message(QueueUrl=stack.queue_url, MessageBody=body)
    wait_until(lambda: not stack.messages(), what="their removal")

"""A worker is killed, without warning, at each point of a job; another finishes the job."""

from collections.abc import Callable, Iterator

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.fault_proxy import Call, Fault, calls
from services.application.tests.support.files import check_vendors, vendors_csv
from services.application.tests.support.stack import Platform, Process, Stack, running_stack, wait_until

pytestmark = pytest.mark.slow

ROWS = 30_000


def first_after(other: Callable[[Call], bool], wanted: Callable[[Call], bool]) -> Callable[[Call], bool]:
    """The call that is wanted, once another was seen: the API reads the file as well, before there is a job."""
    seen = False

    def matches(call: Call) -> bool:
        nonlocal seen
        seen = seen or other(call)
        return seen and wanted(call)

    return matches


POINTS = {
    "before the claim is written": (calls("dynamodb", "UpdateItem", holding=b'"running"'), "before"),
    "after the claim is written": (calls("dynamodb", "UpdateItem", holding=b'"running"'), "after"),
    "while it looks for what others left": (calls("s3", "ListMultipartUploads"), "before"),
    "before the first byte is read": (first_after(calls("s3", "ListObjects"), calls("s3", "GetObject")), "before"),
    "after the multipart upload was begun": (calls("s3", "CreateMultipartUpload"), "after"),
    "after a part was written": (calls("s3", "UploadPart"), "after"),
    "before the result is put together": (calls("s3", "CompleteMultipartUpload"), "before"),
    "after the result was put together": (calls("s3", "CompleteMultipartUpload"), "after"),
    "before the report is kept": (calls("dynamodb", "PutItem"), "before"),
    "before the result is published": (calls("dynamodb", "UpdateItem", holding=b"succeeded"), "before"),
    "after the result was published": (calls("dynamodb", "UpdateItem", holding=b"succeeded"), "after"),
    "before the message is deleted": (calls("sqs", "DeleteMessage"), "before"),
}
ENOUGH_WAS_DONE = {
    "before the claim is written",
    "after the result was published",
    "before the message is deleted",
}


class Workers:
    """One worker at a time, which is replaced when it was killed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.current: Process = stack.start_worker(JOBS_AT_ONCE="1")

    def kill(self) -> None:
        """Its death is waited for: until then it would take a dropped answer for a fault, and try again."""
        self.current.popen.kill()
        self.current.popen.wait(10)

    def replace(self) -> None:
        wait_until(lambda: self.current.popen.poll() is not None, what="the worker's death")
        self.current = self._stack.start_worker(JOBS_AT_ONCE="1")


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Stack]:
    with running_stack(platform, "kills") as stack:
        yield stack


@pytest.fixture(scope="module")
def workers(stack: Stack) -> Workers:
    return Workers(stack)


@pytest.fixture(scope="module")
def file(stack: Stack) -> tuple[Client, str]:
    client = Client(stack, ("finance",))
    return client, client.upload(vendors_csv(ROWS))


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_workers_job_is_finished_by_another(
    point: str, stack: Stack, workers: Workers, file: tuple[Client, str], platform: Platform
) -> None:
    client, identifier = file
    matches, moment = POINTS[point]
    fault = Fault(matches, times=1, dropped=moment == "before")
    setattr(fault, moment, workers.kill)
    platform.proxy.add(fault)
    job = client.submit(identifier)
    workers.replace()
    done = client.wait(job, seconds=40)
    stack.wait_until_settled(job)
    assert done["status"] == "succeeded", done
    check_vendors(client.result(job), ROWS)
    assert done["attempts"] == (1 if point in ENOUGH_WAS_DONE else 2)
    assert done["progress"]["rows"] == ROWS

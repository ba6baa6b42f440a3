"""S3, SQS or DynamoDB fail for a while, are slow, throttle, or lose an answer, in the middle of a job."""

import threading
from collections.abc import Iterator

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.fault_proxy import Fault, calls
from services.application.tests.support.files import check_vendors, vendors_csv
from services.application.tests.support.stack import Platform, Process, Stack, running_stack, wait_until

pytestmark = pytest.mark.slow

ROWS = 30_000
OUTAGES = {
    "S3 fails": Fault(calls("s3"), status=503, code="SlowDown"),
    "DynamoDB fails": Fault(calls("dynamodb"), status=500, code="InternalServerError"),
    "DynamoDB throttles": Fault(calls("dynamodb"), status=400, code="ProvisionedThroughputExceededException"),
    "SQS fails": Fault(calls("sqs"), status=500),
}


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Stack]:
    with running_stack(platform, "outages") as stack:
        yield stack


@pytest.fixture(scope="module", autouse=True)
def worker(stack: Stack) -> Process:
    return stack.start_worker()


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return Client(stack, ("finance",))


@pytest.fixture(scope="module")
def file(client: Client) -> str:
    return client.upload(vendors_csv(ROWS))


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_of_some_seconds_is_survived(
    outage: str, stack: Stack, client: Client, file: str, platform: Platform
) -> None:
    fault = OUTAGES[outage]
    finance = platform.departments["finance"]
    began = threading.Event()

    def begin(tool: str) -> None:
        if "lookup" in tool and not began.is_set():
            platform.proxy.add(fault)
            began.set()

    finance.misbehave = begin
    job = client.submit(file)
    assert began.wait(20)
    wait_until(lambda: fault.hits >= 3, what="the outage's being felt")
    threading.Event().wait(2)
    platform.proxy.clear()
    done = client.wait(job, seconds=60)
    assert done["status"] == "succeeded", done
    check_vendors(client.result(job), ROWS)
    stack.wait_until_settled(job)


def test_slow_storage_makes_slow_jobs_and_nothing_else(
    stack: Stack, client: Client, file: str, platform: Platform
) -> None:
    platform.proxy.add(Fault(calls("s3"), delay=0.3))
    platform.proxy.add(Fault(calls("dynamodb"), delay=0.3))
    job = client.submit(file)
    done = client.wait(job, seconds=60)
    assert (done["status"], done["attempts"]) == ("succeeded", 1)
    check_vendors(client.result(job), ROWS)
    platform.proxy.clear()
    stack.wait_until_settled(job)


LOST = {
    "the claim": calls("dynamodb", "UpdateItem", holding=b'"running"'),
    "the publication": calls("dynamodb", "UpdateItem", holding=b"succeeded"),
    "the beginning of the multipart upload": calls("s3", "CreateMultipartUpload"),
    "a part": calls("s3", "UploadPart"),
    "the end of the multipart upload": calls("s3", "CompleteMultipartUpload"),
    "the message": calls("sqs", "ReceiveMessage"),
}


@pytest.mark.parametrize("what", LOST)
def test_a_lost_answer_to_a_write_that_was_done_does_no_harm(
    what: str, stack: Stack, client: Client, file: str, platform: Platform
) -> None:
    platform.proxy.add(Fault(LOST[what], times=1, cut_after=0))
    job = client.submit(file)
    done = client.wait(job, seconds=60)
    assert done["status"] == "succeeded", done
    check_vendors(client.result(job), ROWS)
    stack.wait_until_settled(job)


def test_a_connection_that_breaks_while_the_file_is_read_is_taken_up_again(
    stack: Stack, client: Client, file: str, platform: Platform, worker: Process
) -> None:
    broken = [
        platform.proxy.add(Fault(calls("s3", "GetObject", key=file), skip=skip, times=1, cut_after=cut))
        for skip, cut in ((2, 700_000), (3, 0), (4, 2_000_000))
    ]
    job = client.submit(file)
    done = client.wait(job)
    assert (done["status"], done["attempts"]) == ("succeeded", 1)
    assert [fault.hits > 0 for fault in broken] == [True] * 3
    check_vendors(client.result(job), ROWS)
    assert worker.popen.poll() is None


def test_the_api_says_that_the_storage_does_not_answer(client: Client, file: str, platform: Platform) -> None:
    platform.proxy.add(Fault(calls("dynamodb"), status=500, code="InternalServerError"))
    answer = client.call("GET", f"/api/files/{file}")
    assert (answer.status, answer.slug) == (503, "storage-unavailable")
    assert answer.headers["retry-after"] == "5"
    platform.proxy.clear()
    assert client.call("GET", f"/api/files/{file}").status == 200


def test_an_upload_that_the_storage_refuses_leaves_nothing(stack: Stack, client: Client, platform: Platform) -> None:
    before = set(stack.keys("uploads/"))
    for fault in (
        Fault(calls("s3", "UploadPart"), skip=1, status=500),
        Fault(calls("s3", "CompleteMultipartUpload"), status=500),
        Fault(calls("dynamodb", "TransactWriteItems"), status=500, code="InternalServerError"),
    ):
        platform.proxy.add(fault)
        answer = client.call("POST", "/api/files?name=x.csv", vendors_csv(60_000))
        assert answer.slug == "storage-unavailable"
        platform.proxy.clear()
    assert set(stack.keys("uploads/")) == before
    assert stack.multipart_uploads() == []

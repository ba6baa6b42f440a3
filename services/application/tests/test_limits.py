"""No subject takes more than its part: unfinished jobs, uploads on their way, and bytes that are kept."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from services.application.tests.support.client import Answer, Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.stack import Platform, Stack, running_stack, wait_until

pytestmark = pytest.mark.slow

JOBS = 3
UPLOADS = 3
BYTES = 100_000
LARGE = b"vendor_id\n" + b"V-00001\n" * 4998 + b"V-1\n\n"


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Stack]:
    """No worker runs: what is submitted stays."""
    limits = {"MAX_ACTIVE_JOBS": str(JOBS), "MAX_UPLOADS": str(UPLOADS), "MAX_STORED_BYTES": str(BYTES)}
    with running_stack(platform, "limits", **limits) as running:
        yield running


def at_once(count: int, call: Callable[[], Answer]) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(call) for _ in range(count)]]


def submit(client: Client, file: str) -> Answer:
    return client.call("POST", "/api/jobs", document={"file": file})


def upload(client: Client, content: bytes) -> Answer:
    return client.call("POST", "/api/files?name=a.csv", content)


def test_jobs_that_have_ended_do_not_count(stack: Stack, dana: Client) -> None:
    file = dana.upload(b"vendor_id\nV-00001\n")
    stack.start_worker()
    try:
        for _ in range(JOBS + 1):
            dana.wait(dana.submit(file), "succeeded", seconds=60)
    finally:
        stack.stop_workers()


def test_one_job_more_than_the_limit_is_refused_until_one_is_done_with(alice: Client, dana: Client) -> None:
    file = alice.upload(b"vendor_id\nV-00001\n")
    jobs = [alice.submit(file) for _ in range(JOBS)]
    refused = submit(alice, file)
    assert (refused.status, refused.slug) == (429, "too-many-jobs")
    assert int(refused.headers["retry-after"]) > 0
    assert str(JOBS) in refused.json()["detail"]
    assert submit(dana, dana.upload(b"vendor_id\nV-00001\n")).status == 202

    assert alice.call("DELETE", f"/api/jobs/{jobs[0]}").status == 202
    assert submit(alice, file).status == 202
    assert submit(alice, file).slug == "too-many-jobs"
    assert alice.call("POST", f"/api/jobs/{jobs[0]}/retry").slug == "too-many-jobs"
    assert alice.call("DELETE", f"/api/jobs/{jobs[1]}").status == 202
    assert alice.call("POST", f"/api/jobs/{jobs[0]}/retry").status == 202
    assert submit(alice, file).slug == "too-many-jobs"


def test_a_repeated_submission_of_the_same_job_is_no_further_one(alice: Client) -> None:
    file = alice.upload(b"vendor_id\nV-00001\n")
    keys = {"idempotency-key": "the same"}
    answers = [alice.call("POST", "/api/jobs", document={"file": file}, headers=keys) for _ in range(JOBS + 2)]
    assert {(answer.status, answer.json()["id"]) for answer in answers} == {(202, answers[0].json()["id"])}


def test_of_many_jobs_at_once_no_more_than_the_limit_are_taken(alice: Client) -> None:
    file = alice.upload(b"vendor_id\nV-00001\n")
    answers = at_once(8, lambda: submit(alice, file))
    taken = [answer for answer in answers if answer.status == 202]
    assert 1 <= len(taken) <= JOBS
    assert {answer.slug for answer in answers if answer not in taken} <= {"too-many-jobs", "conflict"}
    listed = alice.call("GET", "/api/jobs").json()["jobs"]
    assert len(listed) == len(taken)


def test_a_file_that_does_not_fit_is_refused_and_leaves_nothing_until_there_is_room(
    stack: Stack, alice: Client, dana: Client
) -> None:
    first = alice.upload(LARGE)
    alice.upload(LARGE)
    before = set(stack.keys("uploads/"))
    for content in (LARGE, iter([LARGE[:30_000], LARGE[30_000:]])):
        refused = alice.call("POST", "/api/files?name=a.csv", content)
        assert (refused.status, refused.slug) == (413, "storage-full")
        assert str(BYTES) in refused.json()["detail"]
    assert set(stack.keys("uploads/")) == before
    assert not stack.multipart_uploads()
    assert upload(dana, LARGE).status == 201

    assert alice.call("DELETE", f"/api/files/{first}").status == 204
    assert upload(alice, LARGE).status == 201
    assert upload(alice, LARGE).slug == "storage-full"


def test_a_file_of_unknown_size_is_refused_when_all_of_it_is_known(stack: Stack, alice: Client) -> None:
    alice.upload(LARGE)
    before = set(stack.keys("uploads/"))
    refused = alice.call("POST", "/api/files?name=a.csv", iter([LARGE, LARGE[10:]]))
    assert (refused.status, refused.slug) == (413, "storage-full")
    assert set(stack.keys("uploads/")) == before
    assert upload(alice, LARGE[:1000]).status == 201


def test_of_many_files_at_once_no_more_than_fit_are_taken(alice: Client) -> None:
    answers = at_once(6, lambda: upload(alice, LARGE))
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [201, 201, 413, 413, 413, 413]


def test_a_job_counts_as_much_as_its_file_until_the_file_is_deleted(alice: Client) -> None:
    file = alice.upload(LARGE)
    job = alice.submit(file)
    assert upload(alice, LARGE).slug == "storage-full"
    assert submit(alice, file).slug == "storage-full"
    assert alice.call("DELETE", f"/api/jobs/{job}").status == 202
    assert alice.call("DELETE", f"/api/files/{file}").status == 204
    assert upload(alice, LARGE).status == 201


WANTED = {"name": "a.csv", "size": len(LARGE)}


def complete(client: Client, begun: dict[str, Any]) -> Answer:
    (part,) = begun["parts"]
    etag = urllib3.request("PUT", part["url"], body=LARGE).headers["etag"]
    parts = {"parts": [{"number": 1, "etag": etag}]}
    return client.call("POST", f"/api/uploads/{begun['id']}/complete", document=parts)


def test_an_announced_upload_takes_no_storage_from_its_owner(stack: Stack, alice: Client) -> None:
    begun = [alice.call("POST", "/api/uploads", document=WANTED) for _ in range(UPLOADS)]
    assert {answer.status for answer in begun} == {201}
    assert upload(alice, LARGE).status == 201
    for answer in begun:
        assert alice.call("DELETE", f"/api/uploads/{answer.json()['id']}").status == 204
    assert not stack.multipart_uploads()


def test_one_upload_more_than_the_limit_is_refused_until_one_is_aborted_or_complete(alice: Client) -> None:
    begun = [alice.call("POST", "/api/uploads", document=WANTED).json() for _ in range(UPLOADS)]
    refused = alice.call("POST", "/api/uploads", document=WANTED)
    assert (refused.status, refused.slug) == (429, "too-many-uploads")
    listed = alice.call("GET", "/api/uploads").json()["uploads"]
    assert [each["id"] for each in listed] == [each["id"] for each in reversed(begun)]
    assert alice.call("DELETE", f"/api/uploads/{begun[0]['id']}").status == 204
    assert alice.call("POST", "/api/uploads", document=WANTED).status == 201
    assert alice.call("POST", "/api/uploads", document=WANTED).slug == "too-many-uploads"
    assert complete(alice, begun[1]).status == 201
    assert alice.call("POST", "/api/uploads", document=WANTED).status == 201


def test_of_many_uploads_at_once_no_more_than_the_limit_are_taken(alice: Client) -> None:
    answers = at_once(8, lambda: alice.call("POST", "/api/uploads", document=WANTED))
    taken = [answer for answer in answers if answer.status == 201]
    assert 1 <= len(taken) <= UPLOADS
    assert {answer.slug for answer in answers if answer not in taken} <= {"too-many-uploads", "conflict"}
    assert len(alice.call("GET", "/api/uploads").json()["uploads"]) == len(taken)


def test_an_upload_without_room_stays_until_its_owner_makes_room(alice: Client) -> None:
    begun = [alice.call("POST", "/api/uploads", document=WANTED).json() for _ in range(3)]
    first = complete(alice, begun[0]).json()["id"]
    assert complete(alice, begun[1]).status == 201
    assert complete(alice, begun[2]).slug == "storage-full"
    assert alice.call("POST", "/api/uploads", document=WANTED).slug == "storage-full"
    assert alice.call("DELETE", f"/api/files/{first}").status == 204
    assert complete(alice, begun[2]).status == 201


def test_what_has_expired_does_not_count(stack: Stack, alice: Client) -> None:
    file = alice.upload(LARGE)
    created_at = alice.call("GET", f"/api/files/{file}").json()["created_at"]
    alice.upload(LARGE)
    assert upload(alice, LARGE).slug == "storage-full"
    stack.dynamodb.update_item(
        TableName=stack.table,
        Key={"pk": {"S": f"OWNER#{alice.subject}"}, "sk": {"S": f"FILE#{created_at}#{file}"}},
        UpdateExpression="SET expires_at = :then",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":then": {"N": str(int(time.time()) - 1)}},
    )
    assert upload(alice, LARGE).status == 201


def test_one_callers_previews_that_take_long_do_not_keep_others_waiting(
    stack: Stack, alice: Client, finance: FakeDepartment
) -> None:
    bob = Client(stack, ("hr",))
    slow, quick = alice.upload(b"vendor_id\nV-00001\n"), bob.upload(b"employee_id\nE-00001\n")
    finance.delay = 2.5
    asked = finance.asked
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(alice.call, "POST", "/api/preview", document={"file": slow}) for _ in range(10)]
        wait_until(lambda: finance.asked >= asked + 3)
        assert bob.call("POST", "/api/preview", document={"file": quick}).status == 200
        assert not all(future.done() for future in waiting)
        finance.behave()
        assert {future.result().status for future in waiting} == {200}

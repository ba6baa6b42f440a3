import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.stack import Stack, wait_until

pytestmark = pytest.mark.slow

SMALL = b"vendor_id\nV-00001\n"
BOUNDARY = "a-boundary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(content: bytes, name: str = "data.csv", field: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
    return f"{head}Content-Type: text/csv\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def big(size: int) -> bytes:
    return (b"vendor_id,number\n" + b"".join(b"V-00001,%d\n" % number for number in range(size // 12)))[:size]


def test_a_file_is_taken_in_as_it_is(stack: Stack, alice: Client) -> None:
    answer = alice.call("POST", "/api/files?name=data.csv", SMALL)
    file = answer.json()
    assert answer.status == 201
    assert answer.headers["location"] == f"/api/files/{file['id']}"
    assert file == {
        "id": file["id"],
        "name": "data.csv",
        "size": len(SMALL),
        "format": "csv",
        "created_at": file["created_at"],
        "expires_at": file["expires_at"],
    }
    assert file["created_at"].endswith("Z")
    assert alice.call("GET", f"/api/files/{file['id']}").json() == file
    assert content_of(stack, file["id"]) == SMALL


def content_of(stack: Stack, file: str) -> bytes:
    return stack.s3.get_object(Bucket=stack.bucket, Key=f"uploads/{file}")["Body"].read()


@pytest.mark.parametrize("size", [1 << 16, 8 << 20, 20_000_003])
def test_files_of_any_size_arrive_whole_announced_chunked_or_in_a_form(stack: Stack, alice: Client, size: int) -> None:
    content = big(size)
    chunks = (content[start : start + 100_000] for start in range(0, size, 100_000))
    files = [
        alice.call("POST", "/api/files?name=a.csv", content),
        alice.call("POST", "/api/files?name=a.csv", chunks),
        alice.call("POST", "/api/files", form(content, "a.csv"), headers=FORM),
    ]
    for answer in files:
        assert answer.status == 201, answer.body
        assert answer.json()["size"] == size
        assert content_of(stack, answer.json()["id"]) == content


def test_a_name_may_be_in_any_script(alice: Client) -> None:
    name = "Übersicht 2026, 請求書, é's.csv"
    by_query = alice.call("POST", f"/api/files?name={quote(name)}", SMALL)
    by_form = alice.call("POST", "/api/files", form(SMALL, name), headers=FORM)
    assert (by_query.json()["name"], by_form.json()["name"]) == (name, name)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.csv", "a/b.csv", "..\\a.csv", "a\nb.csv", "a\r\nX-Header: 1.csv", "a\0.csv", "\u202egpj.csv", "",
     "..", " ", "a\u2028.csv", "a" * 300 + ".csv", "\x7f.csv"],
    ids=repr,
)  # fmt: skip
def test_a_name_that_is_a_path_or_not_for_people_is_refused(stack: Stack, alice: Client, name: str) -> None:
    before = stack.keys("uploads/")
    answer = alice.call("POST", f"/api/files?name={quote(name, safe='')}", SMALL)
    assert (answer.status, answer.slug) == (422, "invalid-name")
    assert answer.json()["field"] == "name"
    assert stack.keys("uploads/") == before


def test_a_file_without_a_name_is_refused(alice: Client) -> None:
    assert alice.call("POST", "/api/files", SMALL).slug == "invalid-name"


@pytest.mark.parametrize(
    ("name", "content", "status", "slug"),
    [
        ("a.csv", b"", 422, "empty-file"),
        ("a.exe", b"MZ", 415, "unsupported-format"),
        ("a", SMALL, 415, "unsupported-format"),
        ("a.csv", b"\x89PNG\r\n\x1a\n" + bytes(100_000), 415, "wrong-format"),
        ("a.parquet", SMALL, 415, "wrong-format"),
        ("a.xlsx", b"%PDF-1.7", 415, "wrong-format"),
    ],
)
def test_a_file_that_cannot_be_enriched_is_refused_and_not_kept(
    stack: Stack, alice: Client, name: str, content: bytes, status: int, slug: str
) -> None:
    before = stack.keys("uploads/")
    answer = alice.call("POST", f"/api/files?name={name}", content)
    assert (answer.status, answer.slug) == (status, slug)
    assert answer.json()["expected"]
    assert stack.keys("uploads/") == before


def test_a_refused_upload_of_many_megabytes_hears_why(alice: Client) -> None:
    answer = alice.call("POST", "/api/files?name=a.csv", b"\x89PNG\r\n\x1a\n" + bytes(12 << 20))
    assert answer.slug == "wrong-format"


def test_a_file_above_the_limit_is_refused_announced_or_not(stack: Stack, alice: Client) -> None:
    before = stack.keys("uploads/")
    assert sent_raw(stack, alice, b"", announced=1 << 40).startswith(b"HTTP/1.1 413")
    chunks = (big(1 << 20) for _ in range(34))
    answer = b""
    try:
        refused = alice.call("POST", "/api/files?name=a.csv", chunks)
        answer = refused.slug.encode()
    except OSError:
        # The connection was closed while we were still sending, which is a refusal as well.
        answer = b"too-large"
    assert answer == b"too-large"
    wait_until(lambda: stack.keys("uploads/") == before and not stack.multipart_uploads())


def sent_raw(
    stack: Stack, client: Client, body: bytes, *, announced: int, pause: float = 0, close: bool = False
) -> bytes:
    """The answer to a request whose body comes byte by byte, or not at all."""
    lines = [f"{name}: {value}" for name, value in client.headers().items()]
    head = "\r\n".join(
        ["POST /api/files?name=a.csv HTTP/1.1", "host: x", f"content-length: {announced}", *lines, "", ""]
    )
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.sendall(head.encode())
        for index in range(len(body)):
            try:
                connection.sendall(body[index : index + 1])
            except OSError:
                break
            time.sleep(pause)
        if close:
            return b""
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def test_a_client_that_sends_a_byte_now_and_then_is_let_go(stack: Stack, alice: Client) -> None:
    started = time.monotonic()
    answer = sent_raw(stack, alice, SMALL * 10, announced=1_000_000, pause=0.05)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"urn:fileproc:problem:too-slow" in answer
    assert b"connection: close" in answer.lower()
    assert time.monotonic() - started < 15


def test_a_client_that_goes_away_leaves_nothing(stack: Stack, alice: Client) -> None:
    before = stack.keys("uploads/")
    sent_raw(stack, alice, SMALL, announced=1_000_000, close=True)
    wait_until(lambda: "499" in stack.api.output(), what="the API's noticing")
    assert stack.keys("uploads/") == before
    assert stack.multipart_uploads() == []


@pytest.mark.parametrize(
    "body",
    [
        form(SMALL)[:-20],
        form(SMALL, field="other"),
        form(SMALL).removesuffix(b"--\r\n") + b"\r\n" + form(SMALL),
        b"no form at all",
        b"",
        f"--{BOUNDARY}--\r\n".encode(),
    ],
)
def test_a_form_that_is_not_one_file_is_refused(stack: Stack, alice: Client, body: bytes) -> None:
    before = stack.keys("uploads/")
    answer = alice.call("POST", "/api/files?name=a.csv", body, headers=FORM)
    assert (answer.status, answer.slug) == (422, "invalid-form")
    assert stack.keys("uploads/") == before


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 500])
def test_a_form_without_a_boundary_is_refused(alice: Client, content_type: str) -> None:
    answer = alice.call("POST", "/api/files", form(SMALL), headers={"content-type": content_type})
    assert answer.slug == "invalid-form"


def test_an_owner_lists_their_files_newest_first_in_pages(stack: Stack) -> None:
    owner, other = Client(stack, ("finance",)), Client(stack, ("finance",))
    other.upload(SMALL)
    made = [owner.upload(SMALL) for _ in range(5)]
    assert owner.call("DELETE", f"/api/files/{made[1]}").status == 204
    expected = [made[4], made[3], made[2], made[0]]
    listed: list[str] = []
    cursor = ""
    while True:
        page = owner.call("GET", f"/api/files?limit=3{cursor}").json()
        assert len(page["files"]) <= 3
        listed += [file["id"] for file in page["files"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert listed == expected
    newest = owner.call("GET", "/api/files?limit=1").json()["files"]
    assert newest == [owner.call("GET", f"/api/files/{made[4]}").json()]


@pytest.mark.parametrize("path", ["/api/files", "/api/uploads", "/api/jobs"])
@pytest.mark.parametrize("cursor", ["x", "e30=", "Sk9CI3g="])
def test_a_cursor_that_no_answer_gave_is_refused(alice: Client, path: str, cursor: str) -> None:
    assert alice.call("GET", f"{path}?cursor={cursor}").slug == "invalid-cursor"
    assert alice.call("GET", f"{path}?limit=0").slug == "invalid-request"


def test_anothers_file_is_the_same_as_none(stack: Stack, alice: Client) -> None:
    file = alice.upload(SMALL)
    mallory = Client(stack, ("finance",))
    for method, path, document in (
        ("GET", "/api/files/{}", None),
        ("DELETE", "/api/files/{}", None),
        ("POST", "/api/preview", "file"),
        ("POST", "/api/jobs", "file"),
    ):
        answers = [
            mallory.call(method, path.format(one), document=None if document is None else {document: one})
            for one in (file, "0" * 32, "no-identifier")
        ]
        assert {answer.status for answer in answers} == {404}
        assert len({answer.body for answer in answers}) == 1
    assert alice.call("GET", f"/api/files/{file}").status == 200


def test_an_expired_file_is_gone_whether_it_was_deleted_or_not(stack: Stack, alice: Client) -> None:
    file = alice.upload(SMALL)
    stack.dynamodb.update_item(
        TableName=stack.table,
        Key={"pk": {"S": f"FILE#{file}"}, "sk": {"S": "FILE"}},
        UpdateExpression="SET expires_at = :then",
        ExpressionAttributeValues={":then": {"N": str(int(time.time()) - 1)}},
    )
    assert alice.call("GET", f"/api/files/{file}").slug == "file-not-found"
    assert alice.call("POST", "/api/jobs", document={"file": file}).slug == "file-not-found"


def test_a_deleted_file_takes_its_jobs_and_results_with_it(stack: Stack, alice: Client) -> None:
    file = alice.upload(SMALL)
    jobs = [alice.submit(file), alice.submit(file)]
    for job in jobs:
        assert alice.wait(job)["status"] == "succeeded"
        assert stack.item(f"JOB#{job}", "REPORT#1") is not None
    assert alice.call("DELETE", f"/api/files/{file}").status == 204
    assert alice.call("DELETE", f"/api/files/{file}").slug == "file-not-found"
    for job in jobs:
        assert alice.call("GET", f"/api/jobs/{job}").slug == "job-not-found"
        assert alice.call("GET", f"/api/jobs/{job}/result").slug == "job-not-found"
        assert stack.keys(f"results/{job}/") == []
        assert stack.item(f"JOB#{job}", "REPORT#1") is None
    assert stack.keys(f"uploads/{file}") == []
    assert alice.call("GET", "/api/jobs").json() == {"jobs": [], "next": None}


@pytest.fixture
def slow_job(alice: Client, finance: FakeDepartment) -> Iterator[tuple[str, str]]:
    """A file and the job that runs on it for as long as the test does."""

    def slow(_: str) -> None:
        # The submission asks for a description; what comes after it waits.
        finance.delay = 30

    file = alice.upload(SMALL)
    finance.misbehave = slow
    job = alice.submit(file)
    alice.wait(job, "running")
    yield file, job
    finance.behave()


def test_a_file_on_which_a_job_runs_is_not_deleted(alice: Client, slow_job: tuple[str, str]) -> None:
    file, job = slow_job
    answer = alice.call("DELETE", f"/api/files/{file}")
    assert (answer.status, answer.slug) == (409, "file-in-use")
    assert alice.call("GET", f"/api/files/{file}").status == 200
    alice.call("DELETE", f"/api/jobs/{job}")
    alice.wait(job, "cancelled")
    assert alice.call("DELETE", f"/api/files/{file}").status == 204


def test_what_an_answer_holds_is_json_that_names_no_storage(stack: Stack, alice: Client) -> None:
    file = alice.upload(SMALL)
    text = json.dumps(alice.call("GET", f"/api/files/{file}").json())
    assert stack.bucket not in text
    assert alice.subject not in text

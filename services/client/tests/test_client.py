from pathlib import Path

import pytest
from services.client.tests.conftest import QUICK
from services.client.tests.fake_answers import TOKEN
from services.client.tests.fake_service import FakeService, at_once, problem, serve, status
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fileproc.client import Client
from fileproc.errors import (
    FileChanged,
    InvalidRequest,
    JobFailed,
    NotFound,
    OutputExists,
    Refused,
    ResultChanged,
    Unavailable,
    UnclearMapping,
    Unintelligible,
)

MEGABYTE = 1 << 20


def submit(client: Client, invoices: Path) -> str:
    return client.submit(client.upload(invoices).id).id


def test_a_file_goes_in_and_comes_back_enriched(
    client: Client, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    job = client.submit(
        client.upload(invoices).id,
        departments=["finance"],
        mapping={"vendor_id": ["finance.vendors"]},
        columns={"finance.vendors": ["name"]},
    )
    assert client.wait(job.id).result is not None
    size = client.download(job.id, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == invoices.read_bytes().replace(b"\n", b",ACME\n")
    assert size == (tmp_path / "out.csv").stat().st_size
    assert client.report(job.id).mappings[0].matched == 2


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_a_job_whose_request_had_to_be_repeated_is_one_job(
    client: Client, service: FakeService, invoices: Path, code: int
) -> None:
    file = client.upload(invoices)
    service.fail("POST", "/api/jobs", at_once(code), at_once(code))
    client.submit(file.id)
    keys = {request.headers["Idempotency-Key"] for request in service.asked("POST", "/api/jobs")}
    assert len(service.asked("POST", "/api/jobs")) == 3
    assert len(keys) == 1
    assert len(service.jobs) == 1


def test_two_jobs_on_one_file_are_two_jobs(client: Client, service: FakeService, invoices: Path) -> None:
    file = client.upload(invoices)
    assert client.submit(file.id).id != client.submit(file.id).id


def test_an_upload_that_was_turned_away_is_sent_again_in_full(
    client: Client, service: FakeService, invoices: Path
) -> None:
    service.fail("POST", "/api/files", at_once(503))
    sent: list[int] = []
    file = client.upload(invoices, advance=sent.append)
    assert service.files[file.id] == invoices.read_bytes()
    assert sum(sent) == invoices.stat().st_size


def test_what_is_not_harmless_is_repeated_only_if_it_was_turned_away(
    client: Client, service: FakeService, invoices: Path
) -> None:
    service.outcome = {"status": "failed", "retryable": True}
    job_id = submit(client, invoices)
    client.job(job_id)
    service.fail("POST", "/api/jobs/.*/retry", at_once(503), at_once(504))
    with pytest.raises(Unavailable, match="504"):
        client.retry(job_id)
    assert len(service.asked("POST", "/api/jobs/.*/retry")) == 2


def test_a_pause_longer_than_anybody_waits_is_an_error_at_once(client: Client, service: FakeService) -> None:
    service.fail("GET", "/api/departments", status(429, Retry_After="3600"))
    with pytest.raises(Unavailable, match="429"):
        client.departments()
    assert len(service.requests) == 1


def test_retries_end(client: Client, service: FakeService) -> None:
    service.fail("GET", "/api/departments", *[at_once(503)] * 10)
    with pytest.raises(Unavailable):
        client.departments()
    assert len(service.requests) == QUICK.attempts


def test_nobody_listening_is_said_with_the_address() -> None:
    with (
        Client("http://127.0.0.1:9", TOKEN, retry=QUICK) as client,
        pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"),
    ):
        client.departments()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    file = tmp_path / "large.csv"
    file.write_bytes(b"".join(bytes([n]) * MEGABYTE for n in range(5)) + b"end")
    return file


@pytest.fixture
def in_parts(service: FakeService) -> Client:
    service.part_size = MEGABYTE
    return Client(service.url, TOKEN, retry=QUICK, large_file=MEGABYTE)


def test_a_large_file_goes_to_storage_in_parts_without_the_token(
    in_parts: Client, service: FakeService, large: Path
) -> None:
    service.fail("PUT", "/storage/.*", at_once(503), at_once(500), skip=2)
    sent: list[int] = []
    with in_parts as client:
        file = client.upload(large, name="../large.csv", advance=sent.append)
    assert service.files[file.id] == large.read_bytes()
    assert file.name == "../large.csv"
    assert sum(sent) == large.stat().st_size
    puts = service.asked("PUT", "/storage/.*")
    assert len(puts) == 8
    assert not any("Authorization" in request.headers for request in puts)
    assert {request.headers["Content-Length"] for request in puts} == {str(MEGABYTE), "3"}


def test_a_large_upload_that_fails_is_called_off(in_parts: Client, service: FakeService, large: Path) -> None:
    service.fail("PUT", "/storage/upload-1/3", status(403))
    with in_parts as client, pytest.raises(Refused):
        client.upload(large)
    assert service.asked("DELETE", "/api/uploads/upload-1")
    assert not service.files


def test_what_is_no_file_is_said_before_anything_is_sent(client: Client, service: FakeService, tmp_path: Path) -> None:
    for path, words in ((tmp_path / "absent.csv", "does not exist"), (tmp_path, "is not a file")):
        with pytest.raises(InvalidRequest, match=words):
            client.upload(path)
    assert not service.requests


def test_a_file_that_changed_while_it_was_sent_is_not_kept(
    client: Client, service: FakeService, invoices: Path
) -> None:
    def write_too(_: int) -> None:
        with invoices.open("ab") as file:
            file.write(b"V-00002,30\n")

    with pytest.raises(FileChanged, match="changed while"):
        client.upload(invoices, advance=write_too)
    assert not service.files


def test_a_stream_of_events_that_breaks_is_taken_up_again(client: Client, service: FakeService, invoices: Path) -> None:
    job_id = submit(client, invoices)
    service.streams = [[100, None], [200, 300]]
    rows = [job.progress.rows for job in client.events(job_id)]
    assert rows == [0, 100, 200, 300, 3000]
    assert len(service.asked("GET", "/api/jobs/.*/events")) == 2


def test_without_streams_the_job_is_asked_for(
    client: Client, service: FakeService, invoices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileproc.events._POLL_SECONDS", 0.01)
    monkeypatch.setattr("fileproc.events._RECONNECT_SECONDS", 0.01)
    service.streams = [[1]]  # it does not finish by itself
    job_id = submit(client, invoices)

    service.fail("GET", "/api/jobs/.*/events", *[status(502)] * 4)
    states = []
    for job in client.events(job_id):
        states.append(job.status)
        if len(service.asked("GET", "/api/jobs/.*/events")) == 3:
            service.streams.clear()
    assert states[-1] == "succeeded"
    assert len(service.asked("GET", "/api/jobs/.*/events")) == 3


def test_a_job_is_not_given_up_while_the_service_restarts(
    client: Client, service: FakeService, invoices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileproc.events._POLL_SECONDS", 0.01)
    monkeypatch.setattr("fileproc.events._RECONNECT_SECONDS", 0.01)
    service.streams = [[1, None], [2]]
    job_id = submit(client, invoices)
    service.fail("GET", "/api/jobs/.*/events", at_once(502), skip=1)
    service.fail("GET", f"/api/jobs/{job_id}", *[at_once(502)] * QUICK.attempts, skip=1)
    assert [job.progress.rows for job in client.events(job_id)] == [0, 1, 2, 3000]


def test_a_failed_job_says_why_and_what_to_do(client: Client, service: FakeService, invoices: Path) -> None:
    error = {"type": "urn:fileproc:problem:department-unavailable", "title": "x", "detail": "Finance does not answer."}
    service.outcome = {"status": "failed", "retryable": True, "error": {**error, "row": 17}}
    job_id = submit(client, invoices)
    with pytest.raises(JobFailed, match=rf"Row 17: Finance does not answer.*fileproc retry {job_id}") as failure:
        client.wait(job_id)
    assert failure.value.exit_code == 5
    assert client.retry(job_id).attempts == 2


def finished(client: Client, service: FakeService, invoices: Path, content: bytes) -> str:
    service.result = content
    return client.wait(submit(client, invoices)).id


CONTENT = bytes(range(256)) * 4096


def test_a_download_that_breaks_goes_on_where_it_broke(
    client: Client, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    job_id = finished(client, service, invoices, CONTENT)
    service.fail("GET", "/api/jobs/.*/result", *(lambda r, n=n: serve(r, CONTENT, cut=n) for n in (0, 300_001, 5)))
    seen: list[int] = []
    client.download(job_id, tmp_path / "out", advance=seen.append)
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)
    ranges = [request.headers.get("Range") for request in service.asked("GET", "/api/jobs/.*/result")]
    assert ranges == [None, "bytes=0-", "bytes=300001-", "bytes=300006-"]


def test_a_server_that_knows_no_ranges_is_read_from_the_start(
    client: Client, service: FakeService, invoices: Path
) -> None:
    job_id = finished(client, service, invoices, CONTENT)

    def whole(request: Request) -> Response:
        return serve(Request({**request.scope, "headers": []}), CONTENT)

    service.fail("GET", "/api/jobs/.*/result", lambda r: serve(r, CONTENT, cut=1000), whole)
    assert b"".join(client.result(job_id)) == CONTENT


def test_parts_of_two_results_are_never_put_together(
    client: Client, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    job_id = finished(client, service, invoices, CONTENT)
    service.fail(
        "GET",
        "/api/jobs/.*/result",
        lambda r: serve(r, CONTENT, cut=1000),
        lambda r: serve(r, CONTENT[::-1], etag='"another"'),
    )
    with pytest.raises(ResultChanged):
        client.download(job_id, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["invoices.csv"]


def test_nothing_half_written_is_left_when_the_download_keeps_breaking(
    client: Client, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    job_id = finished(client, service, invoices, CONTENT)
    service.fail("GET", "/api/jobs/.*/result", lambda r: serve(r, CONTENT, cut=1000))
    service.fail("GET", "/api/jobs/.*/result", *[lambda r: serve(r, CONTENT, cut=0)] * 10)
    with pytest.raises(Unavailable):
        client.download(job_id, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["invoices.csv"]


def test_what_is_there_is_overwritten_only_if_asked_for(
    client: Client, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    job_id = finished(client, service, invoices, CONTENT)
    out = tmp_path / "out"
    out.write_text("precious")
    with pytest.raises(OutputExists):
        client.download(job_id, out)

    def appear(_: int) -> None:
        (tmp_path / "late").write_text("precious")

    with pytest.raises(OutputExists):
        client.download(job_id, tmp_path / "late", advance=appear)
    assert out.read_text() == (tmp_path / "late").read_text() == "precious"
    (tmp_path / "link").symlink_to(out)
    client.download(job_id, tmp_path / "link", overwrite=True)
    assert out.read_bytes() == CONTENT
    assert (tmp_path / "link").is_symlink()
    assert not list(tmp_path.glob(".*"))


def test_an_unclear_mapping_brings_its_questions(client: Client, service: FakeService, invoices: Path) -> None:
    file = client.upload(invoices)
    question = {"column": "id", "candidates": ["finance.vendors", "hr.employees"], "detail": "Both fit."}
    service.fail("POST", "/api/jobs", lambda _: problem(422, "unclear-mapping", "Say which.", questions=[question]))
    with pytest.raises(UnclearMapping) as raised:
        client.submit(file.id)
    assert raised.value.questions[0].candidates == ("finance.vendors", "hr.employees")


def test_an_identifier_cannot_lead_elsewhere(client: Client, service: FakeService) -> None:
    with pytest.raises(NotFound):
        client.job("../departments?x=1#")
    assert service.requests[-1].scope["raw_path"] == b"/api/jobs/..%2Fdepartments%3Fx%3D1%23"


@pytest.mark.parametrize("text", ["<html>", "[]", '{"departments": [{"name": 1}]}'])
def test_an_answer_of_something_else_is_told_from_ours(client: Client, service: FakeService, text: str) -> None:
    service.fail("GET", "/api/departments", lambda _: PlainTextResponse(text))
    with pytest.raises(Unintelligible, match="/api/departments"):
        client.departments()


def test_an_address_that_is_not_a_gateway_is_said_to_be_none(client: Client, service: FakeService) -> None:
    service.fail("GET", "/api/departments", status(404))
    with pytest.raises(Unintelligible, match="not the address of a file processing gateway"):
        client.departments()

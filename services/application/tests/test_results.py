import gzip
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.stack import Stack, wait_until

pytestmark = pytest.mark.slow

CONTENT = b"vendor_id\n" + b"".join(b"V-%05d\n" % number for number in range(3000))


@pytest.fixture(scope="module")
def lead(stack: Stack) -> Client:
    return Client(stack, ("finance", "finance-leads"))


@pytest.fixture(scope="module")
def job(lead: Client) -> str:
    """A job whose result holds a restricted column."""
    job = lead.submit(lead.upload(CONTENT, quote('Q3 "vendors" x é.csv')))
    assert lead.wait(job)["status"] == "succeeded"
    return job


@pytest.fixture(scope="module")
def whole(lead: Client, job: str) -> bytes:
    return lead.result(job)


def test_a_result_is_a_download_with_a_name_that_cannot_break_out(lead: Client, job: str, whole: bytes) -> None:
    answer = lead.call("GET", f"/api/jobs/{job}/result")
    assert answer.headers["content-disposition"] == (
        'attachment; filename="Q3 vendors x e.enriched.csv"; '
        "filename*=UTF-8''Q3%20%22vendors%22%20x%20%C3%A9.enriched.csv"
    )
    assert answer.headers["content-type"].startswith("text/csv")
    assert int(answer.headers["content-length"]) == len(answer.body) == len(whole)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = lead.call("HEAD", f"/api/jobs/{job}/result")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole)))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_range_of_a_result_can_be_had(lead: Client, job: str, whole: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start, len(whole) + 100))
    for header, expected in (
        (f"bytes={start}-{end}", whole[start : end + 1]),
        (f"bytes={start}-", whole[start:]),
        (f"bytes=-{start + 1}", whole[-start - 1 :]),
    ):
        answer = lead.call("GET", f"/api/jobs/{job}/result", headers={"range": header})
        assert (answer.status, answer.body) == (206, expected)
        first = len(whole) - len(expected) if header.startswith("bytes=-") else start
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"


def test_a_range_of_very_many_digits_is_none(lead: Client, job: str, whole: bytes) -> None:
    answer = lead.call("GET", f"/api/jobs/{job}/result", headers={"range": f"bytes={'1' * 5000}-"})
    assert (answer.status, answer.body) == (200, whole)


def test_ranges_that_are_none_are_answered_as_http_says(lead: Client, job: str, whole: bytes) -> None:
    path = f"/api/jobs/{job}/result"
    for header in ("bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=-"):
        answer = lead.call("GET", path, headers={"range": header})
        assert (answer.status, answer.body) == (200, whole)
    for header in (f"bytes={len(whole)}-", "bytes=-0"):
        answer = lead.call("GET", path, headers={"range": header})
        assert (answer.status, answer.slug) == (416, "range-not-satisfiable")
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_a_download_can_be_continued_only_if_it_is_the_same(lead: Client, job: str, whole: bytes) -> None:
    path = f"/api/jobs/{job}/result"
    etag = lead.call("HEAD", path).headers["etag"]
    same = lead.call("GET", path, headers={"range": "bytes=10-", "if-range": etag})
    other = lead.call("GET", path, headers={"range": "bytes=10-", "if-range": '"other"'})
    assert (same.status, same.body, other.status, other.body) == (206, whole[10:], 200, whole)


def test_a_download_follows_its_conditions(lead: Client, job: str) -> None:
    """RFC 9110, sections 13.1.1 and 13.1.2: strong comparison for If-Match, weak for If-None-Match."""
    path = f"/api/jobs/{job}/result"
    etag = lead.call("HEAD", path).headers["etag"]
    for method in ("GET", "HEAD"):
        for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            assert lead.call(method, path, headers={"if-none-match": header}).status == 304, header
        for header in ('"other"', etag.strip('"'), f'"x{etag[1:]}'):
            assert lead.call(method, path, headers={"if-none-match": header}).status == 200, header
        for header in (etag, f'"other",{etag}', "*"):
            assert lead.call(method, path, headers={"if-match": header}).status == 200, header
        for header in ('"other"', f"W/{etag}", etag.strip('"'), ""):
            assert lead.call(method, path, headers={"if-match": header}).status == 412, header


def test_a_report_is_for_people_and_for_machines(lead: Client, job: str) -> None:
    path = f"/api/jobs/{job}/report"
    report = lead.call("GET", path).json()
    assert (report["rows"], report["report_version"]) == (3000, 1)
    assert report["mappings"][0]["matched"] == 3000
    assert report["mappings"][0]["versions"] == ["v1"]
    for answer in (
        lead.call("GET", f"{path}?format=text", headers={"accept": "text/html"}),
        lead.call("GET", path, headers={"accept": "text/plain"}),
        lead.call("GET", path, headers={"accept": "application/json;q=0.1, text/html;q=0, text/plain;q=0.5"}),
    ):
        assert answer.headers["content-type"].startswith("text/plain")
        assert b"finance.vendors" in answer.body
    for answer in (
        lead.call("GET", f"{path}?format=html"),
        lead.call("GET", path, headers={"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}),
    ):
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert b"Q3 &quot;vendors&quot;" in answer.body
    assert lead.call("GET", f"{path}?format=pdf").slug == "invalid-request"
    assert lead.call("GET", path, headers={"accept": "application/json"}).json() == report


def test_results_and_reports_need_present_access_to_all_that_is_in_them(lead: Client, job: str) -> None:
    for groups in (("finance",), (), ("hr", "finance-leads")):
        less = lead.with_groups(*groups)
        for path in ("result", "report", "report?format=text"):
            answer = less.call("GET", f"/api/jobs/{job}/{path}")
            assert (answer.status, answer.slug) == (403, "access-withdrawn")
        assert less.call("HEAD", f"/api/jobs/{job}/result").status == 403


def test_a_job_does_not_tell_its_owner_of_what_they_may_not_see_any_more(lead: Client, job: str) -> None:
    assert lead.job(job)["mapping"][0]["columns"] == ["name", "country", "bank_account"]
    less = lead.with_groups("finance")
    for shown in (less.job(job), less.call("GET", "/api/jobs").json()["jobs"][0]):
        assert shown["mapping"][0]["columns"] == ["name", "country"]
    assert b"bank_account" not in less.call("GET", f"/api/jobs/{job}/events").body
    none = lead.with_groups().job(job)
    assert (none["mapping"], none["departments"]) == ([], [])
    assert (none["result"]["found"], none["result"]["keys"]) == (None, None)


@pytest.fixture
def changed_finance(stack: Stack, lead: Client, finance: FakeDepartment) -> Iterator[FakeDepartment]:
    yield finance
    finance.groups = frozenset({"finance"})
    stack.publish(finance)
    wait_until(lambda: lead.call("GET", "/api/departments").json()["departments"], what="the department's return")


def test_access_follows_the_department_as_it_is_now(
    stack: Stack, lead: Client, job: str, changed_finance: FakeDepartment
) -> None:
    changed_finance.groups = frozenset({"somebody-else"})
    stack.publish(changed_finance)
    answer = wait_until(
        lambda: (a := lead.call("GET", f"/api/jobs/{job}/result")).status != 200 and a, what="the withdrawal"
    )
    assert answer.slug == "access-withdrawn"
    assert lead.call("GET", "/api/departments").json() == {"departments": []}


def test_a_retry_needs_present_access_and_is_for_the_caller_as_they_are(
    stack: Stack, lead: Client, finance: FakeDepartment
) -> None:
    file = lead.upload(CONTENT)
    finance.misbehave = lambda _: setattr(finance, "status", 403)
    job = lead.submit(file)
    assert lead.wait(job)["error"]["type"] == "urn:fileproc:problem:access-withdrawn"
    finance.behave()
    assert lead.with_groups("finance").call("POST", f"/api/jobs/{job}/retry").slug == "access-withdrawn"
    retried = lead.call("POST", f"/api/jobs/{job}/retry")
    assert (retried.status, retried.json()["error"], retried.json()["attempts"]) == (202, None, 0)
    assert lead.wait(job)["status"] == "succeeded"
    assert lead.call("POST", f"/api/jobs/{job}/retry").slug == "job-not-retryable"


def test_a_retry_without_its_file_is_refused(stack: Stack, lead: Client, finance: FakeDepartment) -> None:
    file = lead.upload(CONTENT)
    finance.misbehave = lambda _: setattr(finance, "status", 403)
    job = lead.submit(file)
    lead.wait(job, "failed")
    stack.dynamodb.update_item(
        TableName=stack.table,
        Key={"pk": {"S": f"FILE#{file}"}, "sk": {"S": "FILE"}},
        UpdateExpression="SET expires_at = :then",
        ExpressionAttributeValues={":then": {"N": str(int(time.time()) - 1)}},
    )
    assert lead.call("POST", f"/api/jobs/{job}/retry").slug == "job-not-retryable"


def test_a_result_that_vanished_is_told_as_gone(stack: Stack, lead: Client) -> None:
    job = lead.submit(lead.upload(CONTENT))
    lead.wait(job, "succeeded")
    stack.s3.delete_object(Bucket=stack.bucket, Key=f"results/{job}/1")
    assert (lead.call("GET", f"/api/jobs/{job}/result").slug) == "result-gone"


@pytest.mark.parametrize(
    ("codec", "charset"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("cp1252", "windows-1252"),
        ("utf-16", "utf-16"),
        ("utf-16-be", "utf-16be"),
    ],
)
def test_a_result_is_sent_with_the_character_set_of_its_file(lead: Client, codec: str, charset: str) -> None:
    content = ("vendor_id;town\n" + "V-00001;Zürich\n" * 40).encode(codec)
    job = lead.submit(lead.upload(content))
    assert lead.wait(job)["status"] == "succeeded"
    for method in ("GET", "HEAD"):
        answer = lead.call(method, f"/api/jobs/{job}/result")
        assert answer.headers["content-type"] == f"text/csv; charset={charset}"
    assert lead.result(job).decode(charset).count("Zürich") == 40


def test_the_result_of_a_compressed_file_is_sent_as_such(lead: Client) -> None:
    """RFC 6713. It has no content coding, by which a client would unpack it unasked."""
    job = lead.submit(lead.upload(gzip.compress(CONTENT), "a.csv.gz"))
    assert lead.wait(job)["status"] == "succeeded"
    answer = lead.call("GET", f"/api/jobs/{job}/result")
    assert answer.headers["content-type"] == "application/gzip"
    assert 'filename="a.enriched.csv.gz"' in answer.headers["content-disposition"]
    assert "content-encoding" not in answer.headers
    assert gzip.decompress(lead.result(job)).startswith(b"vendor_id,vendor_id.finance.name")

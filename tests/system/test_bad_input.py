"""Bad input, each kind with its clear error, and nothing left behind."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from tests.helpers.bad_files import ROWS, Bad, table
from tests.helpers.data import RUN, DataSet, expected_rows
from tests.helpers.extra import FORMULAS
from tests.helpers.files import make_file, read_table
from tests.helpers.rest import Answer, Rest
from tests.helpers.stack import Stack
from tests.helpers.traces import NOTHING, delete_object, traces

pytestmark = pytest.mark.slow


async def problem_of(rest: Rest, bad: Bad) -> tuple[dict[str, Any], str | None]:
    """What the caller is told, at upload, at submission or by the job; and the file, if one was taken in."""
    answer = await rest.call("POST", f"/api/files?name={quote(bad.name)}", data=bad.make())
    if answer.status >= 400:
        return problem(answer), None
    file = answer.json["id"]
    answer = await rest.call("POST", "/api/jobs", body={"file": file, **bad.choices})
    if answer.status >= 400:
        return problem(answer), file
    job = await rest.finished(answer.json["id"])
    assert job["status"] == "failed", job
    assert not job["retryable"], job
    assert job["result"] is None
    return job["error"], file


def problem(answer: Answer) -> dict[str, Any]:
    """A problem document that is what RFC 9457 and the contract say."""
    document = answer.json
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert document["status"] == answer.status
    assert 400 <= answer.status < 500, document
    return dict(document)


@pytest.mark.parametrize("bad", table(), ids=lambda bad: bad.what.replace(" ", "-"))
async def test_a_bad_file_gets_a_clear_error_and_leaves_nothing(
    stack: Stack, rest: Callable[[str], Rest], bad: Bad
) -> None:
    before = traces(stack)
    told, file = await problem_of(rest("alice"), bad)
    assert told["type"] == f"urn:fileproc:problem:{bad.slug}", told
    assert {name: told.get(name) for name in bad.place} == dict(bad.place), told
    assert all(word in told["detail"] for word in bad.words), told
    assert told["title"], told
    assert told["detail"], told
    assert "Traceback" not in str(told)
    if file is not None:
        assert not {key for key in traces(stack).beyond(before).objects if key.startswith("results/")}
        await rest("alice").good("DELETE", f"/api/files/{file}")
    left = traces(stack).beyond(before)
    assert left.objects == left.uploads == frozenset()
    assert not {item for item in left.items if "FILE#" in item}


async def test_a_file_that_vanished_from_s3_is_told_to_be_gone(stack: Stack, rest: Callable[[str], Rest]) -> None:
    alice = rest("alice")
    file = await alice.upload("invoices.csv", make_file("csv", ROWS))
    delete_object(stack, f"uploads/{file}")
    for path in ("/api/preview", "/api/jobs"):
        told = problem(await alice.call("POST", path, body={"file": file}))
        assert told["type"] == "urn:fileproc:problem:file-gone", told
    await alice.good("DELETE", f"/api/files/{file}")


async def test_a_result_that_vanished_from_s3_is_told_to_be_gone(stack: Stack, rest: Callable[[str], Rest]) -> None:
    alice = rest("alice")
    before = traces(stack)
    job, _ = await alice.enrich("invoices.csv", make_file("csv", ROWS))
    for key in traces(stack).beyond(before).objects:
        if key.startswith("results/"):
            delete_object(stack, key)
    told = problem(await alice.call("GET", f"/api/jobs/{job['id']}/result"))
    assert told["type"] == "urn:fileproc:problem:result-gone", told


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.csv",
        "a/b.csv",
        "..\\b.csv",
        "a\nb.csv",
        "a\rb.csv",
        "a\0b.csv",
        "",
        "..",
        "x" * 300 + ".csv",
        "a\u202egpj.csv",
    ],
)
async def test_a_name_that_could_do_harm_is_refused(stack: Stack, rest: Callable[[str], Rest], name: str) -> None:
    alice, before = rest("alice"), traces(stack)
    data = make_file("csv", ROWS)
    by_query = await alice.call("POST", f"/api/files?name={quote(name, safe='')}", data=data)
    by_upload = await alice.call("POST", "/api/uploads", body={"name": name, "size": 100})
    for answer in (by_query, by_upload):
        told = problem(answer)
        assert told["type"] in ("urn:fileproc:problem:invalid-name", "urn:fileproc:problem:invalid-request"), told
        assert "name" in str(told.get("field", told["detail"])), told
    assert traces(stack).beyond(before) == NOTHING


@pytest.mark.parametrize(
    "name", ['quo"te.csv', "it's.csv", "100%.csv", "semi;colon.csv", "größe 大阪.csv", "a b.csv", "<script>.csv"]
)
async def test_a_name_that_is_only_odd_is_kept(rest: Callable[[str], Rest], name: str) -> None:
    alice = rest("alice")
    job, _ = await alice.enrich(name, make_file("csv", ROWS))
    assert job["file"]["name"] == name
    answer = await alice.good("GET", f"/api/jobs/{job['id']}/result")
    disposition = aiohttp.helpers.parse_mimetype  # noqa: F841
    _, parameters = aiohttp.parse_content_disposition(answer.headers["Content-Disposition"])
    assert aiohttp.content_disposition_filename(parameters) == name.replace(".csv", ".enriched.csv")
    report = await alice.good("GET", f"/api/jobs/{job['id']}/report?format=html")
    assert b"<script>" not in report.body


async def test_department_data_that_a_spreadsheet_would_run_comes_back_harmless(
    rest: Callable[[str], Rest], data_sets: dict[str, DataSet]
) -> None:
    accounts = data_sets["treasury-desk.accounts"]
    rows = [{"account_id": key} for key in list(accounts.rows)[: len(FORMULAS)]]
    for extension in ("csv", "tsv", "xlsx"):
        _, result = await rest("alice").enrich(f"accounts.{extension}", make_file(extension, rows))
        found = read_table(extension, result)
        mapped = [("account_id", accounts, accounts.visible("alice"))]
        assert found == list(expected_rows(extension, rows, mapped))
        # A cell of a workbook says itself that it is text.
        assert extension == "xlsx" or not any(RUN.match(row["account_id.treasury-desk.label"]) for row in found)


async def test_an_input_cell_that_starts_with_an_equals_sign_is_left_as_it_is(rest: Callable[[str], Rest]) -> None:
    rows = [{"vendor_id": "V-00001", "note": "=1+1"}, {"vendor_id": "=V-00002", "note": "007"}]
    _, result = await rest("alice").enrich("a.csv", make_file("csv", rows), mapping={"vendor_id": ["finance.vendors"]})
    assert [{name: row[name] for name in rows[0]} for row in read_table("csv", result)] == rows


IS_JSON = {"headers": {"Content-Type": "application/json"}}
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("no JSON", {"data": b"{", **IS_JSON}),
    ("no object", {"body": [1]}),
    ("no file", {"body": {}}),
    ("a number for a file", {"body": {"file": 7}}),
    ("text for a mapping", {"body": {"file": "a", "mapping": "x"}}),
    ("a member that nobody knows", {"body": {"file": "a", "mappings": {}}}),
    ("2 MB of JSON", {"data": b'{"file": "' + b"a" * (2 << 20) + b'"}', **IS_JSON}),
    ("JSON that nests too deeply", {"data": b"[" * 100_000, **IS_JSON}),
    ("broken UTF-8", {"data": b'{"file": "\xff"}', **IS_JSON}),
)


@pytest.mark.parametrize(("what", "options"), REQUESTS, ids=[what.replace(" ", "-") for what, _ in REQUESTS])
@pytest.mark.parametrize("path", ["/api/jobs", "/api/preview"])
async def test_a_request_that_is_not_right_is_refused_in_words(
    stack: Stack, rest: Callable[[str], Rest], path: str, what: str, options: dict[str, Any]
) -> None:
    before = traces(stack)
    told = problem(await rest("alice").call("POST", path, **options))
    assert told["detail"], what
    assert told["status"] in (400, 413, 415, 422), told
    assert traces(stack).beyond(before) == NOTHING


async def test_an_upload_that_breaks_off_leaves_nothing(stack: Stack, rest: Callable[[str], Rest]) -> None:
    before = traces(stack)

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * (1 << 20)
        raise ConnectionAbortedError("the client is gone")

    with pytest.raises((aiohttp.ClientError, ConnectionAbortedError)):
        await rest("alice").call("POST", "/api/files?name=a.csv", data=broken())
    deadline = time.monotonic() + 30
    while traces(stack).beyond(before) != NOTHING:
        assert time.monotonic() < deadline, traces(stack).beyond(before)
        await asyncio.sleep(0.1)


async def test_a_presigned_upload_with_wrong_parts_leaves_nothing(stack: Stack, rest: Callable[[str], Rest]) -> None:
    alice, before = rest("alice"), traces(stack)
    for size in (0, -1, 1 << 50):
        problem(await alice.call("POST", "/api/uploads", body={"name": "a.csv", "size": size}))
    begun = (await alice.good("POST", "/api/uploads", body={"name": "a.csv", "size": 100})).json
    parts = {"parts": [{"number": 1, "etag": '"00000000000000000000000000000000"'}]}
    told = problem(await alice.call("POST", f"/api/uploads/{begun['id']}/complete", body=parts))
    assert told["status"] in (409, 422), told
    # Whether or not the wrong attempt has ended the upload, it can be ended.
    assert (await alice.call("DELETE", f"/api/uploads/{begun['id']}")).status in (204, 404)
    assert traces(stack).beyond(before) == NOTHING

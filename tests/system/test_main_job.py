"""The main job for the sample files by every client, compared cell by cell with a computation of this test's own."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import docx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.helpers.clients import CLIENTS, SAMPLE, call
from tests.helpers.data import DataSet, Mapped, cell, expected_rows, json_value
from tests.helpers.files import pdf_text, read_table
from tests.helpers.rest import Rest, bearer
from tests.helpers.stack import ROOT, Stack

pytestmark = pytest.mark.slow

SAMPLES = ROOT / "tools" / "local" / "samples"
INVOICE_KEYS = {
    "vendor_id": "finance.vendors",
    "contract_id": "legal.contracts",
    "buyer": "hr.employees",
    "approver": "hr.employees",
    "currency": "finance.rates",
}
KEYS = {
    "invoices.csv": INVOICE_KEYS,
    "invoices.xlsx": INVOICE_KEYS,
    "employees.jsonl": {"employee_id": "hr.employees", "substitute_employee": "hr.employees"},
    "contracts.parquet": {"contract_id": "legal.contracts", "vendor_id": "finance.vendors", "buyer": "hr.employees"},
}
"""Which columns of each sample are keys, as a person sees who looks at it."""


def cases(samples: Iterable[str]) -> list[tuple[str, str, str]]:
    """Every client as somebody who may use every department, and everybody else by one client."""
    by_client = [(sample, "dana", client) for sample in samples for client in CLIENTS]
    by_user = [(sample, user, "mcp auto") for sample in samples for user in ("frank", "bob")]
    return [case for case in by_client + by_user if case[:2] != ("employees.jsonl", "frank")]


def mapped(sample: str, user: str, data_sets: dict[str, DataSet]) -> Mapped:
    """What must be added for `user`."""
    pairs = [(column, data_sets[ref]) for column, ref in KEYS[sample].items()]
    return [(column, data_set, data_set.visible(user)) for column, data_set in pairs if data_set.permits(user)]


@pytest.mark.parametrize(("sample", "user", "client"), cases(KEYS))
async def test_a_table_comes_back_with_exactly_what_is_the_users(
    stack: Stack, data_sets: dict[str, DataSet], tmp_path: Path, client: str, sample: str, user: str
) -> None:
    file, extension = SAMPLES / sample, sample.rpartition(".")[2]
    found = read_table(extension, await CLIENTS[client](stack, user, file, tmp_path))
    rows = read_table(extension, file.read_bytes())
    expected = list(expected_rows(extension, rows, mapped(sample, user, data_sets)))
    assert len(found) == len(rows) > 20
    assert list(found[0]) == list(expected[0])
    assert len(found[0]) > len(rows[0])
    for number, (row, wanted) in enumerate(zip(found, expected, strict=True), 1):
        for column, value in wanted.items():
            assert json_value(row[column]) == json_value(value), f"row {number}, column {column}"


def known_keys(text: str, user: str, data_sets: dict[str, DataSet]) -> Iterator[tuple[str, DataSet]]:
    """The keys in a text that `user` may look up, and where."""
    for data_set in data_sets.values():
        if data_set.permits(user):
            for key in re.findall(r"\b[A-Z]-[0-9]{5}\b", text):
                if key in data_set.rows:
                    yield key, data_set


def memo_text(data: bytes, sample: str) -> str:
    """All that a reader of a memo sees, comments included, on one line."""
    if sample.endswith(".pdf"):
        return " ".join(pdf_text(data).split())
    document = docx.Document(io.BytesIO(data))
    texts = [node.text or "" for node in document.element.body.iter() if node.tag.endswith("}t")]
    return " ".join(" ".join([*texts, *(comment.text for comment in document.comments)]).split())


@pytest.mark.parametrize(("sample", "user", "client"), cases(("memo.docx", "memo.pdf")))
async def test_a_document_comes_back_with_what_is_known_of_the_keys_in_it(
    stack: Stack, data_sets: dict[str, DataSet], tmp_path: Path, client: str, sample: str, user: str
) -> None:
    file = SAMPLES / sample
    before = memo_text(file.read_bytes(), sample)
    after = memo_text(await CLIENTS[client](stack, user, file, tmp_path), sample)
    keys = list(known_keys(before, user, data_sets))
    assert keys
    for key, data_set in keys:
        for column in data_set.columns:
            # Long values are cut off in a document, where they are for people to read.
            text = " ".join(str(cell("txt", data_set.rows[key][column]) or "").split())[:60]
            if column in data_set.visible(user):
                assert text in after, f"{key}: {column}"
            elif text not in before:
                assert text not in after, f"{key}: {column} is not {user}'s"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_large_file_goes_by_a_presigned_upload_and_comes_back_by_its_address(
    stack: Stack, rest: Callable[[str], Rest], mode: str
) -> None:
    content = (ROOT / SAMPLE).read_bytes()
    head, _, rows = content.partition(b"\n")
    content = head + b"\n" + rows * 3000
    assert len(content) > 9 << 20
    headers = bearer(stack.tokens["dana"])
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        httpx2.AsyncClient(timeout=60) as storage,
        Client(
            streamable_http_client(f"{stack.api}/mcp", http_client=http), mode="auto" if mode == "auto" else "legacy"
        ) as client,
    ):
        upload = await call(client, "files_create_upload", name="invoices.csv", size=len(content))
        parts = []
        for part in upload["parts"]:
            start = (part["number"] - 1) * upload["part_size"]
            # A presigned address is enough by itself: no token of ours goes to S3.
            answer = await storage.put(part["url"], content=content[start : start + upload["part_size"]])
            answer.raise_for_status()
            parts.append({"number": part["number"], "etag": answer.headers["ETag"]})
        file = await call(client, "files_complete_upload", upload=upload["id"], parts=parts)
        assert file["size"] == len(content)
        job = await call(client, "files_submit_job", file=file["id"])
        state = await rest("dana").finished(job["id"])
        assert state["status"] == "succeeded", state
        result = await call(client, "files_job_result", job=job["id"])
        answer = await http.get(result["url"])
        assert len(answer.content) == state["result"]["size"]
        report = await call(client, "files_job_report", job=job["id"])
        assert report["rows"] == 40 * 3000


async def test_files_and_uploads_are_listed_deleted_and_aborted_over_mcp_as_over_rest(
    stack: Stack, rest: Callable[[str], Rest]
) -> None:
    carol, alice = rest("carol"), rest("alice")
    async with (
        httpx2.AsyncClient(headers=bearer(stack.tokens["carol"]), timeout=60) as http,
        Client(streamable_http_client(f"{stack.api}/mcp", http_client=http)) as client,
    ):
        upload = await call(client, "files_create_upload", name="a.csv", size=20 << 30)
        listed = await call(client, "files_list_uploads")
        assert [(each["id"], each["size"]) for each in listed["uploads"]] == [(upload["id"], 20 << 30)]
        assert listed == (await carol.good("GET", "/api/uploads")).json
        assert (await alice.call("DELETE", f"/api/uploads/{upload['id']}")).status == 404
        assert await call(client, "files_abort_upload", upload=upload["id"]) == {"aborted": upload["id"]}
        assert (await carol.good("GET", "/api/uploads")).json == {"uploads": [], "next": None}

        file = await carol.upload("a.csv", b"contract_id\nC-0001\n")
        listed = await call(client, "files_list_files", limit=1)
        assert [each["id"] for each in listed["files"]] == [file]
        assert listed == (await carol.good("GET", "/api/files?limit=1")).json
        assert file not in str((await alice.good("GET", "/api/files")).json)
        assert await call(client, "files_delete_file", file=file) == {"deleted": file}
        assert (await carol.call("GET", f"/api/files/{file}")).status == 404
        refused = await client.call_tool("files_delete_file", {"file": file})
        assert refused.is_error
        assert "There is no such file" in str(refused.content)


async def test_progress_arrives_while_it_happens_and_ends_with_the_job(
    stack: Stack, rest: Callable[[str], Rest]
) -> None:
    dana = rest("dana")
    file = await dana.upload("invoices.csv", (SAMPLES / "invoices.csv").read_bytes())
    job = await dana.submit(file)
    events = (await dana.good("GET", f"/api/jobs/{job}/events")).body.decode()
    names = [line.removeprefix("event: ") for line in events.splitlines() if line.startswith("event: ")]
    assert names[-1] == "done"
    assert set(names[:-1]) <= {"progress"}
    assert '"status":"succeeded"' in events.replace(" ", "")


async def test_a_download_can_be_taken_up_where_it_broke(rest: Callable[[str], Rest]) -> None:
    job, whole = await rest("dana").enrich("invoices.csv", (SAMPLES / "invoices.csv").read_bytes())
    path = f"/api/jobs/{job['id']}/result"
    answer = await rest("dana").call("GET", path, headers={"Range": "bytes=1000-"})
    assert answer.status == 206
    assert whole[:1000] + answer.body == whole
    assert f'filename="{job["result"]["name"]}"' in answer.headers["Content-Disposition"]

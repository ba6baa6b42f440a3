"""The engine in processes of their own: what a file may cost, and what becomes of one that costs more."""

from __future__ import annotations

import gzip
import io
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import psutil
import pytest
import python_calamine
from openpyxl.utils import get_column_letter
from services.application.tests.engine.support import Broken, Departments, departments, propose, source_of
from services.application.tests.engine.workbooks import SHEET, TEXTS, repacked, saved, with_shared_texts, workbook
from services.application.tests.support import bombs
from services.application.tests.support.stack import wait_until

from application.engine import (
    DEFAULT_LIMITS,
    Cancelled,
    DatasetRef,
    DepartmentUnavailable,
    FileSource,
    Format,
    InputError,
    Limits,
    LookupBatch,
    Preview,
    Progress,
    decide,
    detect_format,
)
from application.sandbox import Budget, Cancellation, Sandbox
from application.sandbox.process import Usage
from application.settings import ApiSettings, WorkerSettings

pytestmark = pytest.mark.slow

MEBIBYTE = 1 << 20
API = ApiSettings.model_fields
WORKER = WorkerSettings.model_fields
PREVIEW = Budget(
    API["preview_memory_bytes"].default,
    API["preview_cpu_seconds"].default,
    API["preview_seconds"].default,
    read=512 * MEBIBYTE,
    produced=4 * MEBIBYTE,
)
JOB = Budget(WORKER["job_memory_bytes"].default, 60)


@pytest.fixture(scope="module")
def ended() -> list[Usage]:
    return []


@pytest.fixture(scope="module")
def sandbox(ended: list[Usage]) -> Iterator[Sandbox]:
    with Sandbox(ended.append) as running:
        yield running


def preview(
    sandbox: Sandbox, data: bytes, name: str, lookup: Departments | None = None, budget: Budget = PREVIEW
) -> Preview:
    return sandbox.preview(
        source_of(data),
        detect_format(name, data[: 64 << 10]),
        lookup or departments(),
        limits=DEFAULT_LIMITS,
        budget=budget,
        cancellation=Cancellation(),
    )


def job(
    sandbox: Sandbox,
    data: bytes,
    name: str,
    lookup: Departments | None = None,
    budget: Budget = JOB,
    cancellation: Cancellation | None = None,
    told: list[Progress] | None = None,
) -> bytes:
    sink = io.BytesIO()
    given = {"text": ["finance.vendors"]} if name.endswith((".md", ".pdf")) else {"vendor_id": ["finance.vendors"]}
    small = b"V-00001" if name.endswith((".md", ".pdf")) else b"vendor_id\nV-00001\n"
    mapping = decide(propose(small, "x.md" if name.endswith((".md", ".pdf")) else "x.csv", given=given))
    sandbox.enrich(
        source_of(data),
        detect_format(name, data[: 64 << 10]),
        mapping,
        lookup or departments(),
        sink,
        progress=(told if told is not None else []).append,
        limits=DEFAULT_LIMITS,
        budget=budget,
        cancellation=cancellation or Cancellation(),
    )
    return sink.getvalue()


CSV = b"vendor_id,amount\n" + b"".join(b"V-%05d,%d\n" % (number % 5, number) for number in range(100_000))


def test_a_file_is_enriched_with_progress_as_without_a_process_of_its_own(sandbox: Sandbox) -> None:
    told: list[Progress] = []
    enriched = job(sandbox, CSV, "a.csv", told=told)
    assert enriched.startswith(b"vendor_id,amount,vendor_id.finance.name")
    assert enriched.count(b"Acme GmbH") == 20_000
    assert told[-1].rows == 100_000
    assert preview(sandbox, CSV, "a.csv").mapping[0].matched == 8


def test_a_compressed_table_takes_as_little_memory_as_a_plain_one(sandbox: Sandbox) -> None:
    packed = gzip.compress(CSV + CSV.partition(b"\n")[2] * 60, 1)
    enriched = job(sandbox, packed, "a.csv.gz", budget=Budget(96 * MEBIBYTE, 60))
    assert gzip.decompress(enriched).count(b"Acme GmbH") == 61 * 20_000
    assert preview(sandbox, packed, "a.csv.gz").mapping[0].matched == 8


def sheet_of(rows: int) -> bytes:
    """A workbook with a sheet of 20 columns: ten of texts that are shared, most of them in one cell only."""
    data = with_shared_texts(saved(workbook([["vendor_id", *(f"column {n}" for n in range(1, 20))]])))
    cells = [f'<c r="{get_column_letter(n)}%d" t="s"><v>%d</v></c>' for n in range(1, 11)]
    cells += [f'<c r="{get_column_letter(n)}%d"><v>%d.25</v></c>' for n in range(11, 21)]
    row = f'<row r="%d">{"".join(cells)}</row>'
    numbers = (20 + number * 10 + column for number in range(rows) for column in range(10))
    lines = []
    for number in range(2, rows + 2):
        places = [part for _ in range(10) for part in (number, next(numbers))]
        lines.append(row % (number, *places, *(part for n in range(10) for part in (number, n * number))))
    texts = "".join(f"<si><t>V-{number:05}</t></si>" for number in range(rows * 10))
    return repacked(
        data,
        {
            SHEET: lambda sheet: sheet.replace("</sheetData>", f"{''.join(lines)}</sheetData>"),
            TEXTS: lambda table: table.replace("</sst>", f"{texts}</sst>"),
        },
    )


def test_a_large_sheet_takes_little_memory(sandbox: Sandbox) -> None:
    rows = 30_000
    enriched = job(sandbox, sheet_of(rows), "a.xlsx", budget=Budget(72 * MEBIBYTE, 60))
    sheet = python_calamine.load_workbook(io.BytesIO(enriched)).get_sheet_by_index(0)
    found = sheet.to_python()
    assert len(found) == rows + 1
    assert found[-1][:2] == [f"V-{rows * 10 - 10:05}", f"V-{rows * 10 - 9:05}"]
    assert found[1][:1] + found[1][20:] == ["V-00000", "", "", ""]
    assert found[1][10:20] == [0.25 + 2 * n for n in range(10)]


def test_what_is_wrong_with_a_file_is_told_with_its_place(sandbox: Sandbox) -> None:
    with pytest.raises(InputError) as caught:
        job(sandbox, b"vendor_id,b\nV-00001,2\nV-00002,3,4\n", "a.csv")
    assert (caught.value.slug, caught.value.row) == ("ragged-row", 3)


def test_an_error_of_a_department_is_told_as_it_is(sandbox: Sandbox) -> None:
    with pytest.raises(DepartmentUnavailable, match="finance: timed out"):
        job(sandbox, CSV, "a.csv", Broken(departments().sets))


@pytest.mark.parametrize("kind", [EOFError, TimeoutError, BrokenPipeError])
def test_an_error_of_storage_is_no_error_of_the_file(sandbox: Sandbox, kind: type[Exception]) -> None:
    class Storage(FileSource):
        def read(self, size: int = -1, /) -> bytes:
            raise kind("storage failed")

    with pytest.raises(kind, match="storage failed"):
        sandbox.enrich(
            Storage(io.BytesIO(CSV)),
            Format.CSV,
            (),
            departments(),
            io.BytesIO(),
            progress=lambda _: None,
            limits=DEFAULT_LIMITS,
            budget=JOB,
            cancellation=Cancellation(),
        )


@pytest.mark.parametrize("start", ["<!--", "](", "`", "``` ", "[a]: "])
def test_markdown_of_starts_that_never_end_is_read_in_linear_time(
    sandbox: Sandbox, ended: list[Usage], start: str
) -> None:
    assert preview(sandbox, bombs.markdown(start), "a.md").columns
    assert b"[finance: " in job(sandbox, bombs.markdown(start), "a.md")
    assert max(usage.cpu for usage in ended[-2:]) < 10


@pytest.mark.parametrize("start", ["<a", "http://V-00001/", "V-00001/"])
def test_a_line_of_nothing_but_words_is_read_or_refused_in_words(sandbox: Sandbox, start: str) -> None:
    slugs = set()
    for work, memory in ((preview, PREVIEW.memory), (job, JOB.memory)):
        try:
            work(sandbox, bombs.markdown(start), "a.md", budget=Budget(memory, cpu=2))
        except InputError as error:
            slugs.add(error.slug)
    assert slugs <= {"file-too-large"}


@pytest.mark.parametrize("layout", list(bombs.arrays(1, 1)))
def test_parquet_is_sized_before_it_is_unpacked(sandbox: Sandbox, ended: list[Usage], layout: str) -> None:
    data = bombs.parquet(bombs.arrays()[layout])
    assert len(data) < 100_000
    shown = preview(sandbox, data, "a.parquet")
    assert shown.rows
    assert ended[-1].memory < 256 * MEBIBYTE


def test_a_pdf_that_needs_too_much_memory_is_refused_in_words(sandbox: Sandbox) -> None:
    with pytest.raises(InputError) as caught:
        preview(sandbox, bombs.pdf(512 * MEBIBYTE), "a.pdf")
    assert caught.value.slug == "file-too-large"
    assert "112 MB of memory" in caught.value.detail
    assert "Split it" in caught.value.detail


def test_a_file_that_needs_too_much_processor_time_is_refused_in_words(sandbox: Sandbox) -> None:
    with pytest.raises(InputError) as caught:
        job(sandbox, CSV + CSV.partition(b"\n")[2] * 99, "a.csv", budget=Budget(2 << 30, 1))
    assert caught.value.slug == "file-too-large"
    assert "1 s of processor time" in caught.value.detail


class Silent(Departments):
    """Departments that answer when they are told to."""

    def __init__(self) -> None:
        super().__init__(departments().sets)
        self.asked_once = threading.Event()
        self.answer = threading.Event()

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        self.asked_once.set()
        self.answer.wait(60)
        return super().lookup(dataset, keys, columns)


def test_work_whose_time_is_over_is_ended(sandbox: Sandbox) -> None:
    silent = Silent()
    threading.Timer(1.5, silent.answer.set).start()
    with pytest.raises(InputError, match="1 s"):
        preview(sandbox, CSV, "a.csv", silent, Budget(PREVIEW.memory, 10, 1))


def test_work_that_is_cancelled_ends_with_its_process(sandbox: Sandbox, ended: list[Usage]) -> None:
    silent, cancellation = Silent(), Cancellation()
    cancellation.also(silent.answer.set)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            job(sandbox, CSV, "a.csv", silent, cancellation=cancellation)
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)

    before = len(ended)
    thread = threading.Thread(target=work)
    thread.start()
    assert silent.asked_once.wait(30)
    cancellation.cancel()
    thread.join(30)
    assert isinstance(errors[0], Cancelled)
    assert os.WTERMSIG(ended[before].status) == signal.SIGKILL


HIJACKS = {
    "half a message": "files.sendall(told + HEADER.pack(Kind.WRITE, 9) + b'half')",
    "half a question": "files.sendall(told); lookups[0].sendall(HEADER.pack(Kind.LOOKUP, 9) + b'half')",
    "no message is read": "files.sendall(told + (HEADER.pack(Kind.READ, 12) + READ.pack(0, PIECE)) * 100)",
}
"""What a process sends that runs an attacker's code, before it falls silent."""


@dataclass
class Hijack:
    """An argument that takes over the process which unpickles it."""

    sent: str

    def __reduce__(self) -> tuple[Any, ...]:
        code = (
            "import sys, time\n"
            "from application.sandbox.frames import HEADER, PIECE, PROGRESS, READ, Kind\n"
            "serve = sys._getframe(1).f_locals\n"
            "files, lookups = serve['files'], serve['lookups']\n"
            "told = HEADER.pack(Kind.PROGRESS, PROGRESS.size) + PROGRESS.pack(1, 1, 1, 1)\n"
            f"{self.sent}\n"
            "time.sleep(600)"
        )
        return exec, (code, {})


@pytest.mark.parametrize("sent", HIJACKS.values(), ids=HIJACKS)
@pytest.mark.parametrize("how", ["cancelled", "out of time"])
def test_a_hijacked_process_cannot_outlast_its_work(sandbox: Sandbox, sent: str, how: str) -> None:
    cancellation = Cancellation()
    cancel = threading.Timer(0.3, cancellation.cancel)
    with pytest.raises(Cancelled if how == "cancelled" else InputError, match="0.5 s" if how != "cancelled" else None):
        sandbox.enrich(
            source_of(CSV),
            Format.CSV,
            (),
            departments(),
            io.BytesIO(),
            progress=lambda _: cancel.start() if how == "cancelled" else None,
            limits=cast("Limits", Hijack(sent)),
            budget=Budget(JOB.memory, JOB.cpu, 60 if how == "cancelled" else 0.5),
            cancellation=cancellation,
        )


def zygotes() -> list[psutil.Process]:
    """Those of this process, the oldest first: that of the module's sandbox, then that of the test's own."""
    found = [each for each in psutil.Process().children() if "application.sandbox.zygote" in each.cmdline()]
    return sorted(found, key=lambda each: each.create_time())


def test_a_process_of_the_sandbox_that_is_killed_harms_no_other_work() -> None:
    with Sandbox() as own:
        silent = Silent()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                job(own, CSV, "a.csv", silent)
            except BaseException as error:  # noqa: BLE001 - told to the test
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert silent.asked_once.wait(30)
        (child,) = zygotes()[-1].children()
        child.kill()
        silent.answer.set()
        thread.join(30)
        assert isinstance(errors[0], InputError)
        assert job(own, CSV, "a.csv").startswith(b"vendor_id")


def test_the_sandbox_starts_again_after_its_end() -> None:
    with Sandbox() as own:
        zygote = zygotes()[-1]
        zygote.kill()
        wait_until(lambda: not zygote.is_running() or zygote.status() == psutil.STATUS_ZOMBIE)
        assert preview(own, CSV, "a.csv").rows


def test_the_process_has_no_credentials_in_its_environment(sandbox: Sandbox) -> None:
    assert preview(sandbox, CSV, "a.csv").rows
    environment = zygotes()[0].environ()
    assert not {name for name in environment if name.startswith(("AWS", "SERVICE", "KUBERNETES", "HOME"))}

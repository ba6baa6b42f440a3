"""`fileproc review`: why keys were not found, a workbook to fill in, and a job with the keys that were meant."""

import json
from pathlib import Path
from typing import Any, get_args

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from services.client.tests.conftest import Command
from services.client.tests.fake_service import FakeService

from common.causes import Approvable
from fileproc.misses import read_workbook, workbook
from fileproc.models import Misses, UnmatchedKey
from fileproc.options import Cause

KEYS = [
    {"key": "1", "row": 2, "cause": "leading_zeros", "proposals": [{"key": "00001", "score": 98, "reason": "zeros"}]},
    {"key": "=1+1", "row": 3, "cause": "unknown", "proposals": []},
    {"key": "00007", "row": 5, "cause": "other_dataset", "dataset": "finance.rates", "proposals": []},
]
MISSES: list[dict[str, Any]] = [{"column": "vendor_id", "dataset": "finance.vendors", "keys": KEYS}]


@pytest.fixture
def job(command: Command, service: FakeService, invoices: Path, tmp_path: Path) -> str:
    command("enrich", invoices, "-o", tmp_path / "out.csv")
    service.misses = MISSES
    return "job-1"


@pytest.fixture
def book(command: Command, job: str, tmp_path: Path) -> Path:
    path = tmp_path / "keys.xlsx"
    assert command("review", job, "--save", path).exit_code == 0
    return path


def test_review_shows_causes_with_an_example_and_what_to_type(command: Command, job: str) -> None:
    shown = command("review", job).stdout
    assert "vendor_id → finance.vendors" in shown
    assert "--approve leading_zeros" in shown
    assert "--approve unknown" not in shown
    assert json.loads(command("review", job, "--json").stdout)["misses"][0]["keys"][0]["key"] == "1"


def test_a_job_that_found_all_keys_says_so(command: Command, service: FakeService, job: str) -> None:
    service.misses = []
    assert command("review", job).stdout == "All keys were found.\n"


def test_the_workbook_has_each_key_as_text_for_another_reader(book: Path) -> None:
    header, *rows = CalamineWorkbook.from_path(book).get_sheet_by_index(0).to_python()
    assert [row[header.index("Key")] for row in rows] == ["1", "=1+1", "00007"]
    assert [row[header.index("Proposal")] for row in rows] == ["00001", "", ""]
    assert rows[2][header.index("Why")] == "Key of finance.rates"


def test_a_filled_in_workbook_begins_a_job_with_these_keys(
    command: Command, service: FakeService, job: str, book: Path, tmp_path: Path
) -> None:
    filled = openpyxl.load_workbook(book)
    sheet = filled.worksheets[0]
    assert [sheet["I2"].number_format, sheet["I3"].number_format] == ["@", "@"]
    sheet["I2"], sheet["I3"] = "00001", 12
    filled.save(book)
    out = tmp_path / "repaired.csv"
    done = command("review", job, "--keys", book, "--approve", "typo", "-o", out)
    assert done.exit_code == 0, done.output
    assert service.reviews == [{"approve": ["typo"], "keys": {"finance.vendors": {"1": "00001", "=1+1": "12"}}}]
    assert out.exists()


def test_causes_and_keys_can_be_approved_with_the_file(
    command: Command, service: FakeService, book: Path, invoices: Path, tmp_path: Path
) -> None:
    filled = openpyxl.load_workbook(book)
    filled.worksheets[0]["I2"] = "00001"
    filled.save(book)
    done = command("enrich", invoices, "-o", tmp_path / "new.csv", "--approve", "typo", "--keys", book)
    assert done.exit_code == 0, done.output
    wish = service.wishes[-1]
    assert (wish["approve"], wish["keys"]) == (["typo"], {"finance.vendors": {"1": "00001"}})


def test_without_out_it_does_not_wait(command: Command, service: FakeService, job: str) -> None:
    done = command("review", job, "--approve", "leading_zeros")
    assert "Job job-2 is queued. Its result: fileproc result job-2 -o OUT" in done.stderr
    assert service.reviews == [{"approve": ["leading_zeros"], "keys": {}}]


def test_a_workbook_is_not_overwritten(command: Command, job: str, book: Path) -> None:
    before = book.read_bytes()
    assert command("review", job, "--save", book).exit_code == 2
    assert book.read_bytes() == before


@pytest.mark.parametrize(
    "options", [["--save", "a.xlsx", "--approve", "typo"], ["-o", "a.csv"], ["--approve", "unknown"]]
)
def test_options_that_mean_nothing_together_are_wrong_usage(command: Command, job: str, options: list[str]) -> None:
    assert command("review", job, *options).exit_code == 2


@pytest.mark.parametrize("content", [b"", b"vendor_id\nV-00001\n", b"PK\x03\x04 nothing"])
def test_what_is_no_such_workbook_is_refused_in_words(
    command: Command, service: FakeService, job: str, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "other.xlsx"
    path.write_bytes(content)
    done = command("review", job, "--keys", path)
    assert (done.exit_code, service.reviews) == (4, [])
    assert "is not a workbook with the columns" in done.stderr


def test_a_workbook_that_nobody_filled_in_is_refused(command: Command, job: str, book: Path) -> None:
    done = command("review", job, "--keys", book)
    assert done.exit_code == 4
    assert "no key is filled in" in done.stderr


def test_the_causes_are_those_of_the_service() -> None:
    assert [cause.value for cause in Cause] == [str(cause) for cause in get_args(Approvable)]


@given(st.lists(st.text(min_size=1, max_size=20), unique=True, min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_key_comes_back_from_the_workbook_as_it_was(tmp_path: Path, texts: list[str]) -> None:
    keys = tuple(UnmatchedKey(key=text) for text in texts)
    path = tmp_path / "keys.xlsx"
    path.write_bytes(workbook([Misses(column="id", dataset="finance.vendors", keys=keys)], {}))
    filled = openpyxl.load_workbook(path)
    for row in range(2, len(texts) + 2):
        filled.worksheets[0].cell(row, 9).value = "V-1"
    filled.save(path)
    assert read_workbook(path) == {"finance.vendors": dict.fromkeys(texts, "V-1")}

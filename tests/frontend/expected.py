"""What a sample must come back with, computed from the departments' data by this test alone."""

from pathlib import Path
from typing import Any

from tests.helpers.data import DataSet, expected_rows, json_value
from tests.helpers.files import read_table
from tests.helpers.stack import ROOT
from tests.system.test_main_job import KEYS, known_keys, mapped, memo_text

SAMPLES = ROOT / "tools" / "local" / "samples"
TABLES = tuple(KEYS)
MEMOS = ("memo.docx", "memo.pdf")


def is_right(sample: str, user: str, result: Path, data_sets: dict[str, DataSet]) -> None:
    """Compare an enriched sample, cell by cell or key by key, with what must be in it."""
    if sample in MEMOS:
        _memo_is_right(sample, user, result.read_bytes(), data_sets)
    else:
        _table_is_right(sample, user, result.read_bytes(), data_sets)


def _table_is_right(sample: str, user: str, result: bytes, data_sets: dict[str, DataSet]) -> None:
    extension = sample.rpartition(".")[2]
    rows = read_table(extension, (SAMPLES / sample).read_bytes())
    expected = list(expected_rows(extension, rows, mapped(sample, user, data_sets)))
    found = read_table(extension, result)
    assert len(found) == len(rows) > 20
    assert list(found[0]) == list(expected[0])
    assert len(found[0]) > len(rows[0])
    assert [_cells(row) for row in found] == [_cells(row) for row in expected]


def _memo_is_right(sample: str, user: str, result: bytes, data_sets: dict[str, DataSet]) -> None:
    before, after = memo_text((SAMPLES / sample).read_bytes(), sample), memo_text(result, sample)
    keys = list(known_keys(before, user, data_sets))
    assert keys
    for key, data_set in keys:
        name = "name" if "name" in data_set.columns else "title"
        assert " ".join(str(data_set.rows[key][name]).split())[:40] in after


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    return {column: json_value(value) for column, value in row.items()}


def gets_columns(sample: str, user: str, data_sets: dict[str, DataSet]) -> bool:
    """Whether anything of a sample is for `user` to see."""
    if sample in MEMOS:
        return bool(list(known_keys(memo_text((SAMPLES / sample).read_bytes(), sample), user, data_sets)))
    return bool(mapped(sample, user, data_sets))

"""Data as departments have it: three formats, and the dirt of each."""

import csv
import datetime
import decimal
import io
import json
import string
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.departments import Dataset
from mcp_server.datasets import DataTable
from mcp_server.errors import BrokenObject


def load(data: bytes | str, ending: str, **spec: Any) -> DataTable:
    dataset = Dataset(name="things", object=f"things.{ending}", **{"key": "id"} | spec)
    return DataTable.load(dataset, "v1", data if isinstance(data, bytes) else data.encode())


def values(table: DataTable, key: str) -> dict[str, Any] | None:
    return table.row(key, [column.name for column in table.columns[1:]])


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_csv_is_text_in_every_cell_and_empty_is_nothing() -> None:
    table = load('id,a,b,c\n007,1.0,true,2026-01-01\n8,,"",NA\n', "csv")
    assert values(table, "007") == {"a": "1.0", "b": "true", "c": "2026-01-01"}
    assert values(table, "8") == {"a": None, "b": None, "c": "NA"}
    assert values(table, "7") is None


def test_csv_with_a_byte_order_mark_line_breaks_in_cells_blank_lines_and_crlf() -> None:
    table = load(b'\xef\xbb\xbf id ,"a b"\r\n1,"two\r\nlines, and a ""quote"""\r\n\r\n2,x\r\n', "csv")
    assert values(table, "1") == {"a b": 'two\r\nlines, and a "quote"'}
    assert table.row_count == 2


def test_the_first_row_of_a_key_counts_and_rows_without_a_key_are_left_out() -> None:
    table = load("id,a\n1,first\n 1 ,second\n,none\n  ,blank\n2,x\n1,third\n", "csv")
    assert values(table, "1") == {"a": "first"}
    assert (table.row_count, table.duplicate_keys, table.blank_keys) == (2, 2, 2)


def test_white_space_around_a_key_does_not_count_on_either_side() -> None:
    table = load("id,a\n 1\t,x\n", "csv")
    assert [row["matched"] for row in table.lookup(["1", " 1 ", "1 1"], ["a"])] == [True, True, False]


def test_json_lines_keep_numbers_and_turn_what_is_mixed_into_text() -> None:
    lines = [
        {"id": 7, "number": 1, "flag": True, "mixed": 1, "nested": {"a": [1]}, "none": None},
        {"id": "8", "number": 2.5, "flag": False, "mixed": "x", "nested": [], "late": "y"},
        {"number": 3},
    ]
    table = load("\ufeff" + "\n\n".join(json.dumps(line) for line in lines) + "\n", "jsonl")
    assert values(table, "7") == {
        "number": 1,
        "flag": True,
        "mixed": "1",
        "nested": '{"a":[1]}',
        "none": None,
        "late": None,
    }
    assert values(table, "8") is not None
    assert {column.name: column.type for column in table.columns} == {
        "id": "string",
        "number": "double",
        "flag": "bool",
        "mixed": "string",
        "nested": "string",
        "none": "string",
        "late": "string",
    }
    assert table.blank_keys == 1


def test_parquet_values_become_what_json_can_say() -> None:
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    table = load(
        parquet(
            id=pa.array([1.0, 2.0, None]),
            day=pa.array([datetime.date(2026, 1, 2), None, None]),
            moment=pa.array([moment, None, None], pa.timestamp("ns", "UTC")),
            money=pa.array([decimal.Decimal("10.50"), None, None]),
            ratio=pa.array([float("nan"), float("inf"), 1.5]),
            blob=pa.array([b"\xff", None, None]),
            tags=pa.array([["a"], [], None]),
            kind=pa.array(["x", "y", "x"]).dictionary_encode(),
        ),
        "parquet",
    )
    assert values(table, "1") == {
        "day": "2026-01-02",
        "moment": "2026-01-02T03:04:05+00:00",
        "money": "10.50",
        "ratio": None,
        "blob": '"\ufffd"',
        "tags": '["a"]',
        "kind": "x",
    }
    assert values(table, "2") == {
        "day": None,
        "moment": None,
        "money": None,
        "ratio": None,
        "blob": None,
        "tags": "[]",
        "kind": "y",
    }


@pytest.mark.parametrize(
    ("data", "ending", "said"),
    [
        (b"", "csv", "things.csv cannot be read as csv"),
        (b"id,a\n", "csv", "things.csv has no row with a key in id"),
        (b"id;a\n1;2\n", "csv", "things.csv lacks the column id"),
        (b"id,a\n1,2,3\n", "csv", "things.csv cannot be read as csv"),
        (b"id,a,\n1,2,3\n", "csv", "things.csv has two columns of one name, or a column without a name"),
        (b"id,a, a\n1,2,3\n", "csv", "things.csv has two columns of one name"),
        ("id,a\n1,Ä\n".encode("latin-1"), "csv", "things.csv cannot be read as csv"),
        (b"", "jsonl", "things.jsonl lacks the column id"),
        (b'{"id": 1}\n{"id": ', "jsonl", "things.jsonl cannot be read as jsonl: JSONDecodeError"),
        (b'[{"id": 1}]', "jsonl", "things.jsonl cannot be read as jsonl: ValueError"),
        (b'{"id": "\xff"}', "jsonl", "things.jsonl cannot be read as jsonl"),
        (b"PAR1 nothing PAR1", "parquet", "things.parquet cannot be read as parquet"),
        (b"", "parquet", "things.parquet cannot be read as parquet"),
        (parquet(id=["1"], a=["2"])[:-20], "parquet", "things.parquet cannot be read as parquet"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(data: bytes, ending: str, said: str) -> None:
    with pytest.raises(BrokenObject, match=said):
        load(data, ending)


def test_a_refusal_repeats_no_data() -> None:
    with pytest.raises(BrokenObject) as refusal:
        load(b"id,a\nhunter2,x,y\n", "csv")
    assert "hunter2" not in str(refusal.value)


def test_columns_that_the_department_names_have_to_be_there() -> None:
    with pytest.raises(BrokenObject, match="lacks the column title"):
        load("id,a\n1,2\n", "csv", search=["a", "title"])
    with pytest.raises(BrokenObject, match="lacks a column that is named in restrictedColumns"):
        load("id,a\n1,2\n", "csv", search=["secret"], restricted_columns=["secret"])


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
names = st.lists(st.text(string.ascii_letters, min_size=1), min_size=1, max_size=4, unique=True)


@given(st.data())
def test_any_csv_that_python_writes_is_read_cell_by_cell(data: st.DataObject) -> None:
    header = ["id", *data.draw(names.filter(lambda drawn: "id" not in drawn))]
    rows = data.draw(st.lists(st.tuples(*[cells] * len(header)), min_size=1, max_size=20))
    sink = io.StringIO()
    csv.writer(sink, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    expected: dict[str, dict[str, str | None]] = {}
    for row in rows:
        if key := row[0].strip():
            cleaned = {name: cell or None for name, cell in zip(header[1:], row[1:], strict=True)}
            expected.setdefault(key, cleaned)
    if not expected:
        with pytest.raises(BrokenObject):
            load(sink.getvalue(), "csv")
        return
    table = load(sink.getvalue(), "csv")
    assert {key: values(table, key) for key in table.keys} == expected
    assert table.duplicate_keys + table.blank_keys + table.row_count == len(rows)


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.fixed_dictionaries({"id": cells}, optional={"a": scalars | cells, "b": cells}), min_size=1))
def test_a_look_up_finds_what_is_there_and_nothing_else(rows: list[dict[str, Any]]) -> None:
    keys = [row["id"].strip() for row in rows]
    if not any(keys):
        return
    table = load(b"\n".join(orjson.dumps(row) for row in rows), "jsonl")
    asked = [*keys, "", "not there"]
    answer = orjson.loads(orjson.dumps(table.lookup(asked, [])))
    assert [row["key"] for row in answer] == asked
    assert [row["matched"] for row in answer] == [bool(key) and key in keys for key in asked]
    first = dict(reversed(list(zip(keys, rows, strict=True))))
    for row in orjson.loads(orjson.dumps(table.lookup(keys, ["id"]))):
        if row["matched"]:
            assert row["values"]["id"] == first[row["key"]]["id"]

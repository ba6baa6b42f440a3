"""Data as departments have it: three formats, and the dirt of each."""

import csv
import datetime
import decimal
import io
import json
import re
import string
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.departments import Dataset
from mcp_server.building import Limits, build
from mcp_server.datasets import DataTable
from mcp_server.errors import BrokenObject

LIMITS = Limits(free_bytes=lambda: 1 << 30, read_share=lambda: 1)


def load(data: bytes | str, ending: str, **spec: Any) -> DataTable:
    dataset = Dataset(name="things", object=f"things.{ending}", **{"key": "id"} | spec)
    with tempfile.TemporaryDirectory() as folder:
        build(dataset, "v1", io.BytesIO(data if isinstance(data, bytes) else data.encode()), Path(folder), LIMITS)
        return DataTable(dataset, Path(folder))


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


def test_parquet_values_keep_what_python_has_no_type_for() -> None:
    far = datetime.datetime.fromisoformat("9999-12-31T23:59:59")
    nanoseconds = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    table = pa.table(
        {
            "id": ["a"],
            "far": pa.array([far], pa.timestamp("us")),
            "price": pa.array([19.99], pa.float32()),
            "half": pa.array([0.1], pa.float16()),
            "nested": pa.StructArray.from_arrays([nanoseconds], ["t"]),
            "took": pa.array([90_000_000_001], pa.duration("ns")),
            "blob": pa.array([b"P-1"]),
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, use_deprecated_int96_timestamps=True)
    assert values(load(buffer.getvalue(), "parquet"), "a") == {
        "far": "9999-12-31T23:59:59",
        "price": 19.99,
        "half": 0.099975586,
        "nested": '{"t":"2023-11-14T22:13:20.123456"}',
        "took": "0:01:30",
        "blob": "P-1",
    }


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
        "blob": "ff",
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


EXAMPLES = [
    [cell.strip(" ").strip("`") for cell in re.findall(r"\| ((?:`[^`]*`|[^|`])*?) (?=\|)", line)]
    for line in Path("docs/files.md").read_text().partition("## Keys")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| `")
]


def key_column(key: str, kind: str) -> bytes:
    if kind == "text":
        return parquet(id=[key], a=["x"])
    number = {"integer": int, "float": float, "decimal": decimal.Decimal}[kind](key)
    return parquet(id=pa.array([number], pa.uint64() if kind == "integer" else None), a=["x"])


@pytest.mark.parametrize(("text", "kind", "key", "found"), [row for row in EXAMPLES if len(row) == 4])
def test_a_key_is_found_as_the_documentation_says(text: str, kind: str, key: str, found: str) -> None:
    table = load(key_column(key, kind), "parquet")
    assert [row["matched"] for row in table.lookup([text], ["a"])] == [found == "yes"]
    assert (values(table, text) is not None) == (found == "yes")


def test_two_keys_that_are_one_number_are_found_only_as_they_are_written() -> None:
    table = load("id,a\n7.0,x\n7.00,y\n8.0,z\n8,w\n", "csv")
    found = [values(table, key) for key in ("7.0", "7.00", "7", "8", "8.00")]
    assert found == [{"a": "x"}, {"a": "y"}, None, {"a": "w"}, {"a": "w"}]


def test_json_numbers_keep_every_digit() -> None:
    lines = [
        '{"id": 7, "big": 123456789012345678901234, "exact": 0.1234567890123456789, "mixed": 1}',
        '{"id": 42.0, "big": 1, "exact": 1.5, "mixed": "x"}',
        '{"id": 12345678901234567890123, "big": null, "exact": 2, "mixed": 123456789012345678901234}',
    ]
    table = load("\n".join(lines), "jsonl")
    assert {column.name: column.type for column in table.columns} == {
        "id": "decimal128(24, 1)",
        "big": "decimal128(24, 0)",
        "exact": "decimal128(20, 19)",
        "mixed": "string",
    }
    assert values(table, "7") == {
        "big": "123456789012345678901234",
        "exact": "0.1234567890123456789",
        "mixed": "1",
    }
    assert values(table, "42") == {"big": "1", "exact": "1.5", "mixed": "x"}
    assert values(table, "12345678901234567890123") == {
        "big": None,
        "exact": "2",
        "mixed": "123456789012345678901234",
    }


@pytest.mark.parametrize("number", ["1e999999", "1e-400", "9" * 100, "-" + "9" * 30 + ".5"])
def test_a_json_number_beyond_all_types_is_text_as_it_is_written_or_a_decimal(number: str) -> None:
    table = load(f'{{"id": "a", "n": {number}, "nested": [{number}]}}', "jsonl")
    found = values(table, "a")
    assert found is not None
    assert decimal.Decimal(found["n"]) == decimal.Decimal(number)
    assert "9" in found["nested"] or "1" in found["nested"]


def test_a_time_that_cannot_be_shown_is_refused_when_the_object_is_read_and_not_at_a_look_up() -> None:
    far = pa.array([10**18], pa.timestamp("us"))
    with pytest.raises(BrokenObject, match="cannot be read as parquet"):
        load(parquet(id=["1"], a=far), "parquet")
    nested = pa.ListArray.from_arrays([0, 1], far)
    with pytest.raises(BrokenObject, match="cannot be read as parquet"):
        load(parquet(id=["1"], a=nested), "parquet")


def test_times_of_a_nanosecond_are_read() -> None:
    table = load(parquet(id=["1"], a=pa.array([3_600_000_000_001], pa.time64("ns"))), "parquet")
    assert values(table, "1") == {"a": "01:00:00"}


def test_a_dictionary_of_texts_is_read_as_texts() -> None:
    table = load(parquet(id=["1", "2", "3"], a=pa.array(["x", None, "x"]).dictionary_encode()), "parquet")
    assert [values(table, key) for key in "123"] == [{"a": "x"}, {"a": None}, {"a": "x"}]


KEYS = st.one_of(
    st.sampled_from(["1", "1.0", "1.00", "01", "a", " a ", "0", "-0.0", "10", "10.0"]), st.text(max_size=3)
)


@given(st.lists(KEYS, max_size=40), st.lists(KEYS, max_size=10), st.integers(1, 4))
def test_a_look_up_finds_what_a_dictionary_of_the_first_rows_finds(
    keys: list[str], asked: list[str], chunks: int
) -> None:
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key.strip():
            first.setdefault(key.strip(), row)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.schema({"id": pa.string(), "row": pa.int64()})) as writer:
        for start in range(0, max(1, len(keys)), chunks):
            part = keys[start : start + chunks]
            numbers = pa.array(range(start, start + len(part)), pa.int64())
            writer.write_table(pa.table({"id": pa.array(part, pa.string()), "row": numbers}))
    if not first:
        with pytest.raises(BrokenObject, match="no row with a key"):
            load(sink.getvalue(), "parquet")
        return
    table = load(sink.getvalue(), "parquet")
    assert list(table.keys) == list(first)
    assert table.duplicate_keys == sum(bool(key.strip()) for key in keys) - len(first)
    found = orjson.loads(orjson.dumps(table.lookup([*asked, *keys], ["row"])))
    for key, answer in zip([*asked, *keys], found, strict=True):
        if key.strip() in first:
            assert answer["values"] == {"row": first[key.strip()]}
        elif answer["matched"]:
            (meant,) = (text for text, row in first.items() if row == answer["values"]["row"])
            assert decimal.Decimal(key.strip()) == decimal.Decimal(meant)

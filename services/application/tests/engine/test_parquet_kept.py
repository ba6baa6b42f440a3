"""Parquet: what Arrow by itself would lose or change comes back as it was, or the report says what is different."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import re
from typing import Any

import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.application.tests.engine.support import enrich, preview, refusal

MAPPING = {"vendor_id": ["finance.vendors"]}
FAR = dt.datetime.fromisoformat("9999-12-31T23:59:59.123456")
NEAR = dt.datetime.fromisoformat("2026-01-31T13:45:30.654321")
OLD = dt.datetime.fromisoformat("0001-01-01")


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def enriched(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(enrich(data, "x.parquet", given=MAPPING).data), coerce_int96_timestamp_unit="us")


def physical(file: pq.ParquetFile) -> dict[str, str]:
    columns = (file.schema.column(index) for index in range(len(file.schema)))
    return {column.path: column.physical_type for column in columns}


@pytest.mark.parametrize("nested", [False, True])
def test_int96_of_any_year_is_the_same_instant_in_int96(nested: bool) -> None:
    moments: list[Any] = [FAR, NEAR, OLD, None]
    column = pa.array(moments, pa.timestamp("us"))
    at = pa.StructArray.from_arrays([column], ["t"]) if nested else column
    data = parquet(pa.table({"vendor_id": ["V-00001"] * 4, "at": at}), use_deprecated_int96_timestamps=True)
    file = enriched(data)
    assert physical(file)["at.t" if nested else "at"] == "INT96"
    found = file.read()["at"].to_pylist()
    assert ([value["t"] for value in found] if nested else found) == moments


def test_int96_of_nanoseconds_keeps_them() -> None:
    column = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    data = parquet(pa.table({"vendor_id": ["V-00001"], "at": column}), use_deprecated_int96_timestamps=True)
    after = pq.read_table(io.BytesIO(enrich(data, "x.parquet", given=MAPPING).data))
    assert after["at"].cast(pa.int64()).to_pylist() == [1_700_000_000_123_456_789]


def test_int96_that_arrow_has_no_unit_for_is_refused() -> None:
    data = parquet(
        pa.table({"vendor_id": ["V-00001", "V-00002"], "at": pa.array([FAR, NEAR], pa.timestamp("us"))}),
        use_deprecated_int96_timestamps=True,
        compression="NONE",
        use_dictionary=False,
    )
    near = (NEAR.hour * 3600 + NEAR.minute * 60 + NEAR.second) * 10**9 + NEAR.microsecond * 1000
    odd = data.replace(near.to_bytes(8, "little"), (near + 1).to_bytes(8, "little"))
    assert odd != data
    error = refusal(odd, "x.parquet", given=MAPPING)
    assert (error.slug, error.column) == ("unsupported-value", "at")


@pytest.mark.parametrize("encoding", ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"])
def test_texts_that_are_packed_by_their_differences_are_read(encoding: str) -> None:
    table = pa.table({"vendor_id": ["V-00001", "V-00002"] * 500, "note": [f"note {n}" for n in range(1000)]})
    data = parquet(table, use_dictionary=False, column_encoding={"vendor_id": encoding, "note": encoding})
    assert enriched(data).read().select(["vendor_id", "note"]).equals(table)


def test_a_column_whose_name_has_a_dot_stands_beside_a_struct() -> None:
    table = pa.table({"a.b": ["V-00001"], "a": [{"b": "x"}], "vendor_id": ["V-00001"]})
    assert enriched(parquet(table)).read().select(["a.b", "a", "vendor_id"]).equals(table)


def test_types_of_every_kind_come_back_and_can_be_shown() -> None:
    table = pa.table(
        {
            "vendor_id": ["V-00001", None],
            "small": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(9, 2)),
            "map": pa.array([[("k", [1])], None], pa.map_(pa.string(), pa.list_(pa.int8()))),
            "list": pa.array([[{"x": 1, "y": ["a", "b"]}], None]),
            "nested": pa.StructArray.from_arrays([pa.array([1, 2], pa.timestamp("ns"))], ["t"]),
            "far": pa.array([2**62, None], pa.duration("ns")),
            "wide": pa.array([decimal.Decimal(10**60), None], pa.decimal256(70, 0)),
        }
    )
    for options in ({}, {"store_decimal_as_integer": True}, {"store_schema": False}):
        data = parquet(table, **options)
        before, after = pq.ParquetFile(io.BytesIO(data)), enriched(data)
        names = before.schema_arrow.names
        assert after.read().select(names).equals(before.read())
        assert physical(before).items() <= physical(after).items()
        assert preview(data, "x.parquet", given=MAPPING).rows[0][0] == "V-00001"


def test_the_old_framing_of_lz4_is_read() -> None:
    data = bytearray(parquet(pa.table({"vendor_id": ["V-00001"] * 50}), compression="LZ4", use_dictionary=False))
    codec = data.rfind(b"\x15\x0e\x16") + 1  # LZ4_RAW is 7, LZ4 is 5 (parquet.thrift, CompressionCodec)
    data[codec] = 0x0A
    file = enriched(bytes(data))
    assert file.metadata.row_group(0).column(0).compression == "LZ4"
    assert file.read()["vendor_id"].to_pylist() == ["V-00001"] * 50


def test_each_column_keeps_its_compression() -> None:
    table = pa.table({"vendor_id": ["V-00001"], "a": [1], "b": [{"c": "x"}]})
    file = enriched(parquet(table, compression={"vendor_id": "ZSTD", "a": "GZIP", "b.c": "SNAPPY"}))
    group = file.metadata.row_group(0)
    found = {group.column(i).path_in_schema: group.column(i).compression for i in range(3)}
    assert found == {"vendor_id": "ZSTD", "a": "GZIP", "b.c": "SNAPPY"}


@pytest.mark.parametrize("store_schema", [False, True])
def test_notes_about_the_file_stay(store_schema: bool) -> None:
    buffer = io.BytesIO()
    table = pa.table({"vendor_id": ["V-00001"]}).replace_schema_metadata({"owner": "ERP"})
    with pq.ParquetWriter(buffer, table.schema, store_schema=store_schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"run_id": "42"})
    before = pq.ParquetFile(buffer).metadata.metadata
    found = enriched(buffer.getvalue()).metadata.metadata
    assert (found.pop(b"ARROW:schema", None) is not None) == store_schema
    before.pop(b"ARROW:schema", None)
    assert found == before
    assert found[b"run_id"] == b"42"


def test_a_mark_that_arrow_does_not_know_is_named() -> None:
    table = pa.table({"vendor_id": ["V-00001"], "span": pa.array([b"\x01" * 12], pa.binary(12))})
    data = parquet(table, store_schema=False, compression="NONE")
    # Marked as INTERVAL, which Arrow reads past (parquet.thrift: ConvertedType 21, field 6 of SchemaElement).
    start = data.index(b"span", len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    marked = data[: start + 4] + b"\x25\x2a" + data[start + 4 :]
    size = int.from_bytes(marked[-8:-4], "little") + 2
    marked = marked[:-8] + size.to_bytes(4, "little") + b"PAR1"
    warning = enrich(marked, "x.parquet", given=MAPPING).report.warnings
    assert any(re.search(r"span \(was Interval", text) for text in warning)


def test_a_file_without_rows_comes_back_with_the_added_columns() -> None:
    data = parquet(pa.table({"vendor_id": pa.array([], pa.string()), "n": pa.array([], pa.int8())}))
    result = enrich(data, "x.parq")
    assert result.report.rows == 0
    after = pq.read_table(io.BytesIO(result.data))
    assert after.schema.names[:3] == ["vendor_id", "n", "vendor_id.finance.name"]
    assert len(after) == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.datetimes(),
            st.none() | st.decimals(-(10**6), 10**6, places=3),
            st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3),
            st.none() | st.binary(max_size=4),
            st.none() | st.timedeltas(dt.timedelta(days=-100), dt.timedelta(days=100)),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_polars_writes_comes_back_equal_as_polars_reads_it(rows: list[tuple[Any, ...]]) -> None:
    schema: dict[str, Any] = {
        "at": polars.Datetime("us"),
        "price": polars.Decimal(12, 3),
        "tags": polars.List(polars.String),
        "raw": polars.Binary,
        "took": polars.Duration("us"),
    }
    frame = polars.DataFrame(rows, schema=schema, orient="row")
    frame = frame.with_columns(vendor_id=polars.lit("V-00001"))
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    after = polars.read_parquet(io.BytesIO(enrich(buffer.getvalue(), "x.parquet", given=MAPPING).data))
    assert after.select(frame.columns).equals(frame)

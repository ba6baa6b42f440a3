"""Parquet: columns of the input pass through with type and value; added ones have the data sets' types."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import io
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.application.tests.engine.support import (
    VENDORS,
    Departments,
    dataset,
    departments,
    enrich,
    preview,
    propose,
    refusal,
    source_of,
)

from application import engine
from application.engine import DEFAULT_LIMITS, Cancelled, DepartmentUnavailable, Format, Progress
from application.engine.enrich import enrich as enrich_to

MAPPING = {"vendor_id": ["finance.vendors"]}


def parquet(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def read(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))


def test_added_columns_have_the_types_of_the_data_set() -> None:
    data = parquet(pa.table({"contract_id": ["C-00001", "C-9", None], "n": pa.array([1, 2, 3], pa.int8())}))
    table = read(enrich(data, "x.parquet").data)
    assert table.schema.names == [
        "contract_id",
        "n",
        "contract_id.legal.title",
        "contract_id.legal.end_date",
        "contract_id.legal.value",
    ]
    assert table.schema.types[1:] == [pa.int8(), pa.string(), pa.date32(), pa.decimal128(12, 2)]
    assert table.to_pylist() == [
        {
            "contract_id": "C-00001",
            "n": 1,
            "contract_id.legal.title": "Lease\nof hall 7",
            "contract_id.legal.end_date": dt.date(2027, 1, 31),
            "contract_id.legal.value": decimal.Decimal("1200.50"),
        },
        {
            "contract_id": "C-9",
            "n": 2,
            "contract_id.legal.title": None,
            "contract_id.legal.end_date": None,
            "contract_id.legal.value": None,
        },
        {
            "contract_id": None,
            "n": 3,
            "contract_id.legal.title": None,
            "contract_id.legal.end_date": None,
            "contract_id.legal.value": None,
        },
    ]


def test_text_is_not_a_formula_here() -> None:
    table = read(enrich(parquet(pa.table({"vendor_id": ["V-00003"]})), "x.parquet").data)
    assert table["vendor_id.finance.name"].to_pylist() == ["=HYPERLINK(1)"]


def test_columns_of_every_type_pass_through() -> None:
    table = pa.table(
        {
            "vendor_id": pa.array(["V-00001", None]).dictionary_encode(),
            "nested": pa.array([{"a": [1, 2], "b": "x"}, None]),
            "moment": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us", tz="Europe/Berlin")),
            "money": pa.array([decimal.Decimal("1.10"), None], pa.decimal128(10, 2)),
            "raw": pa.array([b"\x00\xff", None]),
            "large": pa.array(["x" * 1000, None], pa.large_string()),
            "list": pa.array([[1, None], []], pa.list_(pa.int16())),
            "time": pa.array([dt.time(1, 2), None], pa.time32("ms")),
            "half": pa.array([1.5, float("nan")], pa.float32()),
        }
    ).replace_schema_metadata({"owner": "me"})
    result = read(enrich(parquet(table), "x.parquet", given=MAPPING).data)
    before = read(parquet(table))
    assert result.schema.metadata[b"owner"] == b"me"
    for name in before.schema.names:
        assert result.schema.field(name).type == before.schema.field(name).type
        if name != "half":
            assert result[name].to_pylist() == before[name].to_pylist()
    assert result["vendor_id.finance.name"].to_pylist() == ["Acme GmbH", None]


@pytest.mark.parametrize("compression", ["NONE", "SNAPPY", "ZSTD", "GZIP", "BROTLI", "LZ4"])
def test_the_compression_stays(compression: str) -> None:
    data = parquet(pa.table({"vendor_id": ["V-00001"]}), compression=compression)
    result = enrich(data, "x.parquet").data
    group = pq.ParquetFile(io.BytesIO(result)).metadata.row_group(0)
    expected = "UNCOMPRESSED" if compression == "NONE" else compression
    assert {group.column(index).compression for index in range(group.num_columns)} == {expected}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([7, 8, None], pa.int32()), [70, None, None]),
        (pa.array([7.0, 7.5, float("nan")]), [70, None, None]),
        (pa.array([7.0, None, 19.99], pa.float32()), [70, None, 1999]),
        (pa.array([7, 1.5], pa.float16()), [70, None]),
        (pa.array([decimal.Decimal("7.00"), None]), [70, None]),
        (pa.array([decimal.Decimal(7)], pa.decimal256(50, 0)), [70]),
        (pa.array([b" 7 ", b"\xff", None]), [70, None, None]),
        (pa.array([b"7"], pa.binary(1)), [70]),
        (pa.array(["7", None], pa.string_view()), [70, None]),
        (pa.array([7.0, None, 7.0]).dictionary_encode(), [70, None, 70]),
        (pa.array([dt.date(2026, 1, 1), None]), [11, None]),
        (pa.array([dt.date(2026, 1, 1)], pa.date64()), [11]),
        (pa.array([True, None]), [1, None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_text_numbers_and_dates_can_be_keys(column: pa.Array, expected: list[int | None]) -> None:
    known = {key: {"v": value} for key, value in [("7", 70), ("19.99", 1999), ("2026-01-01", 11), ("true", 1)]}
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "int64"}, known)])
    table = read(enrich(parquet(pa.table({"k": column})), "x.parquet", lookup).data)
    assert table["k.d.v"].to_pylist() == expected


@pytest.mark.parametrize("column", [[[1]], [{"a": 1}], [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], [dt.timedelta(1)]])
def test_other_types_cannot_be_keys(column: list[Any]) -> None:
    error = refusal(parquet(pa.table({"vendor_id": column})), "x.parquet", given=MAPPING)
    assert (error.slug, error.column) == ("invalid-mapping", "vendor_id")


def test_the_preview_shows_values_of_any_type_as_text() -> None:
    table = pa.table({"vendor_id": ["V-00001"], "day": [dt.date(2026, 1, 2)], "list": [[1, 2]]})
    shown = preview(parquet(table), "x.parquet", columns={"finance.vendors": ["terms"]})
    assert shown.rows == (("V-00001", "2026-01-02", "[1, 2]", 30),)


def test_row_groups_of_any_number_come_back_in_order() -> None:
    keys = [f"V-0000{number % 6}" for number in range(10_000)]
    table = pa.table({"n": list(range(10_000)), "vendor_id": keys})
    result = enrich(parquet(table, row_group_size=333), "x.parquet", limits=replace(DEFAULT_LIMITS, cached_keys=2))
    after = read(result.data)
    assert after.select(["n", "vendor_id"]).equals(table)
    assert after["vendor_id.finance.name"].to_pylist() == [VENDORS.rows.get(key, {}).get("name") for key in keys]
    assert result.report.rows == 10_000
    assert result.progress[-1].total_rows == 10_000
    assert result.progress[-1].bytes == result.progress[-1].total_bytes


def _no_footer(data: bytes) -> bytes:
    return data[:-20]


def _bad_footer(data: bytes) -> bytes:
    return data[:-60] + b"\xff" * 40 + data[-20:]


def _bad_page(data: bytes) -> bytes:
    return data[:4] + b"\xff" * 60 + data[64:]


@pytest.mark.parametrize("damage", [_no_footer, _bad_footer, _bad_page, lambda data: data[:8], lambda _: b"PAR1PAR1"])
def test_a_damaged_file(damage: Any) -> None:
    data = parquet(pa.table({"vendor_id": [f"V-{n:05}" for n in range(5000)]}))
    assert refusal(damage(data), "x.parquet").slug == "corrupt-file"


class _Kms(encryption.KmsClient):  # type: ignore[misc]
    """Keys that are wrapped by nothing at all."""

    def __init__(self, _: Any) -> None:
        super().__init__()

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        return base64.b64encode(key_bytes).decode()

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        return base64.b64decode(wrapped_key)


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_an_encrypted_file(plaintext_footer: bool) -> None:
    table = pa.table({"vendor_id": ["V-00001"]})
    factory = encryption.CryptoFactory(_Kms)
    properties = factory.file_encryption_properties(
        encryption.KmsConnectionConfig(),
        encryption.EncryptionConfiguration(
            footer_key="footer", column_keys={"column": ["vendor_id"]}, plaintext_footer=plaintext_footer
        ),
    )
    error = refusal(parquet(table, encryption_properties=properties), "x.parquet", given=MAPPING)
    assert error.slug == "encrypted-file"


def _repeated(text: str, rows: int) -> bytes:
    """A file of a kilobyte or so, whose texts take any number of gigabytes."""
    big = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))
    table = pa.table({"vendor_id": ["V-00001"] * rows, "big": big})
    return parquet(table, compression="ZSTD", store_schema=False)


def test_a_file_that_unpacks_to_a_hundred_gigabytes_takes_little_memory() -> None:
    data = _repeated("x" * 1_000_000, 100_000)
    assert len(data) < 100_000
    before = pa.total_allocated_bytes()

    def stop(progress: Progress) -> None:
        assert pa.total_allocated_bytes() - before < 200 << 20
        if progress.rows > 200:
            raise Cancelled

    mapping = engine.decide(propose(data, "x.parquet", given=MAPPING))
    with pytest.raises(Cancelled):
        enrich_to(source_of(data), Format.PARQUET, mapping, departments(), io.BytesIO(), progress=stop)


def test_a_row_that_is_too_long() -> None:
    error = refusal(_repeated("x" * (9 << 20), 3), "x.parquet", given=MAPPING)
    assert (error.slug, error.row) == ("record-too-long", 1)


def test_text_that_is_not_utf8() -> None:
    data = parquet(pa.table({"vendor_id": ["V-00001"]}), compression="NONE").replace(b"V-00001", b"V-000\xff\xff")
    assert refusal(data, "x.parquet", given=MAPPING).slug == "corrupt-file"


def test_a_file_with_unfit_names() -> None:
    assert refusal(parquet(pa.table([["V-00001"], ["x"]], names=["a", "a"])), "x.parquet").slug == "column-names"
    assert refusal(parquet(pa.table([["V-00001"]], names=[""])), "x.parquet").slug == "column-names"


def test_values_that_are_not_of_the_declared_type_are_the_departments_fault() -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "int64"}, {"1": {"v": "many"}})])
    with pytest.raises(DepartmentUnavailable, match=r"d\.s\.v is not of the type int64"):
        enrich(parquet(pa.table({"k": ["1"]})), "x.parquet", lookup)


TYPES: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "string": st.text(max_size=8),
    "double": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "binary": st.binary(max_size=6),
    "date32": st.dates(),
}


@st.composite
def arrow_tables(draw: st.DrawFn) -> pa.Table:
    size = draw(st.integers(1, 20))
    columns: dict[str, pa.Array] = {
        "vendor_id": pa.array(
            draw(st.lists(st.sampled_from(["V-00001", "V-00004", "x", None, ""]), min_size=size, max_size=size))
        )
    }
    for index, kind in enumerate(draw(st.lists(st.sampled_from(sorted(TYPES)), max_size=4))):
        values = draw(st.lists(st.none() | TYPES[kind], min_size=size, max_size=size))
        columns[f"c{index}"] = pa.array(values, pa.type_for_alias(kind))
    return pa.table(columns)


@settings(max_examples=100, deadline=None)
@given(arrow_tables(), st.integers(1, 20))
def test_any_table_comes_back_with_its_own_columns_and_the_added_ones(table: pa.Table, group: int) -> None:
    result = read(enrich(parquet(table, row_group_size=group), "x.parquet", departments(), given=MAPPING).data)
    assert result.select(table.schema.names).equals(table)
    names = [VENDORS.rows.get(key or "", {}).get("name") for key in table["vendor_id"].to_pylist()]
    assert result["vendor_id.finance.name"].to_pylist() == names


def test_a_file_without_columns_is_refused() -> None:
    error = refusal(parquet(pa.table({})), "x.parquet")
    assert (error.slug, error.detail) == ("column-names", "The file has no columns: there is nothing to enrich.")

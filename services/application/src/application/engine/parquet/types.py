"""What Parquet holds that Arrow has no word for: time stamps of 96 bits, marks of a type, notes about the file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from application.engine.core.errors import InputError

Unit = Literal["ns", "us"]

_CHECKED_ROWS = 1 << 16
_ARROW_SCHEMA = b"ARROW:schema"
_MOST_NAMED = 20


def int96_of(metadata: pq.FileMetaData) -> list[str]:
    """The paths of columns of INT96: days and nanoseconds, which reach further than 64 bits of nanoseconds."""
    columns = [metadata.schema.column(index) for index in range(len(metadata.schema))]
    return [column.path for column in columns if column.physical_type == "INT96"]


def unit_of_int96(file: pq.ParquetFile, again: BinaryIO, paths: Sequence[str]) -> Unit:
    """The unit in which Arrow can hold every INT96 of a file. Raises ``InputError`` where it has none.

    ``again`` is the same file, which is closed.
    """
    fits_nanoseconds = fits_microseconds = True
    with pq.ParquetFile(again, coerce_int96_timestamp_unit="us") as coarse:
        exact = file.iter_batches(batch_size=_CHECKED_ROWS, columns=list(paths))
        rough = coarse.iter_batches(batch_size=_CHECKED_ROWS, columns=list(paths))
        for fine, wide in zip(exact, rough, strict=True):
            for nanoseconds, microseconds in zip(_leaves(fine), _leaves(wide), strict=True):
                whole = pc.floor_temporal(nanoseconds, 1, unit="microsecond").cast(pa.timestamp("us"))
                fits = pc.fill_null(pc.equal(whole, microseconds), True)  # noqa: FBT003 - Arrow takes it so
                in_range = nanoseconds.filter(fits)
                fits_nanoseconds &= len(in_range) == len(nanoseconds)
                fits_microseconds &= (
                    pc.all(pc.equal(in_range, pc.floor_temporal(in_range, 1, unit="microsecond"))).as_py() is not False
                )
    if fits_nanoseconds:
        return "ns"
    if fits_microseconds:
        return "us"
    raise InputError(
        "unsupported-value",
        "The time stamps cannot be kept",
        f"The column {paths[0]!r} has INT96 time stamps of nanoseconds, and others outside of the years 1677 to 2262.",
        column=paths[0],
        expected="time stamps of microseconds, or all of them between the years 1678 and 2261",
    )


def _leaves(batch: pa.RecordBatch) -> list[Any]:
    """The time stamps of a batch at any depth."""
    found: list[Any] = []

    def walk(array: Any) -> None:
        if pa.types.is_timestamp(array.type):
            found.append(array)
        elif pa.types.is_struct(array.type):
            for field in array.flatten():
                walk(field)
        elif pa.types.is_map(array.type):
            walk(array.keys)
            walk(array.items)
        elif pa.types.is_nested(array.type):
            walk(array.flatten())

    for column in batch.columns:
        walk(column)
    return found


def write_options(metadata: pq.FileMetaData, added: Sequence[str]) -> dict[str, Any]:
    """How the file is written again, as near as Arrow can to how it was; ``added`` are columns it did not have."""
    options: dict[str, Any] = {
        "compression": _compression(metadata, added),
        "store_schema": _ARROW_SCHEMA in (metadata.metadata or {}),
    }
    marks = {_mark(metadata.schema.column(index)) for index in range(len(metadata.schema))}
    options["use_deprecated_int96_timestamps"] = "INT96" in marks and not any("Timestamp" in mark for mark in marks)
    options["store_decimal_as_integer"] = any(mark.startswith("DECIMAL in INT") for mark in marks)
    return options


def _compression(metadata: pq.FileMetaData, added: Sequence[str]) -> Any:
    """The codec of each of the input's columns; the most usual one for those that are added."""
    if not metadata.num_row_groups:
        return "SNAPPY"
    group = metadata.row_group(0)
    codecs = {
        column.path_in_schema: _CODECS.get(column.compression, "SNAPPY")
        for column in (group.column(index) for index in range(group.num_columns))
    }
    names = list(codecs.values())
    usual = max(set(names), key=names.count)
    return usual if set(names) == {usual} else codecs | dict.fromkeys(added, usual)


_CODECS = {
    "UNCOMPRESSED": "NONE",
    "UNKNOWN": "LZ4",
    **{name: name for name in ("SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4")},
}
"""Arrow's name for writing each codec. It has no name for LZ4 in its old framing, which it reads."""


def notes_of(metadata: pq.FileMetaData, schema: pa.Schema, options: Mapping[str, Any]) -> Mapping[bytes, bytes]:
    """The file's own key-value pairs, less those that Arrow writes by itself."""
    written = {_ARROW_SCHEMA, *((schema.metadata or {}) if options["store_schema"] else {})}
    return {key: value for key, value in (metadata.metadata or {}).items() if key not in written}


def lost_marks(before: pq.FileMetaData, schema: pa.Schema, options: Mapping[str, Any]) -> list[str]:
    """Warnings about columns whose type is marked otherwise once Arrow has written them; the values are the same."""
    buffer = io.BytesIO()
    pq.write_table(schema.empty_table(), buffer, **options)
    after = pq.read_metadata(buffer).schema
    known = {after.column(index).path: _mark(after.column(index)) for index in range(len(after))}
    lost = [
        f"{column.path} (was {_mark(column)}, is {known.get(column.path, 'missing')})"
        for column in (before.schema.column(index) for index in range(len(before.schema)))
        if known.get(column.path) != _mark(column)
    ]
    if not lost:
        return []
    more = f" and {len(lost) - _MOST_NAMED:,} more" if len(lost) > _MOST_NAMED else ""
    return [f"The values are as they were, but columns have another type: {', '.join(lost[:_MOST_NAMED])}{more}."]


def _mark(column: Any) -> str:
    """A column's physical type and what it is marked as."""
    logical = str(column.logical_type.type)
    mark = str(column.logical_type) if logical in {"TIMESTAMP", "UNKNOWN"} else logical
    if logical in {"NONE", "INT"}:
        mark = str(column.converted_type)
    # A signed integer that is as wide as it is stored is one without a mark.
    plain = mark == "NONE" or (mark, column.physical_type) in {("INT_32", "INT32"), ("INT_64", "INT64")}
    return str(column.physical_type) if plain else f"{mark} in {column.physical_type}"

"""Parquet: read and written batch by batch; columns of the input pass through as Arrow has them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from application.engine.core.errors import InputError
from application.engine.core.head import Head, check_columns, check_mapping
from application.engine.core.join import Rows, clean_keys
from application.engine.core.model import ColumnMapping, Limits, Source
from application.engine.core.run import Run
from application.engine.parquet.arrow_types import arrow_type, typed_columns
from application.engine.parquet.rows import damage, opened
from application.engine.parquet.types import lost_marks, notes_of, write_options

_GROUP_BYTES = 32 << 20
_GROUP_ROWS = 1 << 20
_HEAD_BYTES = 1 << 20


def read_head(source: Source, limits: Limits, rows: int) -> Head:
    """The columns and first rows; a value that cannot be a key (a list, a fraction, a date) is shown as text."""
    with opened(source) as file:
        columns = _columns(file.schema, limits)
        batch, _ = next(file.batches(limits, rows, _HEAD_BYTES), (None, 0))
        if batch is None:
            return Head(columns, ())
        shown = [_texts(batch.column(index)) for index in range(len(columns))]
        return Head(columns, tuple(zip(*(column.slice(0, rows).to_pylist() for column in shown), strict=True)))


def enrich_parquet(run: Run) -> None:
    """Write the file of ``run`` with the added columns, which have the data sets' types."""
    with opened(run.source) as file, run.joiner_for(_render) as joiner:
        check_mapping(_columns(file.schema, run.limits), run.mapping)
        schema = file.schema
        for entry in run.mapping:
            _check_key(entry.column, schema.field(entry.column).type)
            for name, column in zip(entry.added, entry.columns, strict=True):
                schema = schema.append(pa.field(name, arrow_type(column.type)))
        run.total_rows = file.count
        with damage():
            metadata = file.file.metadata
            options = write_options(metadata, schema.names[len(file.schema) :])
            notes = notes_of(metadata, schema, options)
        run.warnings.extend(lost_marks(metadata, schema, options))
        with pq.ParquetWriter(run.sink, schema, **options) as writer:
            writer.add_key_value_metadata(notes)
            held: list[pa.RecordBatch] = []
            size = 0
            for batch, unpacked in file.batches(run.limits):
                keys = [clean_keys(batch.column(entry.column)) for entry in run.mapping]
                added = [
                    column
                    for part in joiner.join(keys, range(run.rows + 1, run.rows + 1 + len(batch)))
                    for column in part.flatten()
                ]
                held.append(pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema))
                # Where a dictionary is large the writer unpacks it, so that what a batch holds itself says too little.
                size += unpacked + sum(column.nbytes for column in added)
                if size >= _GROUP_BYTES or sum(map(len, held)) >= _GROUP_ROWS:
                    writer.write_table(pa.Table.from_batches(held), row_group_size=_GROUP_ROWS)
                    held.clear()
                    size = 0
                run.advance(len(batch), run.source.size * (run.rows + len(batch)) // file.count)
            if held:
                writer.write_table(pa.Table.from_batches(held), row_group_size=_GROUP_ROWS)


def _render(entry: ColumnMapping, rows: Rows) -> pa.Array:
    return pa.StructArray.from_arrays(
        typed_columns(entry, rows), names=[str(index) for index in range(len(entry.columns))]
    )


def _columns(schema: pa.Schema, limits: Limits) -> tuple[str, ...]:
    names = tuple(schema.names)
    check_columns(names, limits, row=None)
    return names


def _check_key(name: str, kind: pa.DataType) -> None:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_time = pa.types.is_temporal(value) and not pa.types.is_date(value)
    if pa.types.is_nested(value) or isinstance(value, pa.BaseExtensionType) or is_time:
        raise InputError(
            "invalid-mapping",
            "The column cannot hold keys",
            f"Column {name!r} is of the type {kind}. A key is one text, number or date.",
            column=name,
            field="mapping",
            expected="a column of text, numbers or dates",
        )


def _texts(column: pa.Array) -> pa.Array:
    """The values of a column as text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return pc.cast(column, pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.array([_shown(value) for value in column], pa.string())


def _shown(value: pa.Scalar) -> str | None:
    try:
        plain = value.as_py()
    except (ValueError, OverflowError, ArithmeticError):
        return "?"  # a time that Python has none for
    return None if plain is None else str(plain)[:1000]

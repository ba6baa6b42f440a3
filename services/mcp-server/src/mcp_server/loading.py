"""From an object to columns, a block at a time: CSV (always strings), JSON Lines, Parquet."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mcp_server import json_lines
from mcp_server.columns import field_of, keepable, kept_type
from mcp_server.errors import BrokenObject

BLOCK_BYTES: Final = 16 << 20
"""Most bytes that one row of a CSV object can have."""

BATCH_BYTES: Final = 32 << 20
BATCH_ROWS: Final = 1 << 17
READ_AHEAD_BYTES: Final = 64 << 20
"""Of a Parquet object, for all its columns together."""

Batches = tuple[pa.Schema, Iterator[pa.RecordBatch]]
"""Fields that `field_of` made, and the rows; what is broken further on shows when its batch is asked for."""


def read(name: str, source: BinaryIO) -> Batches:
    """Read `source` by the ending of `name`.

    Raises:
        BrokenObject: The bytes are not of that format, or two columns have one name. Iterating raises it, too.
    """
    with _in_words(name):
        schema, batches = READERS[name.rpartition(".")[2]](source)

    def rows() -> Iterator[pa.RecordBatch]:
        with _in_words(name):
            yield from batches

    return schema, rows()


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    try:
        yield
    except Misnamed as error:
        raise BrokenObject(f"{name} {error}") from error
    except (pa.ArrowException, ArithmeticError, ValueError, OSError, csv.Error) as error:
        # Arrow's messages can quote a cell; the kind of the error is enough to look for it.
        raise BrokenObject(f"{name} cannot be read as {name.rpartition('.')[2]}: {type(error).__name__}") from error


class Misnamed(ValueError):
    """The columns' names do not tell the columns apart."""


def _names(written: Iterable[str]) -> list[str]:
    names = [name.strip() for name in written]
    if len(set(names)) != len(names) or not all(names):
        raise Misnamed("has two columns of one name, or a column without a name")
    return names


def _read_csv(source: BinaryIO) -> Batches:
    text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    header = next(csv.reader(text), [])
    text.detach()
    source.seek(0)
    names = _names(header)
    batches = pacsv.open_csv(
        source,
        read_options=pacsv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in header}, null_values=[""], strings_can_be_null=True
        ),
    )
    schema = pa.schema([field_of(name, pa.string()) for name in names])
    return schema, (pa.record_batch(batch.columns, schema) for batch in batches)


def _read_parquet(source: BinaryIO) -> Batches:
    metadata = pq.read_metadata(source)
    row_bytes = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    row_bytes = row_bytes // max(1, metadata.num_rows) + 1
    file = pq.ParquetFile(
        source,
        metadata=metadata,
        buffer_size=READ_AHEAD_BYTES // max(8, metadata.num_columns),
        pre_buffer=False,
        # INT96 reaches further than 64 bits of nanoseconds, which by themselves would begin anew in 1677.
        coerce_int96_timestamp_unit="us",
    )
    names = _names(file.schema_arrow.names)
    fields = zip(names, file.schema_arrow.types, strict=True)
    schema = pa.schema([field_of(name, kept_type(kind), str(kind)) for name, kind in fields])
    batches = file.iter_batches(batch_size=max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes)), use_threads=False)
    return schema, (pa.record_batch([keepable(column) for column in batch.columns], schema) for batch in batches)


def _read_json_lines(source: BinaryIO) -> Batches:
    names, schema, batches = json_lines.read(source)
    _names(names)
    return schema, batches


READERS: Final[dict[str, Callable[[BinaryIO], Batches]]] = {
    "csv": _read_csv,
    "jsonl": _read_json_lines,
    "parquet": _read_parquet,
}

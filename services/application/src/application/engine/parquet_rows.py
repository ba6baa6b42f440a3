"""Reads Parquet in batches of bounded size, whatever the file makes of itself once it is unpacked.

A text of a megabyte that is in a dictionary once, and in each of a million rows, takes a kilobyte in a file. So columns
with a dictionary are read as such, and unpacked only for as many rows as fit.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from application.engine.errors import InputError
from application.engine.files import SourceFile
from application.engine.model import Limits, Source
from application.engine.table import no_rows

_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 1 << 16
_NUMBER_BYTES = 8
# Prefixes that are shared (DELTA_BYTE_ARRAY) unpack to any size, and cannot be read as a dictionary.
_BATCH_ROWS_OF_PREFIXES = 64


class ParquetRows:
    """A file that is open for reading: ``schema`` is what it holds."""

    def __init__(self, file: pq.ParquetFile, schema: pa.Schema, packed: list[int]) -> None:
        self.file = file
        self.schema = schema
        self._packed = packed

    @property
    def count(self) -> int:
        """Rows in all."""
        rows: int = self.file.metadata.num_rows
        return rows

    def batches(self, limits: Limits, most: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Batches of up to ``most`` rows. Raises ``InputError`` for damage, and for a row over the limit."""
        done = 0
        batches = self.file.iter_batches(batch_size=min(most, self._batch_rows()))
        while True:
            with damage():
                batch = next(batches, None)
                if batch is None:
                    return
                # Text that is not UTF-8, and entries that a dictionary does not have, are found before they are used.
                batch.validate(full=True)
            sizes = self._sizes(batch)
            if len(sizes) and (largest := int(sizes.max())) > limits.record:
                raise _too_long(done + int(sizes.argmax()) + 1, largest, limits.record)
            for start, end in _slices(sizes):
                yield self._unpacked(batch.slice(start, end - start))
            done += len(batch)

    def _sizes(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Bytes that each row takes in the columns that are packed."""
        sizes = np.zeros(len(batch), np.int64)
        for place in self._packed:
            column = batch.column(place)
            if len(column.dictionary):
                lengths = pc.fill_null(pc.binary_length(column.dictionary), 0)
                sizes += pc.fill_null(lengths.take(column.indices), 0).to_numpy(zero_copy_only=False)
        return sizes

    def _unpacked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = batch.columns
        for place in self._packed:
            columns[place] = pc.cast(columns[place].dictionary_decode(), self.schema.field(place).type)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _batch_rows(self) -> int:
        """Rows that take some megabytes, by what the file says about itself; numbers may be packed to nothing."""
        metadata = self.file.metadata
        packed = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        # Arrow ends the process when asked about an encrypted column; those of the first group have been read.
        first = metadata.row_group(0)
        chunks = [first.column(index) for index in range(first.num_columns)]
        values = sum(chunk.num_values for chunk in chunks) * self.count // max(1, first.num_rows)
        fitting: int = _BATCH_BYTES * self.count // max(packed, _NUMBER_BYTES * values, 1)
        prefixes = any("DELTA_BYTE_ARRAY" in chunk.encodings for chunk in chunks)
        return max(1, min(_BATCH_ROWS_OF_PREFIXES if prefixes else _BATCH_ROWS, fitting))


@contextmanager
def opened(source: Source) -> Iterator[ParquetRows]:
    """The file open for reading. Raises ``InputError``."""
    with damage(), pq.ParquetFile(_file_of(source)) as file:
        rows, schema = file.metadata.num_rows, file.schema_arrow
    if not rows:
        raise no_rows()
    with damage():
        packed = [place for place, field in enumerate(schema) if field.name and _is_text(field.type)]
        file = pq.ParquetFile(
            _file_of(source),
            read_dictionary=[schema.field(place).name for place in packed],
            pre_buffer=False,
            buffer_size=1 << 20,
        )
    with file:
        with damage():
            some = next(file.iter_batches(batch_size=1), None)
        if some is None:
            raise no_rows()
        yield ParquetRows(file, schema, packed)


@contextmanager
def damage() -> Iterator[None]:
    """Makes an ``InputError`` of what Arrow finds wrong with a file."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # Arrow's own I/O errors are plain OSErrors without a number; others are the source's, and not the file's fault.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        text = str(error).lower()
        if "encrypt" in text or "decrypt" in text:
            raise InputError(
                "encrypted-file",
                "The file is encrypted",
                "The Parquet file is encrypted and cannot be read.",
                expected="a Parquet file without encryption",
            ) from None
        raise InputError(
            "corrupt-file",
            "The file is damaged",
            "The Parquet file is damaged or cut off and cannot be read.",
            expected="a whole Parquet file",
        ) from None


def _file_of(source: Source) -> io.BufferedReader:
    return io.BufferedReader(SourceFile(source), 1 << 20)


def _is_text(kind: pa.DataType) -> bool:
    return kind in {pa.string(), pa.large_string(), pa.binary(), pa.large_binary()}


def _slices(sizes: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of rows that take some megabytes together, or one row that takes more."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
        yield start, end
        start = end


def _too_long(row: int, size: int, limit: int) -> InputError:
    return InputError(
        "record-too-long",
        "A row is too long",
        f"Row {row:,} holds {size >> 20} MB of text.",
        row=row,
        expected=f"rows of at most {limit >> 20} MB",
    )

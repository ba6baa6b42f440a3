"""Reads Parquet in batches of bounded size, whatever the file makes of itself once it is unpacked.

A text of a megabyte that is in a dictionary once, and in each of a million rows, takes a kilobyte in a file. So columns
with a dictionary are read as such, and unpacked only for as many rows as fit.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from application.engine.core.errors import InputError
from application.engine.core.model import Limits, Source
from application.engine.core.streams import SourceFile
from application.engine.parquet.arrow_sizes import row_sizes
from application.engine.parquet.types import int96_of, unit_of_int96

_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 1 << 16
_NUMBER_BYTES = 8
# Prefixes that are shared (DELTA_BYTE_ARRAY) unpack to any size, and cannot be read as a dictionary.
_BATCH_ROWS_OF_PREFIXES = 64


class ParquetRows:
    """A file that is open for reading: ``schema`` is what it holds."""

    def __init__(self, source: Source) -> None:
        """Raises Arrow's errors."""
        self._source = source
        self.file = pq.ParquetFile(_file_of(source))
        self.int96 = int96_of(self.file.metadata)
        # What Arrow makes of these by itself ends in the year 2262, and begins anew in 1677.
        self._unit = unit_of_int96(self.file, _file_of(source), self.int96) if self.int96 else None
        self._most_rows = _BATCH_ROWS
        self._open([])
        # Arrow ends the process when asked about an encrypted column; reading one only fails.
        next(self.file.iter_batches(batch_size=1), None)
        self.schema: pa.Schema = self.file.schema_arrow
        self._packed: list[int] = []
        texts = _texts_of(self.file.metadata, self.schema) if self.count else []
        self._open(texts)
        self._packed = [
            self.schema.get_field_index(name) for name in dict.fromkeys(path.partition(".")[0] for path in texts)
        ]

    def _open(self, texts: list[str]) -> None:
        """Read columns of these paths as dictionaries from here on."""
        self.file.close()
        self.file = pq.ParquetFile(
            _file_of(self._source),
            read_dictionary=texts,
            pre_buffer=False,
            buffer_size=1 << 20,
            coerce_int96_timestamp_unit=self._unit,
        )

    @property
    def count(self) -> int:
        """Rows in all."""
        rows: int = self.file.metadata.num_rows
        return rows

    def batches(
        self, limits: Limits, most: int = _BATCH_ROWS, most_bytes: int = _BATCH_BYTES
    ) -> Iterator[tuple[pa.RecordBatch, int]]:
        """Batches of up to ``most`` rows, with the bytes that each takes: up to ``most_bytes``, or one row.

        Raises ``InputError`` for damage, and for a row over the limit.
        """
        done = 0
        batches = self.file.iter_batches(batch_size=min(most, self._batch_rows()))
        while True:
            with damage():
                try:
                    batch = next(batches, None)
                except (pa.ArrowNotImplementedError, OSError) as error:
                    if not self._packed or not _is_about_dictionaries(error):
                        raise
                    batches = self._without_dictionaries(most, done)
                    continue
                if batch is None:
                    return
                # Text that is not UTF-8, and entries that a dictionary does not have, are found before they are used.
                batch.validate(full=True)
            sizes = sum((row_sizes(column) for column in batch.columns), np.zeros(len(batch), np.int64))
            if len(sizes) and (largest := int(sizes.max())) > limits.record:
                raise _too_long(done + int(sizes.argmax()) + 1, largest, limits.record)
            for start, end in _slices(sizes, most_bytes):
                yield self._unpacked(batch.slice(start, end - start)), int(sizes[start:end].sum())
            done += len(batch)

    def _without_dictionaries(self, most: int, done: int) -> Iterator[pa.RecordBatch]:
        """The rows after the first ``done``: Arrow cannot read every kind of column as a dictionary."""
        self._packed = []
        self._most_rows = _BATCH_ROWS_OF_PREFIXES
        self._open([])
        for batch in self.file.iter_batches(batch_size=min(most, self._batch_rows())):
            if len(batch) > done:
                yield batch.slice(done)
            done = max(0, done - len(batch))

    def _unpacked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = batch.columns
        for place in self._packed:
            columns[place] = pc.cast(columns[place], self.schema.field(place).type)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _batch_rows(self) -> int:
        """Rows that take some megabytes, by what the file says about itself; numbers may be packed to nothing."""
        metadata = self.file.metadata
        if not self.count or not metadata.num_row_groups:
            return _BATCH_ROWS
        packed = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
        # Arrow ends the process when asked about an encrypted column; those of the first group have been read.
        first = metadata.row_group(0)
        chunks = [first.column(index) for index in range(first.num_columns)]
        widths = [max(_NUMBER_BYTES, metadata.schema.column(index).length) for index in range(len(chunks))]
        unpacked = sum(chunk.num_values * width for chunk, width in zip(chunks, widths, strict=True))
        fitting: int = _BATCH_BYTES * self.count // max(packed, unpacked * self.count // max(1, first.num_rows), 1)
        prefixes = any("DELTA_BYTE_ARRAY" in chunk.encodings for chunk in chunks)
        return max(1, min(_BATCH_ROWS_OF_PREFIXES if prefixes else self._most_rows, fitting))


@contextmanager
def opened(source: Source) -> Iterator[ParquetRows]:
    """The file open for reading. Raises ``InputError``."""
    with damage():
        rows = ParquetRows(source)
    with rows.file:
        yield rows


@contextmanager
def damage() -> Iterator[None]:
    """Makes an ``InputError`` of what Arrow finds wrong with a file."""
    try:
        yield
    except MemoryError:
        raise  # of which Arrow's own is one
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


def _is_about_dictionaries(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, pa.ArrowNotImplementedError) or "DictAccumulator" in text or "Nested data" in text


def _texts_of(metadata: pq.FileMetaData, schema: pa.Schema) -> list[str]:
    """The paths of columns of text or bytes, at any depth: those that a dictionary may hold in little space.

    Not those whose pages have their lengths in front, which Arrow cannot read as a dictionary, nor names with a dot,
    which look like paths.
    """
    plain = {field.name for field in schema if field.name and "." not in field.name and not _is_packed(field.type)}
    dotted = {field.name.partition(".")[0] for field in schema if "." in field.name}
    columns = [metadata.schema.column(index) for index in range(len(metadata.schema))]
    group = metadata.row_group(0)
    return [
        column.path
        for index, column in enumerate(columns)
        if column.physical_type == "BYTE_ARRAY"
        and column.path.partition(".")[0] in plain - dotted
        and not {"DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"} & set(group.column(index).encodings)
    ]


def _is_packed(kind: Any) -> bool:
    """Whether Arrow reads it as a dictionary, or as another type that cannot be cast to from one."""
    if isinstance(kind, pa.BaseExtensionType):
        return True
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind) or types.is_decimal(kind):
        return True
    if types.is_list_view(kind) or types.is_large_list_view(kind) or types.is_string_view(kind):
        return True
    if types.is_binary_view(kind):
        return True
    return any(_is_packed(kind.field(index).type) for index in range(kind.num_fields))


def _slices(sizes: npt.NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Runs of rows that take ``most`` bytes together, or one row that takes more."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
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

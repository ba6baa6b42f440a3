"""The values that pass between the engine and whoever runs it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO, Protocol

from application.engine.core.report import UnmatchedKey

Scalar = str | int | float | bool | None
"""A value of a data set as JSON carries it: dates and decimals are strings."""

DOCUMENT_COLUMN = "text"
"""The name that a mapping uses for the running text of a document, which has no columns."""

MAX_KEYS_PER_LOOKUP = 5000


class Format(StrEnum):
    """A kind of file that can be enriched; the result is of the same kind."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"
    XLSX = "xlsx"
    TEXT = "txt"
    MARKDOWN = "md"
    PDF = "pdf"
    DOCX = "docx"

    @property
    def is_document(self) -> bool:
        """Running text whose identifiers are annotated, in place of rows that get columns."""
        return self in {Format.TEXT, Format.MARKDOWN, Format.PDF, Format.DOCX}


class Source(Protocol):
    """A seekable binary input of known size; an open file in binary mode wrapped by ``FileSource`` is one."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes (all that are left if negative); empty at the end. May be short."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As ``io.RawIOBase.seek``."""
        ...

    def tell(self) -> int:
        """The position in bytes."""
        ...


class FileSource:
    """A ``Source`` over an open seekable binary file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        here = file.tell()
        self._size = file.seek(0, 2)
        file.seek(here)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._size

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As ``io.RawIOBase.seek``."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()


@dataclass(frozen=True, slots=True, order=True)
class DatasetRef:
    """One data set of one department."""

    department: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.department}.{self.dataset}"

    @classmethod
    def parse(cls, text: str) -> DatasetRef:
        """Read ``department.dataset``; raises ``ValueError``."""
        department, dot, dataset = text.partition(".")
        if not (department and dot and dataset):
            raise ValueError(f"{text!r} is not of the form department.dataset")
        return cls(department, dataset)


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column of a data set; ``type`` is the name of an Arrow type: ``string``, ``date32``, ``decimal128(12, 2)``."""

    name: str
    type: str = "string"


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A data set as this caller may see it: ``columns`` holds no column that is kept from them."""

    ref: DatasetRef
    key: str
    columns: tuple[ColumnInfo, ...]
    aliases: tuple[str, ...] = ()
    pattern: str | None = None
    rows: int | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class LookupBatch:
    """The answer to a look-up: ``rows[i]`` are the values for ``keys[i]`` in ``columns`` order; ``None``: no match."""

    version: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Scalar] | None]


class Lookup(Protocol):
    """Where departments' data comes from. Called from several threads at once."""

    def datasets(self) -> Sequence[DatasetInfo]:
        """What the caller may use, in a stable order. Raises ``DepartmentUnavailable``."""
        ...

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        """Look up 1 to 5000 distinct keys. Raises ``DepartmentUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """One input column is a key into one data set; ``columns`` of the data set are added."""

    column: str
    dataset: DatasetInfo
    columns: tuple[ColumnInfo, ...]
    evidence: tuple[str, ...] = ()
    confidence: float = 1.0

    @property
    def added(self) -> tuple[str, ...]:
        """The names of the columns that the file gets: ``<input column>.<department>.<column>``."""
        return tuple(f"{self.column}.{self.dataset.ref.department}.{column.name}" for column in self.columns)


Mapping = tuple[ColumnMapping, ...]
"""All that is to be added to a file, in the order in which it is added."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an enrichment is; ``total_rows`` is known only where the format says it."""

    rows: int
    bytes: int
    total_bytes: int
    total_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one file may cost; sizes in bytes, times in seconds of processor time.

    ``unpacked`` is of a document, which is held in memory; ``workbook`` of a workbook, whose sheets are streamed;
    ``unpacked_stream`` of a compressed table.
    ``searched`` is how far a text is read to see which identifiers it holds; an enrichment reads all of it.
    """

    record: int = 8 << 20
    unpacked: int = 200 << 20
    workbook: int = 8 << 30
    unpacked_stream: int = 20 << 30
    unpacked_seconds: float = math.inf
    document_text: int = 32 << 20
    searched: int = 8 << 20
    pages: int = 2000
    notes: int = 20_000
    columns: int = 16_384
    block: int = 1 << 20
    cached_keys: int = 250_000
    cached_bytes: int = 64 << 20
    unmatched_sample: int = 100
    unmatched_distinct: int = 100_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Question:
    """What the caller must decide; ``candidates`` are data sets (``finance.vendors``) for ``column``.

    ``doubtful`` tells that it may be a key of none of them.
    """

    column: str
    candidates: tuple[str, ...]
    detail: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class MappingProposal:
    """Which columns mean which data sets, and what could not be decided."""

    columns: tuple[str, ...]
    mapping: Mapping
    unmapped: tuple[str, ...] = ()
    questions: tuple[Question, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class PreviewMapping:
    """One mapping with its evidence; ``matched`` of ``values`` non-empty cells of the preview were found.

    ``missed`` are the different keys that were not.
    """

    column: str
    dataset: str
    evidence: tuple[str, ...]
    matched: int
    values: int
    missed: tuple[UnmatchedKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """How a file is read in one respect, and why: a delimiter, an encoding, the row of the header."""

    value: str | int
    reason: str


@dataclass(frozen=True, slots=True)
class DetectedSheet:
    """A visible sheet; ``header_row`` is missing where it has no table, ``used`` says that it gets columns."""

    name: str
    header_row: int | None
    has_keys: bool
    used: bool


@dataclass(frozen=True, slots=True)
class Detected:
    """How a file is read; what does not apply to its format, or is not there (a header), is missing.

    ``converted`` is the format that the file has, where the result is of another one, and what that means.
    """

    format: str
    encoding: Detection | None = None
    delimiter: Detection | None = None
    quote: Detection | None = None
    header_row: Detection | None = None
    decimal: Detection | None = None
    converted: Detection | None = None
    sheets: tuple[DetectedSheet, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """``columns`` are the input's, then the added ones; a document has one row for each identifier found."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    mapping: tuple[PreviewMapping, ...]
    unmapped: tuple[str, ...]
    questions: tuple[Question, ...]
    detected: Detected

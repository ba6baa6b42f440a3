"""Departments in memory, and the engine's whole path in one call."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from application import engine
from application.engine import (
    DEFAULT_LIMITS,
    ColumnInfo,
    DatasetInfo,
    DatasetRef,
    DepartmentUnavailable,
    FileSource,
    InputError,
    Limits,
    LookupBatch,
    MappingProposal,
    Preview,
    Progress,
    Report,
    Scalar,
)
from application.engine.enrich import enrich as engine_enrich
from application.engine.mapping import propose_mapping
from application.engine.preview import preview as engine_preview
from common.file_options import FileOptions

Row = Mapping[str, Scalar]


@dataclass
class Dataset:
    """A data set in memory; ``rows`` are by key."""

    info: DatasetInfo
    rows: Mapping[str, Row]


def dataset(
    name: str,
    key: str,
    columns: Mapping[str, str],
    rows: Mapping[str, Row],
    *,
    aliases: Sequence[str] = (),
    pattern: str | None = None,
) -> Dataset:
    """``name`` is ``department.dataset``; ``columns`` are types by name, the key's among them."""
    infos = tuple(ColumnInfo(column, kind) for column, kind in columns.items())
    info = DatasetInfo(DatasetRef.parse(name), key, infos, tuple(aliases), pattern, len(rows), "v1")
    return Dataset(info, rows)


@dataclass
class Departments:
    """A ``Lookup``; remembers what it was asked."""

    sets: Sequence[Dataset]
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    version: str = "v1"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def datasets(self) -> Sequence[DatasetInfo]:
        return [entry.info for entry in self.sets]

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        assert 1 <= len(keys) <= engine.MAX_KEYS_PER_LOOKUP
        assert len(set(keys)) == len(keys)
        with self._lock:
            self.asked.append((str(dataset), tuple(keys)))
        rows = next(entry.rows for entry in self.sets if entry.info.ref == dataset)
        found = [None if (row := rows.get(key)) is None else [row.get(column) for column in columns] for key in keys]
        return LookupBatch(self.version, tuple(columns), found)

    def keys_asked(self, name: str) -> list[str]:
        """Every key that a data set was asked for, in order, as often as it was."""
        return [key for asked, keys in self.asked if asked == name for key in keys]


class Broken(Departments):
    """Departments that know their data sets and then do not answer."""

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        raise DepartmentUnavailable(dataset.department, "timed out")


VENDORS = dataset(
    "finance.vendors",
    "vendor_id",
    {"vendor_id": "string", "name": "string", "country": "string", "terms": "int64"},
    {
        "V-00001": {"name": "Acme GmbH", "country": "DE", "terms": 30},
        "V-00002": {"name": 'Smith, Sons & "Co"', "country": "GB", "terms": None},
        "V-00003": {"name": "=HYPERLINK(1)", "country": "FR", "terms": -5},
        "V-00004": {"name": "Łódź Ünïted", "country": None, "terms": 0},
    },
    aliases=("vendor", "supplier_id"),
    pattern="^V-[0-9]{5}$",
)
EMPLOYEES = dataset(
    "hr.employees",
    "employee_id",
    {"employee_id": "string", "email": "string", "active": "bool"},
    {
        "E-00001": {"email": "ann@example.com", "active": True},
        "E-00002": {"email": "bob@example.com", "active": False},
    },
    aliases=("employee", "buyer", "approver"),
    pattern="^E-[0-9]{5}$",
)
CONTRACTS = dataset(
    "legal.contracts",
    "contract_id",
    {"contract_id": "string", "title": "string", "end_date": "date32", "value": "decimal128(12, 2)"},
    {"C-00001": {"title": "Lease\nof hall 7", "end_date": "2027-01-31", "value": "1200.50"}},
    aliases=("contract",),
    pattern="^C-[0-9]{5}$",
)


def departments() -> Departments:
    """Finance, hr and legal, with a handful of rows."""
    return Departments([VENDORS, EMPLOYEES, CONTRACTS])


@dataclass(frozen=True)
class Enriched:
    """What came out."""

    data: bytes
    report: Report
    progress: tuple[Progress, ...]

    @property
    def text(self) -> str:
        return self.data.decode()


def source_of(data: bytes) -> FileSource:
    """``data`` as an input."""
    return FileSource(io.BytesIO(data))


def propose(
    data: bytes,
    name: str,
    lookup: Departments | None = None,
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    only: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    **options: Any,
) -> MappingProposal:
    """The mapping that is found for a file called ``name``."""
    file_format = engine.detect_format(name, data[: 64 << 10])
    return propose_mapping(
        source_of(data),
        file_format,
        (lookup or departments()).datasets(),
        departments=only,
        given=given,
        columns=columns,
        limits=limits,
        options=FileOptions(**options),
    )


def enrich(
    data: bytes,
    name: str,
    lookup: Departments | None = None,
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    only: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    **options: Any,
) -> Enriched:
    """The whole path: format, mapping, enrichment."""
    lookup = lookup or departments()
    proposal = propose(data, name, lookup, given=given, columns=columns, only=only, limits=limits, **options)
    sink = io.BytesIO()
    progress: list[Progress] = []
    report = engine_enrich(
        source_of(data),
        engine.detect_format(name, data[: 64 << 10]),
        engine.decide(proposal),
        lookup,
        sink,
        progress=progress.append,
        options=FileOptions(**options),
        limits=limits,
    )
    assert report.bytes_read == len(data)
    assert report.bytes_written == len(sink.getvalue())
    return Enriched(sink.getvalue(), report, tuple(progress))


def preview(
    data: bytes,
    name: str,
    lookup: Departments | None = None,
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    only: Sequence[str] | None = None,
    rows: int = 10,
    **options: Any,
) -> Preview:
    """The first rows, enriched."""
    file_format = engine.detect_format(name, data[: 64 << 10])
    return engine_preview(
        source_of(data),
        file_format,
        lookup or departments(),
        departments=only,
        given=given,
        columns=columns,
        rows=rows,
        options=FileOptions(**options),
    )


def refusal(
    data: bytes,
    name: str,
    lookup: Departments | None = None,
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    only: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    **options: Any,
) -> InputError:
    """Why the file is refused; it must be. Says what is wrong, and what would be right."""
    with pytest.raises(InputError) as caught:
        enrich(data, name, lookup, given=given, columns=columns, only=only, limits=limits, **options)
    assert caught.value.title
    assert caught.value.detail.rstrip().endswith((".", "?"))
    return caught.value


def enrich_or_refuse(data: bytes, name: str, given: Mapping[str, Sequence[str]]) -> Enriched | None:
    """What came out; nothing where the file was refused. Any other error is a fault of ours."""
    try:
        return enrich(data, name, given=given)
    except InputError:
        return None


def is_spliced_into(before: str | bytes, after: str | bytes) -> bool:
    """Whether all of ``before`` is in ``after``, in order: nothing was lost or changed."""
    rest = iter(after)
    return all(item in rest for item in before)

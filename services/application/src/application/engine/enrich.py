"""Adds to each row of a file what departments know about its keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from application.engine.core.errors import InputError
from application.engine.core.model import (
    DEFAULT_LIMITS,
    ColumnMapping,
    Format,
    Limits,
    Lookup,
    Mapping,
    Progress,
    Source,
)
from application.engine.core.packed import PackingSink, UnpackedSource, unpacked
from application.engine.core.report import MappingReport, Report
from application.engine.core.run import Run
from application.engine.core.streams import CountingSink
from application.engine.core.tally import Tally
from application.engine.office.legacy.convert import as_xlsx
from application.engine.registry import ENRICH, check_options
from common.file_options import DETECT_ALL, FileOptions


def enrich(
    source: Source,
    file_format: Format,
    mapping: Mapping,
    lookup: Lookup,
    sink: BinaryIO,
    *,
    progress: Callable[[Progress], None],
    options: FileOptions = DETECT_ALL,
    limits: Limits = DEFAULT_LIMITS,
) -> Report:
    """Write the enriched file to ``sink``; every input row once, in order, unaltered.

    ``progress`` is called after each block and may raise (``Cancelled``) to stop.
    ``options`` are those that the mapping was found with. Raises ``InputError`` and
    ``DepartmentUnavailable``.
    """
    started = time.monotonic()
    check_options(options, file_format)
    content = unpacked(source, file_format, limits)
    written = CountingSink(sink)
    packing = None
    if isinstance(content, UnpackedSource):
        packing = PackingSink(written)
        progress = _of_file(content, source, progress)
    content, converted = as_xlsx(content, file_format, limits)
    if converted is not None:
        progress = _of_converted(content, source, progress)
    run = Run(content, file_format, mapping, lookup, CountingSink(packing or written), progress, limits, options)
    if converted is not None:
        run.warnings.append(converted.reason)
    ENRICH[file_format](run)
    if packing is not None:
        packing.finish()
    if run.joiner is None:
        raise InputError("nothing-to-enrich", "Nothing was enriched", "No column of the file is mapped to a data set.")
    reports = []
    for entry, tally in zip(mapping, run.joiner.tallies, strict=True):
        versions = run.joiner.versions(entry.dataset.ref)
        if len(versions) > 1:
            run.warnings.append(
                f"{entry.dataset.ref} changed while the file was read: "
                f"values are from the versions {', '.join(versions)}."
            )
        reports.append(_report(entry, tally, versions))
    return Report(
        format=file_format.value,
        rows=run.rows,
        charset=run.charset,
        bytes_read=source.size,
        bytes_written=written.written,
        duration_seconds=round(time.monotonic() - started, 3),
        mappings=tuple(reports),
        columns_added=tuple(name for entry in mapping for name in entry.added),
        warnings=tuple(dict.fromkeys(run.warnings)),
    )


def _of_file(
    content: UnpackedSource, source: Source, progress: Callable[[Progress], None]
) -> Callable[[Progress], None]:
    """``progress`` in bytes of the compressed file, whose size is known."""
    return lambda done: progress(replace(done, bytes=content.taken, total_bytes=source.size))


def _of_converted(content: Source, source: Source, progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """``progress`` as a share of the file before it was converted."""
    return lambda done: progress(replace(done, bytes=done.bytes * source.size // content.size, total_bytes=source.size))


def _report(entry: ColumnMapping, tally: Tally, versions: tuple[str, ...]) -> MappingReport:
    return MappingReport(
        column=entry.column,
        dataset=str(entry.dataset.ref),
        versions=versions,
        added=entry.added,
        evidence=entry.evidence,
        matched=tally.matched,
        unmatched=tally.unmatched,
        empty=tally.empty,
        unmatched_distinct=tally.distinct,
        unmatched_distinct_is_exact=tally.distinct_is_exact,
        unmatched_sample=tally.sample,
    )

"""Adds to each row of a file what departments know about its keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import BinaryIO

from application.engine.delimited import enrich_delimited
from application.engine.docx import enrich_docx
from application.engine.errors import InputError
from application.engine.files import CountingSink
from application.engine.json_array import enrich_json_array
from application.engine.json_lines import enrich_json_lines
from application.engine.model import DEFAULT_LIMITS, ColumnMapping, Format, Limits, Lookup, Mapping, Progress, Source
from application.engine.parquet import enrich_parquet
from application.engine.pdf import enrich_pdf
from application.engine.report import MappingReport, Report
from application.engine.run import Run
from application.engine.tally import Tally
from application.engine.text_document import enrich_text
from application.engine.xlsx import enrich_xlsx

_FORMATS: dict[Format, Callable[[Run], None]] = {
    Format.CSV: enrich_delimited,
    Format.TSV: enrich_delimited,
    Format.JSON: enrich_json_array,
    Format.JSON_LINES: enrich_json_lines,
    Format.PARQUET: enrich_parquet,
    Format.XLSX: enrich_xlsx,
    Format.TEXT: enrich_text,
    Format.MARKDOWN: enrich_text,
    Format.PDF: enrich_pdf,
    Format.DOCX: enrich_docx,
}


def enrich(
    source: Source,
    file_format: Format,
    mapping: Mapping,
    lookup: Lookup,
    sink: BinaryIO,
    *,
    progress: Callable[[Progress], None],
    limits: Limits = DEFAULT_LIMITS,
) -> Report:
    """Write the enriched file to ``sink``; every input row once, in order, unaltered.

    ``progress`` is called after each block and may raise (``Cancelled``) to stop. Raises ``InputError`` and
    ``DepartmentUnavailable``.
    """
    started = time.monotonic()
    run = Run(source, file_format, mapping, lookup, CountingSink(sink), progress, limits)
    _FORMATS[file_format](run)
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
        bytes_written=run.sink.written,
        duration_seconds=round(time.monotonic() - started, 3),
        mappings=tuple(reports),
        columns_added=tuple(name for entry in mapping for name in entry.added),
        warnings=tuple(dict.fromkeys(run.warnings)),
    )


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

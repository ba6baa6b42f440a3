"""Documents of every format: which identifiers they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from application.engine import docx, pdf, text_document
from application.engine.identifiers import Finder, Found
from application.engine.model import DOCUMENT_COLUMN, DatasetInfo, Format, Limits, Source
from application.engine.table import Head


def read_head(source: Source, file_format: Format, datasets: Sequence[DatasetInfo], limits: Limits, rows: int) -> Head:
    """One row for each identifier (once) that fits the pattern of one of ``datasets``."""
    finder = Finder([dataset for dataset in datasets if dataset.pattern])
    keys: dict[str, None] = {}
    for found in _identifiers(source, file_format, finder, limits):
        keys[found.key] = None
        if len(keys) >= rows:
            break
    return Head((DOCUMENT_COLUMN,), tuple((key,) for key in keys))


def _identifiers(source: Source, file_format: Format, finder: Finder, limits: Limits) -> Iterator[Found]:
    match file_format:
        case Format.DOCX:
            return docx.find_identifiers(source, finder, limits)
        case Format.PDF:
            return pdf.find_identifiers(source, finder, limits)
        case _:
            return text_document.find_identifiers(source, file_format, finder, limits)

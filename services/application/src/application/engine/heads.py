"""Reads the first rows of a file of any format."""

from __future__ import annotations

from collections.abc import Sequence

from application.engine import delimited, documents, json_array, json_lines, parquet, xlsx
from application.engine.model import DatasetInfo, Format, Limits, Source
from application.engine.table import Head


def read_head(source: Source, file_format: Format, datasets: Sequence[DatasetInfo], limits: Limits, rows: int) -> Head:
    """The columns and first ``rows`` rows; of a document, the first identifiers that fit patterns of ``datasets``."""
    match file_format:
        case Format.CSV | Format.TSV:
            return delimited.read_head(source, file_format, limits, rows)
        case Format.JSON:
            return json_array.read_head(source, limits, rows)
        case Format.JSON_LINES:
            return json_lines.read_head(source, limits, rows)
        case Format.PARQUET:
            return parquet.read_head(source, limits, rows)
        case Format.XLSX:
            return xlsx.read_head(source, limits, rows)
        case Format.TEXT | Format.MARKDOWN | Format.PDF | Format.DOCX:
            return documents.read_head(source, file_format, datasets, limits, rows)

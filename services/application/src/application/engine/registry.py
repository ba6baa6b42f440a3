"""The formats: how the first rows of a file of each are read, and how it is enriched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from application.engine.core.encoding import Encoding, check_given, detect_encoding
from application.engine.core.errors import InputError
from application.engine.core.head import Head
from application.engine.core.identifiers import Finder, Found
from application.engine.core.model import (
    DOCUMENT_COLUMN,
    DatasetInfo,
    Detected,
    Detection,
    Format,
    Limits,
    Source,
)
from application.engine.core.packed import unpacked
from application.engine.core.run import Run
from application.engine.delimited import enrichment as delimited
from application.engine.json import array as json_array
from application.engine.json import lines as json_lines
from application.engine.office import docx
from application.engine.office.legacy.convert import as_xlsx
from application.engine.office.xlsx import enrichment as xlsx
from application.engine.parquet import enrichment as parquet
from application.engine.pdf import enrichment as pdf
from application.engine.text import enrichment as text
from common.file_options import FORMATS, FileOptions

ENRICH: dict[Format, Callable[[Run], None]] = {
    Format.CSV: delimited.enrich_delimited,
    Format.TSV: delimited.enrich_delimited,
    Format.JSON: json_array.enrich_json_array,
    Format.JSON_LINES: json_lines.enrich_json_lines,
    Format.PARQUET: parquet.enrich_parquet,
    Format.XLSX: xlsx.enrich_xlsx,
    Format.TEXT: text.enrich_text,
    Format.MARKDOWN: text.enrich_text,
    Format.PDF: pdf.enrich_pdf,
    Format.DOCX: docx.enrich_docx,
}


def check_options(options: FileOptions, file_format: Format) -> None:
    """Raise ``InputError`` for an option that files of ``file_format`` do not have."""
    for name in options.given:
        if file_format not in FORMATS[name]:
            takes = [option for option, formats in FORMATS.items() if file_format in formats]
            kind = file_format.value.upper()
            raise InputError(
                "option-not-for-format",
                "This option is for other files",
                f"The option {name} is for {', '.join(each.upper() for each in FORMATS[name])}; the file is {kind}.",
                field=f"options.{name}",
                expected=f"for {kind}: {', '.join(takes)}",
            )


def read_head(
    source: Source,
    file_format: Format,
    datasets: Sequence[DatasetInfo],
    given: Mapping[str, Sequence[str]] | None,
    options: FileOptions,
    limits: Limits,
    rows: int,
) -> Head:
    """The columns and first ``rows`` rows; of a document, the first identifiers that fit patterns of ``datasets``.

    In a workbook the table is where ``datasets`` have keys, or where the columns of the ``given`` mapping are.
    """
    check_options(options, file_format)
    source = unpacked(source, file_format, limits)
    if options.codec is not None:
        check_given(source, detect_encoding(source, options.codec))
    match file_format:
        case Format.CSV | Format.TSV:
            known = {*(given or ()), *(name for dataset in datasets for name in (dataset.key, *dataset.aliases))}
            return delimited.read_head(source, file_format, limits, rows, known, options)
        case Format.XLSX:
            source, converted = as_xlsx(source, file_format, limits)
            head = xlsx.read_head(source, datasets, given, options, limits, rows)
            return replace(head, detected=replace(head.detected or Detected(file_format.value), converted=converted))
        case Format.PARQUET:
            return replace(parquet.read_head(source, limits, rows), detected=Detected(file_format.value))
        case Format.PDF | Format.DOCX:
            head = _read_identifiers(source, file_format, datasets, None, limits, rows)
            return replace(head, detected=Detected(file_format.value))
    encoding = detect_encoding(source, options.codec)
    match file_format:
        case Format.JSON:
            head = json_array.read_head(source, encoding, limits, rows)
        case Format.JSON_LINES:
            head = json_lines.read_head(source, encoding, limits, rows)
        case _:
            head = _read_identifiers(source, file_format, datasets, encoding, limits, rows)
    return replace(head, detected=Detected(file_format.value, Detection(encoding.charset, encoding.reason)))


def _read_identifiers(
    source: Source,
    file_format: Format,
    datasets: Sequence[DatasetInfo],
    encoding: Encoding | None,
    limits: Limits,
    rows: int,
) -> Head:
    """One row for each identifier (once) that fits the pattern of one of ``datasets``."""
    finder = Finder([dataset for dataset in datasets if dataset.pattern])
    keys: dict[str, None] = {}
    for found in _identifiers(source, file_format, finder, encoding, limits):
        keys[found.key] = None
        if len(keys) >= rows:
            break
    return Head((DOCUMENT_COLUMN,), tuple((key,) for key in keys))


def _identifiers(
    source: Source, file_format: Format, finder: Finder, encoding: Encoding | None, limits: Limits
) -> Iterator[Found]:
    if file_format is Format.DOCX:
        return docx.find_identifiers(source, finder, limits)
    if encoding is None:
        return pdf.find_identifiers(source, finder, limits)
    return text.find_identifiers(source, file_format, finder, encoding, limits)

"""The same rows in each format that can be enriched, and what comes back read by other libraries than the service's."""

import csv
import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import docx
import fpdf
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pypdf

TABLES = ("csv", "tsv", "json", "jsonl", "parquet", "xlsx")
DOCUMENTS = ("txt", "md", "pdf", "docx")
FORMATS = (*TABLES, *DOCUMENTS)

Row = Mapping[str, str]


def make_file(extension: str, rows: Sequence[Row]) -> bytes:
    """`rows` as a file; a document says them in sentences."""
    match extension:
        case "csv":
            return _separated(rows, ",")
        case "tsv":
            return _separated(rows, "\t")
        case "json":
            return json.dumps(list(rows), indent=1).encode()
        case "jsonl":
            return "".join(json.dumps(row) + "\n" for row in rows).encode()
        case "parquet":
            return _parquet(rows)
        case "xlsx":
            return _xlsx(rows)
        case "txt":
            return "\n".join(_sentences(rows)).encode()
        case "md":
            return ("# Memo\n\n" + "\n\n".join(_sentences(rows)) + "\n").encode()
        case "pdf":
            return _pdf(_sentences(rows))
        case "docx":
            return _docx(_sentences(rows))
    raise ValueError(extension)


def _sentences(rows: Sequence[Row]) -> list[str]:
    return ["This is about " + " and ".join(value for value in row.values() if value) + "." for row in rows]


def _separated(rows: Sequence[Row], delimiter: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: Sequence[Row]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), sink)
    return sink.getvalue()


def _xlsx(rows: Sequence[Row]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _pdf(sentences: Sequence[str]) -> bytes:
    document = fpdf.FPDF()
    document.add_page()
    document.set_font("Helvetica", size=11)
    for sentence in sentences:
        document.multi_cell(0, 8, sentence, new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


def _docx(sentences: Sequence[str]) -> bytes:
    document = docx.Document()
    for sentence in sentences:
        document.add_paragraph(sentence)
    sink = io.BytesIO()
    document.save(sink)
    return sink.getvalue()


def read_table(extension: str, data: bytes) -> list[dict[str, Any]]:
    """The rows of a table; values as the format carries them."""
    match extension:
        case "csv" | "tsv":
            delimiter = "," if extension == "csv" else "\t"
            return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))
        case "json":
            return list(json.loads(data))
        case "jsonl":
            return [json.loads(line) for line in data.splitlines() if line.strip()]
        case "parquet":
            return list(pq.read_table(io.BytesIO(data)).to_pylist())
        case "xlsx":
            sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
            header, *rows = sheet.iter_rows(values_only=True)
            return [dict(zip(map(str, header), row, strict=True)) for row in rows]
    raise ValueError(extension)


def everything_in(data: bytes) -> str:
    """All text that is in `data` in any way: as it is, in members of an archive, compressed, of two bytes a letter."""
    parts = [data, *_unpacked(data)]
    joined = b"\n".join(parts)
    return joined.decode("utf-8", "replace") + joined.replace(b"\0", b"").decode("latin-1")


def _unpacked(data: bytes) -> list[bytes]:
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [archive.read(name) for name in archive.namelist()]
    if data.startswith(b"PAR1"):
        table = pq.read_table(io.BytesIO(data))
        return [repr(table.schema).encode(), json.dumps(table.to_pylist(), default=str).encode()]
    if b"%PDF-" in data[:1024]:
        return _pdf_parts(data)
    return []


def _pdf_parts(data: bytes) -> list[bytes]:
    parts = []
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            parts.append(zlib.decompress(match[1]))
        except zlib.error:
            continue
    return [*parts, pdf_text(data).encode()]


def pdf_text(data: bytes) -> str:
    """What a reader sees of a PDF: its text, then its comments."""
    lines = []
    for page in pypdf.PdfReader(io.BytesIO(data)).pages:
        lines.append(page.extract_text())
        for annotation in page.annotations or ():
            fields = annotation.get_object()
            lines += [str(fields[name]) for name in ("/Contents", "/T", "/Subj") if name in fields]
    return "\n".join(lines)

"""Workbooks for tests, written by openpyxl and changed part by part."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import openpyxl
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

SHEET = "xl/worksheets/sheet1.xml"
TEXTS = "xl/sharedStrings.xml"
_RELATION = (
    '<Relationship Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" '
    'Target="sharedStrings.xml" Id="rIdTexts"/></Relationships>'
)


def saved(book: Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def workbook(rows: Sequence[Sequence[Any]], title: str = "Data") -> Workbook:
    book = Workbook()
    sheet = active(book)
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    return book


def active(book: Workbook) -> Worksheet:
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    return sheet


def opened(data: bytes) -> Worksheet:
    return active(openpyxl.load_workbook(io.BytesIO(data)))


def values(data: bytes) -> list[tuple[Any, ...]]:
    return list(opened(data).iter_rows(values_only=True))


def repacked(data: bytes, edit: Mapping[str, Callable[[str], str]]) -> bytes:
    """The archive with parts edited; each function gets the part's text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, edit[name](content.decode()) if name in edit else content)
    return buffer.getvalue()


def sheet_xml(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("xl/worksheets/sheet1.xml").decode()


def with_shared_texts(data: bytes) -> bytes:
    """The workbook with its texts in a table of their own, as Excel writes them."""
    texts: list[str] = []

    def shared(cell: re.Match[str]) -> str:
        texts.append(f"<si>{cell[1]}</si>")
        return f't="s"><v>{len(texts) - 1}</v></c>'

    sheet = re.sub(r't="inlineStr"><is>(.*?)</is></c>', shared, sheet_xml(data), flags=re.DOTALL)
    table = f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{"".join(texts)}</sst>'
    content = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    buffer = io.BytesIO(
        repacked(
            data,
            {
                SHEET: lambda _: sheet,
                "xl/_rels/workbook.xml.rels": lambda text: text.replace("</Relationships>", _RELATION),
                "[Content_Types].xml": lambda text: text.replace(
                    "</Types>", f'<Override PartName="/{TEXTS}" ContentType="{content}"/></Types>'
                ),
            },
        )
    )
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(TEXTS, table)
    return buffer.getvalue()

"""Workbooks of Excel before 2007 ([MS-XLS]), read by xlrd: its values are those of the file, with their formats."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import xlrd

from application.engine.core.errors import InputError
from application.engine.core.model import Source
from application.engine.office.legacy.book import GENERAL, Cell, Kind, LegacyBook, LegacySheet, damaged, encrypted
from application.engine.office.xlsx.ranges import Area

_KINDS = {
    xlrd.XL_CELL_TEXT: Kind.TEXT,
    xlrd.XL_CELL_NUMBER: Kind.NUMBER,
    xlrd.XL_CELL_DATE: Kind.NUMBER,
    xlrd.XL_CELL_BOOLEAN: Kind.BOOLEAN,
    xlrd.XL_CELL_ERROR: Kind.ERROR,
}


@contextmanager
def readable() -> Iterator[None]:
    """Makes an ``InputError`` of what xlrd raises for damage, which is not of one kind."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001
        # A workbook of a later format with a password is in a container of the old one, without the old one's stream.
        why = str(error).lower()
        raise (encrypted if "encrypted" in why or "find workbook" in why else damaged)("XLS") from None


def read_xls(source: Source) -> LegacyBook:
    """The workbook, to be read within ``readable``."""
    source.seek(0)
    book = xlrd.open_workbook(
        file_contents=source.read(), logfile=io.StringIO(), formatting_info=True, on_demand=True, ragged_rows=True
    )
    return LegacyBook(_sheets(book), from_1904=book.datemode == 1)


def _sheets(book: xlrd.Book) -> Iterator[LegacySheet]:
    for place in range(book.nsheets):
        sheet = book.sheet_by_index(place)
        merged = [str(Area(left + 1, top + 1, right, bottom)) for top, bottom, left, right in sheet.merged_cells]
        yield LegacySheet(sheet.name, sheet.visibility != 0, _rows(book, sheet), merged)
        book.unload_sheet(place)


def _rows(book: xlrd.Book, sheet: xlrd.sheet.Sheet) -> Iterator[tuple[int, list[Cell]]]:
    shown = [_shown(book, style.format_key) for style in book.xf_list]
    for row in range(sheet.nrows):
        cells = [
            Cell(column, _KINDS[cell.ctype], _text(cell), shown[cell.xf_index])
            for column, cell in enumerate(sheet.row(row), start=1)
            if cell.ctype in _KINDS
        ]
        if cells:
            yield row + 1, cells


def _shown(book: xlrd.Book, key: int) -> str:
    found = book.format_map.get(key)
    return found.format_str if found is not None else GENERAL


def _text(cell: xlrd.sheet.Cell) -> str:
    match cell.ctype:
        case xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#VALUE!"))
        case xlrd.XL_CELL_BOOLEAN:
            return str(int(cell.value))
        case xlrd.XL_CELL_TEXT:
            return str(cell.value)
    return repr(float(cell.value)).removesuffix(".0")

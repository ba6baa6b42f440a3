"""Excel's binary workbooks ([MS-XLSB]): their parts are streams of records, numbered as in section 2.3.2."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from xlrd.biffh import error_text_from_code
from xlrd.formatting import std_format_strings

from application.engine.core.model import Limits, Source
from application.engine.office.archive import Archive
from application.engine.office.legacy.book import GENERAL, Cell, Kind, LegacyBook, LegacySheet
from application.engine.office.package import main_part, readable, relations_of
from application.engine.office.xlsx.ranges import Area

_MOST_RECORD = 1 << 20
_MOST_TEXTS = 1 << 22
_NUMBERS, _LENGTH, _DOUBLE, _RANGE = (struct.Struct(code) for code in ("<II", "<I", "<d", "<IIII"))


class _Record(IntEnum):
    ROW = 0
    RK = 2
    ERROR = 3
    BOOLEAN = 4
    REAL = 5
    TEXT = 6
    SHARED_TEXT = 7
    FORMULA_TEXT = 8
    FORMULA_NUMBER = 9
    FORMULA_BOOLEAN = 10
    FORMULA_ERROR = 11
    SHARED_ITEM = 19
    FORMAT = 44
    STYLE = 47
    RICH_TEXT = 62
    WORKBOOK_PROPERTIES = 153
    SHEET = 156
    MERGED = 176
    BEGIN_STYLES = 617
    END_STYLES = 618


_ERRORS = {_Record.ERROR, _Record.FORMULA_ERROR}
_BOOLEANS = {_Record.BOOLEAN, _Record.FORMULA_BOOLEAN}
_REALS = {_Record.REAL, _Record.FORMULA_NUMBER}
_TEXTS = {_Record.TEXT, _Record.FORMULA_TEXT}


def read_xlsb(source: Source, limits: Limits) -> LegacyBook:
    """The workbook. Raises ``InputError``, also when its sheets are read."""
    archive = Archive(source, limits, "XLSB", limits.workbook)
    part = main_part(archive, "xl/workbook.bin")
    related = relations_of(archive, part)
    from_1904 = False
    sheets: list[tuple[str, bool, str]] = []
    with readable(archive, part):
        for kind, data in _records(archive.chunks(part)):
            if kind == _Record.WORKBOOK_PROPERTIES:
                from_1904 = bool(data[0] & 1)
            elif kind == _Record.SHEET:
                state, _ = _NUMBERS.unpack_from(data)
                relation, at = _text(data, _NUMBERS.size)
                found, target = related.get(relation, ("", ""))
                if found == "worksheet":
                    sheets.append((_text(data, at)[0], state != 0, target))
    parts = dict(related.values())
    return LegacyBook(
        _sheets(archive, sheets, _texts(archive, parts.get("sharedStrings")), _formats(archive, parts.get("styles"))),
        from_1904=from_1904,
    )


def _records(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of a part's records (section 2.1.4)."""
    held = b""
    for chunk in chunks:
        held += chunk
        at = 0
        while (head := _head(held, at)) is not None:
            kind, size, start = head
            if size > _MOST_RECORD:
                raise ValueError("a record is too long")
            if start + size > len(held):
                break
            yield kind, held[start : start + size]
            at = start + size
        held = held[at:]
    if held:
        raise ValueError("the last record is cut off")


def _head(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Number and size of the record at ``at``, and where its content starts; nothing if that is not all there."""
    values = []
    for most in (2, 4):
        value = 0
        for place in range(most):
            if at >= len(data):
                return None
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                break
        values.append(value)
    return values[0], values[1], at


def _text(data: bytes, at: int) -> tuple[str, int]:
    """The text at ``at`` (``XLWideString``), and where it ends."""
    (length,) = _LENGTH.unpack_from(data, at)
    end = at + _LENGTH.size + 2 * length
    if end > len(data):
        raise ValueError("a text is cut off")
    return data[at + _LENGTH.size : end].decode("utf-16-le", "replace"), end


def _texts(archive: Archive, part: str | None) -> list[str]:
    texts: list[str] = []
    if part is not None:
        with readable(archive, part):
            for kind, data in _records(archive.chunks(part)):
                if kind == _Record.SHARED_ITEM:
                    texts.append(_text(data, 1)[0])
                    if len(texts) > _MOST_TEXTS:
                        raise ValueError("too many texts")
    return texts


def _formats(archive: Archive, part: str | None) -> list[str]:
    """The number format of each style."""
    codes: dict[int, str] = dict(std_format_strings)
    formats: list[str] = []
    is_within = False
    if part is not None:
        with readable(archive, part):
            for kind, data in _records(archive.chunks(part)):
                if kind == _Record.FORMAT:
                    codes[int.from_bytes(data[:2], "little")] = _text(data, 2)[0]
                elif kind in {_Record.BEGIN_STYLES, _Record.END_STYLES}:
                    is_within = kind == _Record.BEGIN_STYLES
                elif kind == _Record.STYLE and is_within:
                    formats.append(codes.get(int.from_bytes(data[2:4], "little"), GENERAL))
    return formats


def _sheets(
    archive: Archive, sheets: list[tuple[str, bool, str]], texts: list[str], formats: list[str]
) -> Iterator[LegacySheet]:
    for name, is_hidden, part in sheets:
        merged: list[str] = []
        yield LegacySheet(name, is_hidden, _rows(archive, part, texts, formats, merged), merged)


def _rows(
    archive: Archive, part: str, texts: list[str], formats: list[str], merged: list[str]
) -> Iterator[tuple[int, list[Cell]]]:
    row = 0
    cells: list[Cell] = []
    with readable(archive, part):
        for kind, data in _records(archive.chunks(part)):
            if kind == _Record.ROW:
                if cells:
                    yield row, cells
                row, cells = _LENGTH.unpack_from(data)[0] + 1, []
            elif kind == _Record.MERGED:
                top, bottom, left, right = _RANGE.unpack(data)
                merged.append(str(Area(left + 1, top + 1, right + 1, bottom + 1)))
            elif (value := _value(kind, data, texts)) is not None:
                column, style = _NUMBERS.unpack_from(data)
                style &= 0xFFFFFF
                cells.append(Cell(column + 1, *value, formats[style] if style < len(formats) else GENERAL))
    if cells:
        yield row, cells


def _value(kind: int, data: bytes, texts: list[str]) -> tuple[Kind, str] | None:
    """The value of a record of a cell; nothing for any other, and for an empty cell."""
    at = _NUMBERS.size
    if kind == _Record.RK:
        return Kind.NUMBER, _number(_rk(data[at : at + 4]))
    if kind in _REALS:
        return Kind.NUMBER, _number(_DOUBLE.unpack_from(data, at)[0])
    if kind == _Record.SHARED_TEXT:
        return Kind.TEXT, texts[_LENGTH.unpack_from(data, at)[0]]
    if kind in _TEXTS:
        return Kind.TEXT, _text(data, at)[0]
    if kind == _Record.RICH_TEXT:
        return Kind.TEXT, _text(data, at + 1)[0]
    if kind in _BOOLEANS:
        return Kind.BOOLEAN, str(int(data[at] != 0))
    if kind in _ERRORS:
        return Kind.ERROR, str(error_text_from_code.get(data[at], "#VALUE!"))
    return None


def _rk(data: bytes) -> float:
    """A number in four bytes (section 2.5.123): an integer or the first half of a double, perhaps in hundredths."""
    raw = int.from_bytes(data, "little")
    if raw & 2:
        value = float(int.from_bytes(data, "little", signed=True) >> 2)
    else:
        value = float(_DOUBLE.unpack(bytes(4) + (raw & ~3).to_bytes(4, "little"))[0])
    return value / 100 if raw & 1 else value


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")

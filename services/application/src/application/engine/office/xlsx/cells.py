"""Writes the added cells as XML: numbers and dates as cells of their kind, text as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa

from application.engine.core.join import Rows
from application.engine.core.model import ColumnMapping, Scalar
from application.engine.office.xlsx.number_formats import Formats
from application.engine.office.xlsx.ranges import column_letters
from application.engine.office.xml import xml_text

_MAX_TEXT = 32_767
_EXACT_DIGITS = 15
_EXACT = 10**_EXACT_DIGITS
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DAYS = ("date", "timestamp", "datetime")

_CELL = re.compile(rb'<c r="\0([0-9]+)\0"( s="[0-9]+")?.*?</c>', re.DOTALL)


def is_day(kind: str) -> bool:
    """Whether a column's type is one of dates or time stamps."""
    return kind.strip().lower().startswith(_DAYS)


class Cells:
    """Renders the cells that are added to a row. A mark stands for each cell's column, until its place is known."""

    def __init__(self, formats: Formats, date_styles: Mapping[int, str]) -> None:
        """``date_styles`` are the styles' numbers, by the number of their format."""
        self._formats = formats
        self._date_styles = date_styles
        self._cut = 0

    def render(self, entry: ColumnMapping, rows: Rows) -> pa.Array:
        """The cells added to a row, in the order of the entry's columns; none for no value."""
        writers = [(index, self._writer(column.type)) for index, column in enumerate(entry.columns)]
        return pa.array(
            [b"".join(write(index, row[index]) for index, write in writers) if row else b"" for row in rows],
            pa.large_binary(),
        )

    def warnings(self) -> list[str]:
        """What did not fit."""
        if not self._cut:
            return []
        return [f"{self._cut:,} added texts are longer than the {_MAX_TEXT:,} characters of a cell and were cut off."]

    def header(self, entry: ColumnMapping, style: str | None) -> bytes:
        """The names of the entry's columns."""
        return b"".join(self._text(index, name, style) for index, name in enumerate(entry.added))

    def _writer(self, kind: str) -> Callable[[int, Scalar], bytes]:
        if kind.strip().lower().startswith("decimal"):
            return self._decimal
        return self._moment if is_day(kind) else self._value

    def _decimal(self, index: int, value: Scalar) -> bytes:
        is_number = isinstance(value, str) and _NUMBER.fullmatch(value) is not None
        if is_number and len(str(value).strip("-0.").replace(".", "")) <= _EXACT_DIGITS:
            return _cell(index, f"><v>{value}</v></c>")
        return self._value(index, value)

    def _moment(self, index: int, value: Scalar) -> bytes:
        if isinstance(value, str) and self._date_styles and (found := self._formats.serial(value)) is not None:
            serial, number = found
            return _cell(index, f' s="{self._date_styles[number]}"><v>{serial}</v></c>')
        return self._value(index, value)

    def _value(self, index: int, value: Scalar) -> bytes:
        if value is None or value == "":
            return b""
        if isinstance(value, bool):
            return _cell(index, f' t="b"><v>{value:d}</v></c>')
        if isinstance(value, (int, float)) and abs(value) < _EXACT:
            return _cell(index, f"><v>{value!r}</v></c>")
        return self._text(index, value if isinstance(value, str) else repr(value), None)

    def _text(self, index: int, text: str, style: str | None) -> bytes:
        self._cut += len(text) > _MAX_TEXT
        inside = xml_text(text[:_MAX_TEXT])
        shown = f' s="{style}"' if style else ""
        # Excel takes white space at the ends for none of the text; a full sheet has no room to say so of each one.
        space = ' xml:space="preserve"' if "\n" in text or text != text.strip() else ""
        return _cell(index, f'{shown} t="inlineStr"><is><t{space}>{inside}</t></is></c>')


def _cell(index: int, rest: str) -> bytes:
    return f'<c r="\0{index}\0"{rest}'.encode()


def placed(cells: bytes, columns: Sequence[bytes], row: bytes) -> bytes:
    """Rendered cells of one entry in their row; ``columns`` are the letters of its added columns."""
    if not cells:
        return cells
    for index, letters in enumerate(columns):
        cells = cells.replace(b"\0%d\0" % index, letters + row)
    return cells


def styled(cells: bytes, first: int, styles: Mapping[int, str]) -> bytes:
    """Rendered cells of one entry with the styles of the empty cells that they replace, by column number."""
    found = {int(match[1]): match for match in _CELL.finditer(cells)}
    parts = []
    count = max([column - first for column in styles] + list(found))
    for index in range(count + 1):
        style = styles.get(first + index)
        match = found.get(index)
        if match is None:
            parts.append(b'<c r="\0%d\0" s="%s"/>' % (index, style.encode()) if style else b"")
        elif style and not match[2]:
            parts.append(match[0].replace(b'\0"', b'\0" s="%s"' % style.encode(), 1))
        else:
            parts.append(match[0])
    return b"".join(parts)


def letters_of(first: int, count: int) -> list[bytes]:
    """The letters of ``count`` columns from number ``first``."""
    return [column_letters(first + index).encode() for index in range(count)]


def prefixed(cells: bytes, prefix: bytes) -> bytes:
    """Cells as a file writes them whose elements have a prefix; text has no bare < that could be taken for a tag."""
    return cells.replace(b"</", b"\0").replace(b"<", b"<" + prefix).replace(b"\0", b"</" + prefix)

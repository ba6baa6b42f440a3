"""Number formats of cells: what a person sees of a number that is a key, and a style for dates that are added."""

from __future__ import annotations

import datetime as dt
import re
from array import array
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from application.engine.office.xlsx.parts import elements_at, prefix_of, tag_at, with_attribute
from application.engine.office.xml import Attributes, Feed, local, new_parser
from common.keys import number_text

DATE, MOMENT = 14, 22
"""Formats that every workbook has: a date, and a date with a time, both as the reader's language writes them."""

_BUILT_IN_DATES = {*range(14, 18), 22, *range(27, 37), *range(50, 59)}
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|\[[^\]]*\]')
_DIGITS = re.compile(r"[-/() ]*0[-/() 0]*")
_MAX_STYLES = 65_536
_MAX_NUMBER = 1 << 16
_EXACT = 10**15
_FIRST_SAFE_SERIAL = 61
"""1 March 1900: before it the days of 1900 are counted with a 29 February that there was not."""


class Formats:
    """The number formats of a workbook's cells, by the number of their style."""

    def __init__(self, *, from_1904: bool = False) -> None:
        """``from_1904`` tells from which year on the workbook counts days."""
        self._epoch = dt.datetime(1904, 1, 1) if from_1904 else dt.datetime(1899, 12, 30)  # noqa: DTZ001 - as Excel
        self._from_1904 = from_1904
        self._numbers = array("L")
        self._codes: dict[int, str] = {}
        self._patterns: dict[int, str | None] = {}

    def load(self, chunks: Iterable[bytes]) -> None:
        """Read the styles' part."""
        parser = new_parser()
        path: list[str] = []

        def start(name: str, attributes: Attributes) -> None:
            kind = local(name)
            if kind == "xf" and path[-1:] == ["cellXfs"] and len(self._numbers) < _MAX_STYLES:
                number = int(attributes.get("numFmtId", 0))
                self._numbers.append(number if 0 <= number < _MAX_NUMBER else 0)
            elif kind == "numFmt" and path[-1:] == ["numFmts"] and len(self._codes) < _MAX_STYLES:
                self._codes[int(attributes.get("numFmtId", 0))] = attributes.get("formatCode", "")
            path.append(kind)

        parser.StartElementHandler = start
        parser.EndElementHandler = lambda _: path.pop()
        feed = Feed(parser, lambda: len(path))
        for chunk in chunks:
            feed.feed(chunk)
        feed.close()

    def key_text(self, raw: str, style: int) -> str:
        """A number as a person sees the key: 7 for 7.0 and 7E0, 00501 for 501 in the format 00000, dates as ISO 8601.

        Where a format shows less than the number holds (7.50 as 8), it is the number.
        """
        if style and style < len(self._numbers) and (number := self._numbers[style]):
            text = self._formatted(raw, number)
            if text is not None:
                return text
        return _plain(raw)

    def serial(self, text: str) -> tuple[str, int] | None:
        """An ISO 8601 date or time stamp as the number of days that a cell holds, and its format.

        Nothing for one with an offset from UTC, which a cell cannot hold, and for one before the first day.
        """
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            return None
        if moment.tzinfo is not None:
            return None
        since = moment - self._epoch
        if since.days < (0 if self._from_1904 else _FIRST_SAFE_SERIAL):
            return None
        if len(text) == len("2026-01-31"):
            return str(since.days), DATE
        seconds = Decimal(since.seconds) + Decimal(since.microseconds) / 1_000_000
        return format((since.days + seconds / 86_400).quantize(Decimal("1.0000000000")).normalize(), "f"), MOMENT

    def _formatted(self, raw: str, number: int) -> str | None:
        if number not in self._patterns:
            self._patterns[number] = self._pattern(number)
        pattern = self._patterns[number]
        if pattern is None:
            return None
        try:
            value = Decimal(raw)
        except InvalidOperation:
            return None
        if not value.is_finite() or abs(value) >= _EXACT:
            return None
        if pattern == "date":
            return self._date(value)
        if value != value.to_integral_value() or value < 0:
            return None
        return _filled(str(int(value)), pattern)

    def _pattern(self, number: int) -> str | None:
        """``date``; the part of a format for positive numbers if that only sets out digits; nothing for any other.

        In the part, literal characters are in quotes.
        """
        if number in _BUILT_IN_DATES:
            return "date"
        code = self._codes.get(number, "").partition(";")[0]
        bare = _LITERAL.sub("", code)
        if re.search(r"[yYdD]", bare) and not re.search(r"[0#?]", bare):
            return "date"
        return code if _DIGITS.fullmatch(bare) else None

    def _date(self, value: Decimal) -> str | None:
        try:
            moment = self._epoch + dt.timedelta(days=int(value), seconds=round(float(value % 1) * 86_400))
        except OverflowError:
            return None
        if value < (0 if self._from_1904 else _FIRST_SAFE_SERIAL):
            return None
        return moment.date().isoformat() if value == int(value) else moment.isoformat()


def _plain(raw: str) -> str:
    """A number without what floating point adds to it: Excel writes 0.1 as 0.10000000000000001."""
    try:
        number = float(raw)
    except ValueError:
        return raw
    return number_text(raw if abs(number) >= _EXACT else repr(number)) or raw


def _filled(digits: str, code: str) -> str:
    """``digits`` set out as ``code`` says: from the right, one for each 0; the rest goes in front."""
    out: list[str] = []
    left = list(digits)
    pieces = re.findall(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]|.', code, re.DOTALL)
    first = pieces.index("0")
    for index in range(len(pieces) - 1, -1, -1):
        piece = pieces[index]
        if piece == "0":
            out.append(left.pop() if left else "0")
            if index == first:
                out.extend(reversed(left))
                left.clear()
        elif piece[0] == '"':
            out.append(piece[1:-1][::-1])
        elif piece[0] == "\\":
            out.append(piece[1])
        elif len(piece) == 1:
            out.append(piece)
    return "".join(out)[::-1]


def with_date_styles(data: bytes) -> tuple[bytes, dict[int, str]]:
    """The styles' part with a style for each of ``DATE`` and ``MOMENT``, and their numbers; none if it has no list."""
    elements = elements_at(data)
    places = [index for index, element in enumerate(elements) if element.name == "cellXfs"]
    if not places or elements[places[0]].start == elements[places[0]].end:
        return data, {}
    place = places[0]
    cell_styles = elements[place]
    count = sum(e.name == "xf" and cell_styles.start < e.start < cell_styles.end for e in elements[place:])
    tag = tag_at(data, cell_styles.start)
    prefix = prefix_of(tag)
    added = "".join(
        f'<{prefix}xf numFmtId="{number}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for number in (DATE, MOMENT)
    )
    grown = with_attribute(tag, "count", str(count + 2))
    edited = data[: cell_styles.start] + grown + data[cell_styles.start + len(tag) :]
    end = cell_styles.end + len(grown) - len(tag)
    return edited[:end] + added.encode() + edited[end:], {DATE: str(count), MOMENT: str(count + 1)}

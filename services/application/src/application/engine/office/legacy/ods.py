"""OpenDocument spreadsheets (OpenDocument 1.3, part 3): one part is read as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from application.engine.core.model import Limits, Source
from application.engine.office.archive import Archive
from application.engine.office.legacy.book import GENERAL, Cell, Kind, LegacyBook, LegacySheet, encrypted
from application.engine.office.package import readable
from application.engine.office.xlsx.number_formats import DATE, Formats
from application.engine.office.xlsx.ranges import MAX_COLUMNS, Area
from application.engine.office.xml import Attributes, Feed, UnsafeXml, elements, local, new_parser, set_handlers

_CONTENT = "content.xml"
_MOST_CELLS = 25_000_000
"""More than a full sheet of 20 columns: one element may stand for very many rows of very many cells."""

_DURATION = re.compile(r"(-?)P(?:([0-9]+)D)?T?(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:[.,][0-9]+)?)S)?")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_SPACE = re.compile(r"[ \t\r\n]+")
_MOST_SPACES = 32_767
_CELLS = ("table-cell", "covered-table-cell")
_INLINE = {"span", "a", "s", "tab", "line-break"}
_ZEROS = re.compile(r"0[0-9]+")
_PERCENT = re.compile(r"-?[0-9]+(?:[.,]([0-9]+))?[ \u00a0]?%")
_ERRORS = {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"}


def read_ods(source: Source, limits: Limits) -> LegacyBook:
    """The workbook. Raises ``InputError``, also when its sheets are read."""
    archive = Archive(source, limits, "ODS", limits.workbook)
    if archive.find("META-INF/manifest.xml"):
        with readable(archive, "META-INF/manifest.xml"):
            if any(kind == "encryption-data" for kind, _ in elements(archive.chunks("META-INF/manifest.xml"))):
                raise encrypted("ODS")
    return LegacyBook(_sheets(archive))


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Rows that are all alike."""

    first: int
    count: int
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class _Start:
    """A sheet begins."""

    name: str
    is_hidden: bool
    merged: list[str]


class _End:
    """A sheet ends."""


_Event = _Start | _End | tuple[int, list[Cell]]


def _sheets(archive: Archive) -> Iterator[LegacySheet]:
    events = _events(archive)
    for event in events:
        if isinstance(event, _Start):
            yield LegacySheet(event.name, event.is_hidden, _rows(events), event.merged)


def _rows(events: Iterator[_Event]) -> Iterator[tuple[int, list[Cell]]]:
    for event in events:
        if isinstance(event, _End):
            return
        if isinstance(event, tuple):
            yield event


def _events(archive: Archive) -> Iterator[_Event]:
    reader = _Reader()
    with readable(archive, _CONTENT):
        for chunk in archive.chunks(_CONTENT):
            reader.feed.feed(chunk)
            yield from reader.taken()
        reader.feed.close()
        yield from reader.taken()


class _Reader:
    """Makes rows of cells from the elements of the part."""

    def __init__(self) -> None:
        parser = new_parser()
        set_handlers(parser, self._start, self._end, self._characters)
        self._path: list[str] = []
        self.feed = Feed(parser, lambda: len(self._path))
        self._events: list[_Event | _Repeated] = []
        self._hidden: set[str] = set()
        self._style = ""
        self._is_in_sheet = False
        self._row = 0
        self._repeated = 1
        self._cells: list[Cell] = []
        self._column = 0
        self._attributes: Attributes = {}
        self._paragraphs: list[list[str]] = []
        self._aside = 0
        self._merged: list[str] = []
        self._count = 0

    def taken(self) -> Iterator[_Event]:
        """What has been read since the last time; the rows that one element stands for, one by one."""
        events, self._events = self._events, []
        for event in events:
            if not isinstance(event, _Repeated):
                yield event
                continue
            for number in range(event.first, event.first + event.count):
                yield number, event.cells

    def _start(self, name: str, attributes: Attributes) -> None:
        kind = local(name)
        self._path.append(kind)
        named = {local(key): value for key, value in attributes.items()}
        is_within = len(self._path) > 1 and self._path[-2] in _CELLS
        if self._paragraphs and (self._aside or (kind not in _INLINE and not (kind == "p" and is_within))):
            self._aside += 1
        match kind:
            case "style":
                self._style = named.get("name", "")
            case "table-properties" if named.get("display") == "false":
                self._hidden.add(self._style)
            case "table" if self._path[-2:-1] == ["spreadsheet"] and not named.get("name", "").startswith("'file:"):
                self._is_in_sheet = True
                self._row = 0
                self._merged = []
                is_hidden = named.get("style-name") in self._hidden
                self._events.append(_Start(named.get("name", ""), is_hidden, self._merged))
            case "table-row" if self._is_in_sheet:
                self._repeated = int(named.get("number-rows-repeated", 1))
                self._cells = []
                self._column = 0
            case "table-cell" | "covered-table-cell":
                self._attributes = named
                self._paragraphs = []
                self._aside = 0
            case "p" if is_within:
                self._paragraphs.append([])
            case "s" if self._paragraphs and not self._aside:
                self._paragraphs[-1].append(" " * min(int(named.get("c", 1)), _MOST_SPACES))
            case "tab" if self._paragraphs and not self._aside:
                self._paragraphs[-1].append("\t")
            case "line-break" if self._paragraphs and not self._aside:
                self._paragraphs[-1].append("\n")

    def _characters(self, data: str) -> None:
        if self._paragraphs and not self._aside and "p" in self._path:
            paragraph = self._paragraphs[-1]
            text = _SPACE.sub(" ", data)
            paragraph.append(text if paragraph else text.lstrip(" "))

    def _end(self, name: str) -> None:
        kind = self._path.pop()
        if self._aside:
            self._aside -= 1
        if kind in _CELLS and self._is_in_sheet:
            self._end_cell()
        elif kind == "table-row" and self._is_in_sheet:
            if self._cells:
                self._count += len(self._cells) * self._repeated
                if self._count > _MOST_CELLS:
                    raise UnsafeXml(f"its sheets have more than {_MOST_CELLS:,} cells")
                self._events.append(_Repeated(self._row + 1, self._repeated, self._cells))
            self._row += self._repeated
        elif kind == "table" and self._path[-1:] == ["spreadsheet"] and self._is_in_sheet:
            self._is_in_sheet = False
            self._events.append(_End())
        del name

    def _end_cell(self) -> None:
        count = int(self._attributes.get("number-columns-repeated", 1))
        text = "\n".join("".join(parts) for parts in self._paragraphs)
        self._paragraphs = []
        cell = _cell(self._attributes, text)
        if cell is not None:
            if self._column + count > MAX_COLUMNS:
                raise UnsafeXml(f"it has more than {MAX_COLUMNS:,} columns")
            self._cells += [Cell(self._column + place, *cell) for place in range(1, count + 1)]
        across = int(self._attributes.get("number-columns-spanned", 1))
        down = int(self._attributes.get("number-rows-spanned", 1))
        if across > 1 or down > 1:
            area = Area(self._column + 1, self._row + 1, self._column + across, self._row + down)
            self._merged.append(str(area))
        self._column += count


def _cell(attributes: Attributes, text: str) -> tuple[Kind, str, str] | None:
    """The kind, the text and the number format of a cell; nothing for an empty one."""
    match attributes.get("value-type"):
        case "error":
            return (Kind.ERROR, text, GENERAL) if text in _ERRORS else (Kind.TEXT, text, GENERAL)
        case "float" | "percentage" | "currency" if _NUMBER.fullmatch(attributes.get("value", "")):
            return Kind.NUMBER, attributes["value"], _shown(attributes["value"], text)
        case "boolean" if "boolean-value" in attributes:
            return Kind.BOOLEAN, str(int(attributes["boolean-value"] == "true")), GENERAL
        case "date" if found := Formats().serial(attributes.get("date-value", "")):
            return Kind.NUMBER, found[0], "yyyy-mm-dd" if found[1] == DATE else "yyyy-mm-dd hh:mm:ss"
        case "date" if "date-value" in attributes:
            return Kind.TEXT, attributes["date-value"], GENERAL
        case "time" if match := _DURATION.fullmatch(attributes.get("time-value", "")):
            return _time(match)
    text = attributes.get("string-value", text)
    return (Kind.TEXT, text, GENERAL) if text else None


def _time(match: re.Match[str]) -> tuple[Kind, str, str]:
    days, hours, minutes = (int(match[group] or 0) for group in (2, 3, 4))
    seconds = Decimal((match[5] or "0").replace(",", ".")) + days * 86_400 + hours * 3600 + minutes * 60
    value = float(seconds / 86_400) * (-1 if match[1] else 1)
    return Kind.NUMBER, repr(value), "hh:mm:ss" if 0 <= value < 1 else "[h]:mm:ss"


def _shown(value: str, text: str) -> str:
    """The format of a number that is shown as ``text``: leading zeros and percent signs are kept."""
    if _ZEROS.fullmatch(text) and float(value) == int(text):
        return "0" * len(text)
    if percent := _PERCENT.fullmatch(text):
        return "0%" if percent[1] is None else f"0.{'0' * len(percent[1])}%"
    return GENERAL

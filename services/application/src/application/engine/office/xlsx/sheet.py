"""Reads a worksheet's XML as a stream, telling for each row its cells and where in the bytes they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from application.engine.office.xlsx.number_formats import Formats
from application.engine.office.xlsx.ranges import MAX_COLUMNS, Area, cell_place
from application.engine.office.xlsx.scan import ScannedCell, Scanner
from application.engine.office.xml import Attributes, Feed, UnsafeXml, local, new_parser, office_text, set_handlers

_MAX_TEXT = 32_767
_MOST_HELD = 1 << 20
"""Of a row that has not ended: expat reads longer ones, within its own limits."""

_ROWS = re.compile(rb"<([^\s<>/:]+:)?sheetData(?:\s[^<>]*)?>")
MOST_TEXTS = 1 << 31
_RANGES = {"autoFilter": "ref", "sortState": "ref", "conditionalFormatting": "sqref", "dataValidation": "sqref"}


@dataclass(slots=True)
class Row:
    """A row that holds a value.

    ``cells`` are texts, and ``shared`` numbers of shared texts, by column number from 1. ``end`` is where the row's
    end tag starts. ``cut`` is where the first empty cell starts that is in the way of added cells, ``resume`` the first
    after them; ``styles`` are of the cells between, or of all cells where all are collected. ``unknown`` are columns
    whose formula has no value.
    """

    number: int
    end: int = 0
    cut: int | None = None
    resume: int | None = None
    last_value: int = 0
    cells: dict[int, str] = field(default_factory=dict)
    shared: dict[int, int] = field(default_factory=dict)
    styles: dict[int, str] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RangeTag:
    """An element below the rows that is about a range of cells: its place, its attribute and what that says."""

    position: int
    kind: str
    attribute: str
    reference: str


class SheetReader:
    """Feeds expat and calls ``on_row`` for each row that holds a value."""

    def __init__(
        self,
        on_row: Callable[[Row], None],
        formats: Formats,
        wanted: Collection[int] | None = None,
        added: tuple[int, int] | None = None,
        *,
        is_checked: bool = False,
    ) -> None:
        """``wanted`` are the columns whose texts are collected (all without), ``added`` the first and last new one.

        ``is_checked`` says that another reader has read all of the same bytes: they are well-formed.
        """
        self._on_row = on_row
        self._formats = formats
        self._wanted = wanted
        self._added = added
        self._is_checked = is_checked
        self._skipped = 0
        self._row = Row(0)
        self._column = 0
        self._kind = "n"
        self._style = 0
        self._has_formula = False
        self._parts: list[str] = []
        self._length = 0
        self._path: list[str] = []
        self.prefix = ""
        self.dimension: int | None = None
        self.last_row = 0
        self.fed = 0
        self.merged: list[Area] = []
        self.ranges: list[RangeTag] = []
        self._parser = new_parser()
        self._feed = Feed(self._parser, lambda: len(self._path))
        set_handlers(self._parser, self._start, self._end, self._text)
        self._scanner: Scanner | None = None
        self._was_scanned = False
        self._unread = b""
        self._understood = 0

    @property
    def position(self) -> int:
        """Up to where the bytes have been understood."""
        return self._understood if self._scanner else self._here

    @property
    def _here(self) -> int:
        """Where the parser is."""
        return self._parser.CurrentByteIndex + self._skipped

    def feed(self, data: bytes) -> None:
        """Read on."""
        if self.fed == 0 and data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            raise UnsafeXml("its XML is not in UTF-8")
        self.fed += len(data)
        data = self._unread + data
        self._unread = b""
        if not self._was_scanned and self._scanner is None:
            data = self._before_rows(data)
        if self._scanner is not None:
            data = self._scan(self._scanner, data)
        if data:
            self._feed.feed(data)

    def close(self) -> None:
        """Say that there is no more."""
        if self._unread:
            self._stop_scanning()
            self._feed.feed(self._unread)
        self._feed.close()

    def _before_rows(self, data: bytes) -> bytes:
        """Read up to the first row, from which on rows are scanned; what is left is returned."""
        found = _ROWS.search(data)
        if found is None:
            # A tag may be cut in two by the end of the piece.
            cut = data.rfind(b"<")
            if cut >= 0 and len(data) - cut < _MOST_HELD:
                self._unread = data[cut:]
                data = data[:cut]
            return data
        self._feed.feed(data[: found.end()])
        if self._path[-1:] == ["sheetData"] and len(self._path) == 2:
            self._scanner = Scanner((found[1] or b"").decode())
            self._understood = self.fed - len(data) + found.end()
            set_handlers(self._parser)
        self._was_scanned = True
        return data[found.end() :]

    def _stop_scanning(self) -> None:
        self._scanner = None
        set_handlers(self._parser, self._start, self._end, self._text)

    def _scan(self, scanner: Scanner, data: bytes) -> bytes:
        """Read the whole rows of ``data``; what is left is kept, or returned where the parser has to go on."""
        end = data.find(b"</" + scanner.prefix + b"sheetData")
        rows = data if end < 0 else data[:end]
        if b"<!" in rows or b"<?" in rows or (end < 0 and len(data) - rows.rfind(scanner.row_end) > _MOST_HELD):
            self._stop_scanning()
            return data
        if end < 0:
            end = rows.rfind(scanner.row_end)
            end = rows.find(b">", end) + 1 if end >= 0 else 0
        whole = data[:end]
        if self._is_checked:
            self._skipped += len(whole)
        else:
            self._feed.check(whole)
        self._scan_rows(scanner, whole)
        self._understood += len(whole)
        if len(rows) < len(data):
            self._stop_scanning()
            return data[end:]
        self._unread = data[end:]
        return b""

    def _scan_rows(self, scanner: Scanner, data: bytes) -> None:
        self.prefix = scanner.prefix.decode()
        rows: list[tuple[int, int, int]] = []
        number = self._row.number
        at = 0
        while match := scanner.row.search(data, at):
            given = scanner.number(match[1])
            number = number + 1 if given is None else given
            at = match.end()
            if not match[2]:
                end = data.find(scanner.row_end, at)
                rows.append((number, at, end))
                at = end
        found = None
        if self._wanted is not None:
            found = scanner.wanted(data, [end for _, _, end in rows], self._wanted)
        for place, (row, at, end) in enumerate(rows):
            self._row = Row(row)
            self._column = 0
            # A row whose last cell holds a value, and where no cell is in the way of added ones.
            if (
                found is not None
                and scanner.ends_with_value(data, end)
                and not (self._added and found.lasts[place] >= self._added[0])
            ):
                self._row.last_value = found.lasts[place]
                for column, start in found.cells[place]:
                    self._take_wanted(scanner, data, column, start)
            else:
                for cell in scanner.cells(data[at:end]):
                    self._take_scanned(cell, self._understood + at)
            self._end_row(self._understood + end)
        self._row = Row(number)

    def _take_wanted(self, scanner: Scanner, data: bytes, column: int, start: int) -> None:
        if match := scanner.plain_cell.match(data, start):
            kind, style, text = (match[2] or b"n").decode(), int(match[1] or 0), match[3].decode()
            self._keep(column, kind, style, text, has_formula=False)
            return
        cell = scanner.cell(data, start)
        if cell.text or cell.has_formula:
            self._keep(column, cell.kind, cell.style, cell.text, has_formula=cell.has_formula)

    def _take_scanned(self, cell: ScannedCell, start: int) -> None:
        self._begin(cell.reference, cell.kind, cell.style, start + cell.start)
        self._parts = [cell.text] if cell.text else []
        self._has_formula = cell.has_formula
        self._end_cell()

    def _start(self, name: str, attributes: Attributes) -> None:
        kind = local(name)
        self._path.append(kind)
        if kind == "row":
            number = int(attributes.get("r", self._row.number + 1))
            self._row = Row(number)
            self._column = 0
            self.prefix = name[: -len(kind)]
        elif kind == "c":
            style = int(attributes.get("s", 0))
            self._begin(attributes.get("r", ""), attributes.get("t", "n"), style, self._here)
        elif kind == "f":
            self._has_formula = True
        elif kind == "dimension" and self.dimension is None:
            self.dimension = self._here
        elif kind == "mergeCell":
            if area := Area.parse(attributes.get("ref", "")):
                self.merged.append(area)
        elif kind in _RANGES and self._row.number:
            attribute = _RANGES[kind]
            if attribute in attributes:
                self.ranges.append(RangeTag(self._here, kind, attribute, attributes[attribute]))

    def _begin(self, reference: str, kind: str, style: int, place: int) -> None:
        """Begin a cell that starts at ``place``."""
        self._column = cell_place(reference) or self._column + 1
        if self._column > MAX_COLUMNS:
            raise UnsafeXml(f"it has more than {MAX_COLUMNS:,} columns")
        self._kind = kind
        self._style = style
        self._has_formula = False
        self._parts.clear()
        self._length = 0
        if self._added is not None and self._column >= self._added[0]:
            if self._column > self._added[1]:
                self._row.resume = place if self._row.resume is None else self._row.resume
            elif self._style:
                self._row.styles[self._column] = str(self._style)
            self._row.cut = place if self._row.cut is None else self._row.cut
        elif self._wanted is None and self._style:
            self._row.styles[self._column] = str(self._style)

    def _end(self, name: str) -> None:
        kind = self._path.pop()
        if kind == "c":
            self._end_cell()
        elif kind == "row":
            self._end_row(self._here)
        del name

    def _end_row(self, place: int) -> None:
        if self._row.last_value:
            self._row.end = place
            self.last_row = max(self.last_row, self._row.number)
            self._on_row(self._row)

    def _end_cell(self) -> None:
        if not self._parts and not self._has_formula:
            return
        self._row.last_value = max(self._row.last_value, self._column)
        if self._wanted is not None and self._column not in self._wanted:
            return
        self._keep(self._column, self._kind, self._style, "".join(self._parts), has_formula=self._has_formula)

    def _keep(self, column: int, kind: str, style: int, text: str, *, has_formula: bool) -> None:
        """Take in the value of a cell."""
        if has_formula and not text and kind != "str":
            self._row.unknown.append(column)
        match kind:
            case "s":
                number = int(text)
                if not 0 <= number < MOST_TEXTS:
                    raise UnsafeXml("it refers to a text that there is none of")
                self._row.shared[column] = number
                return
            case "n":
                text = self._formats.key_text(text, style)
            case "b":
                text = "true" if text == "1" else "false"
            case "e":
                return
            case "str" | "inlineStr":
                text = office_text(text)
        if text:
            self._row.cells[column] = text[:_MAX_TEXT]

    def _text(self, data: str) -> None:
        place = self._path[-1]
        if (
            place == "v" or (place == "t" and "is" in self._path and "rPh" not in self._path)
        ) and self._length < _MAX_TEXT:
            self._parts.append(data)
            self._length += len(data)

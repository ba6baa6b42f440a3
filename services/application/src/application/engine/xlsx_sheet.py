"""Reads a worksheet's XML as a stream, telling for each row its cells and where in the bytes it ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from application.engine.office_xml import Attributes, Feed, UnsafeXml, local, new_parser
from application.engine.xlsx_book import SharedTexts

_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_MAX_TEXT = 32_767
MAX_COLUMNS = 16_384


@dataclass(slots=True)
class Row:
    """A row that holds a value: ``cells`` are texts by column number from 1, ``end`` is where its end tag starts."""

    number: int
    end: int = 0
    last_column: int = 0
    cells: dict[int, str] = field(default_factory=dict)
    styles: dict[int, str] = field(default_factory=dict)
    filled: bool = False


def column_number(letters: str) -> int:
    """1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(number: int) -> str:
    """A for 1, AA for 27."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _number_text(text: str) -> str:
    """A number as a person would write the key: 7 for 7.0 and 7E0."""
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else text


class SheetReader:
    """Feeds expat and calls ``on_row`` for each row that holds a value."""

    def __init__(self, texts: SharedTexts, on_row: Callable[[Row], None], wanted: frozenset[int] | None = None) -> None:
        """``wanted`` are the columns whose texts are collected; all without."""
        self._texts = texts
        self._on_row = on_row
        self._wanted = wanted
        self._row = Row(0)
        self._column = 0
        self._kind = "n"
        self._parts: list[str] = []
        self._length = 0
        self._path: list[str] = []
        self.prefix = ""
        self.dimension: int | None = None
        self.last_column = 0
        self.last_row = 0
        self.fed = 0
        self._parser = new_parser()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._feed = Feed(self._parser, lambda: len(self._path))

    @property
    def position(self) -> int:
        """Up to where the bytes have been understood."""
        return self._parser.CurrentByteIndex

    def feed(self, data: bytes) -> None:
        """Read on."""
        if self.fed == 0 and data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            raise UnsafeXml("its XML is not in UTF-8")
        self.fed += len(data)
        self._feed.feed(data)

    def close(self) -> None:
        """Say that there is no more."""
        self._feed.close()

    def _start(self, name: str, attributes: Attributes) -> None:
        kind = local(name)
        self._path.append(kind)
        if kind == "row":
            number = int(attributes.get("r", self._row.number + 1))
            self._row = Row(number)
            self.last_row = max(self.last_row, number)
            self._column = 0
            self.prefix = name[: -len(kind)]
        elif kind == "c":
            reference = _REFERENCE.fullmatch(attributes.get("r", ""))
            self._column = column_number(reference[1]) if reference else self._column + 1
            if self._column > MAX_COLUMNS:
                raise UnsafeXml(f"it has more than {MAX_COLUMNS:,} columns")
            self._row.last_column = max(self._row.last_column, self._column)
            self.last_column = max(self.last_column, self._column)
            self._kind = attributes.get("t", "n")
            self._parts.clear()
            self._length = 0
            if self._wanted is None and "s" in attributes:
                self._row.styles[self._column] = attributes["s"]
        elif kind == "dimension" and self.dimension is None:
            self.dimension = self._parser.CurrentByteIndex

    def _end(self, name: str) -> None:
        kind = self._path.pop()
        if kind == "c":
            self._end_cell()
        elif kind == "row" and self._row.filled:
            self._row.end = self._parser.CurrentByteIndex
            self._on_row(self._row)
        del name

    def _end_cell(self) -> None:
        if not self._parts:
            return
        self._row.filled = True
        if self._wanted is not None and self._column not in self._wanted:
            return
        text = "".join(self._parts)
        match self._kind:
            case "s":
                text = self._texts[int(text)]
            case "n":
                text = _number_text(text)
            case "b":
                text = "true" if text == "1" else "false"
            case "e":
                return
        self._row.cells[self._column] = text[:_MAX_TEXT]

    def _text(self, data: str) -> None:
        place = self._path[-1]
        if (
            place == "v" or (place == "t" and "is" in self._path and "rPh" not in self._path)
        ) and self._length < _MAX_TEXT:
            self._parts.append(data)
            self._length += len(data)

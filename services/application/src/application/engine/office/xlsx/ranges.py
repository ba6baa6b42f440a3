"""References to ranges of cells, and how they grow when columns are added at the right of a table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_COLUMNS = 16_384
MAX_ROWS = 1_048_576

_AREA = re.compile(r"\$?([A-Z]{1,3})(?:\$?([0-9]{1,7}))?:\$?([A-Z]{1,3})(?:\$?([0-9]{1,7}))?")
_CELL = re.compile(r"([A-Z]{1,3})[1-9][0-9]{0,6}")


def cell_place(reference: str) -> int | None:
    """The number of the column of a cell such as ``C5``; nothing for any other text."""
    match = _CELL.fullmatch(reference)
    return column_number(match[1]) if match else None


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


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of cells: numbers of its first and last column and row, from 1, both included."""

    left: int
    top: int
    right: int
    bottom: int

    def __str__(self) -> str:
        return f"{column_letters(self.left)}{self.top}:{column_letters(self.right)}{self.bottom}"

    @classmethod
    def parse(cls, text: str) -> Area | None:
        """Read ``A1:C5``, ``$A$1:$C$5`` or ``A:C``; nothing for any other reference: a cell, or whole rows."""
        match = _AREA.fullmatch(text)
        if match is None or (match[2] is None) != (match[4] is None):
            return None
        top, bottom = (int(match[2]), int(match[4])) if match[2] else (1, MAX_ROWS)
        return cls(column_number(match[1]), top, column_number(match[3]), bottom)


@dataclass(frozen=True, slots=True)
class Growth:
    """A table in ``before`` (header included) that now ends in column ``last``."""

    before: Area
    last: int

    def filter(self, reference: str) -> str:
        """The range of a filter, a sorting or a print area, which is about whole records.

        It grows if it takes in rows of the table and reached the table's last column: whatever sorts a row, sorts all.
        """
        return self._grown(reference, lambda area: area.top <= self.before.bottom and area.bottom >= self.before.top)

    def across(self, reference: str) -> str:
        """The ranges (separated by spaces) of a format or a validation; one that is for whole rows of the table grows.

        One for the last column alone is about that column, and stays.
        """
        return " ".join(self._grown(part, self._is_across) for part in reference.split(" "))

    def named(self, reference: str) -> str:
        """The range that a name stands for; one for all of the table, header included, grows."""
        return self._grown(reference, lambda area: self._is_across(area) and area.top <= self.before.top)

    def _is_across(self, area: Area) -> bool:
        inside = area.top <= self.before.bottom and area.bottom >= self.before.top
        return inside and area.left <= self.before.left < area.right

    def _grown(self, reference: str, applies: Callable[[Area], bool]) -> str:
        area = Area.parse(reference)
        if area is None or not self.before.right <= area.right < self.last or not applies(area):
            return reference
        match = _AREA.fullmatch(reference)
        start, end = match.span(3) if match else (0, 0)
        return reference[:start] + column_letters(self.last) + reference[end:]

"""What a workbook holds, whatever its format: sheets with rows of cells, each a value and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from application.engine.core.errors import InputError

GENERAL = "General"


class Kind(StrEnum):
    """What a cell holds, by the name that XLSX has for it (ISO/IEC 29500-1, 18.18.11)."""

    NUMBER = "n"
    BOOLEAN = "b"
    ERROR = "e"
    TEXT = "inlineStr"


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a column, counted from 1; ``shown`` is the number format in Excel's notation."""

    column: int
    kind: Kind
    text: str
    shown: str = GENERAL


Rows = Iterable[tuple[int, list[Cell]]]
"""Numbers of rows from 1, in order, with their cells in order; rows without cells are left out."""


@dataclass(frozen=True, slots=True)
class LegacySheet:
    """A sheet; ``merged`` are references such as ``A1:C1``, known when the rows have been read."""

    name: str
    is_hidden: bool
    rows: Rows
    merged: list[str]


@dataclass(frozen=True, slots=True)
class LegacyBook:
    """A workbook; ``from_1904`` says from which year on its numbers count days."""

    sheets: Iterator[LegacySheet]
    from_1904: bool = False


def damaged(kind: str) -> InputError:
    """The file cannot be read."""
    return InputError(
        "corrupt-file",
        "The file is damaged",
        f"The {kind} file cannot be read: it is damaged or cut off.",
        expected=f"a whole {kind} file; open it, and save it as .xlsx",
    )


def encrypted(kind: str) -> InputError:
    """The file has a password."""
    return InputError(
        "encrypted-file",
        "The file is encrypted",
        f"The {kind} file is protected by a password.",
        expected="the file saved without a password",
    )

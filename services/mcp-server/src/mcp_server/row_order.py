"""Rows in the order of a number, in a file that is mapped into memory: eight bytes a row."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mcp_server.columns import Rows

Numbers = NDArray[np.uint64]

CHUNK_ROWS: Final = 1 << 18


def mapped(file: Path, kind: type[np.generic], mode: Literal["r", "r+"] = "r") -> NDArray[Any]:
    """The array that a file has; with `r+` what changes in it changes in the file."""
    return np.asarray(np.memmap(file, kind, mode)) if file.stat().st_size else np.empty(0, kind)


class RowOrder:
    """Entries of a number's higher bits above and the row below: so the rows of one number are in their order.

    How many bits the row has depends on how many rows there are; the number's lower ones are lost.
    """

    def __init__(self, file: Path, row_count: int) -> None:
        """Open what was written for a table of so many rows."""
        self._entries: Numbers = mapped(file, np.uint64)
        self._row = _row_mask(row_count)

    def spans(self, first: Numbers, last: Numbers) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For each pair of numbers the places of the entries from the one to the other, both included."""
        starts = self._entries.searchsorted(first & ~self._row, "left")
        return starts, self._entries.searchsorted(last | self._row, "right")

    def rows(self, places: NDArray[np.intp] | slice) -> Rows:
        """The rows at some places."""
        return (self._entries[places] & self._row).astype(np.int64)

    def numbers(self, places: slice) -> Numbers:
        """The higher bits of the numbers at some places."""
        return self._entries[places] & ~self._row

    def repeated(self) -> Iterator[NDArray[np.intp]]:
        """Places of entries with the number of the entry before, in order."""
        for start in range(1, len(self._entries), CHUNK_ROWS):
            numbers = self._entries[start - 1 : start + CHUNK_ROWS] & ~self._row
            yield np.flatnonzero(numbers[1:] == numbers[:-1]) + start


class RowOrderWriter:
    """Writes the file, from rows that come in any order.

    They are sorted within the file, so that the kernel can take back the memory, however many they are.
    """

    def __init__(self, file: Path, row_count: int) -> None:
        """Begin a file for a table of so many rows."""
        self._file = file
        self._row = _row_mask(row_count)
        self._sink = file.open("wb")

    def add(self, numbers: Numbers, rows: Rows) -> None:
        """Add rows with their numbers."""
        self._sink.write(((numbers & ~self._row) | rows.astype(np.uint64)).tobytes())

    def sort(self) -> None:
        """End adding."""
        self._sink.close()
        mapped(self._file, np.uint64, "r+").sort()

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Leave out entries of rows that are not `kept`, after the sort."""
        entries, end = mapped(self._file, np.uint64, "r+"), 0
        for start in range(0, len(entries), CHUNK_ROWS):
            part = entries[start : start + CHUNK_ROWS]
            left = part[kept[part & self._row]]
            entries[end : end + len(left)] = left
            end += len(left)
        os.truncate(self._file, end * entries.itemsize)


def _row_mask(row_count: int) -> np.uint64:
    return np.uint64((1 << max(1, (row_count - 1).bit_length())) - 1)

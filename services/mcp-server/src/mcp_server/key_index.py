"""Rows by the text of their key, in files that are mapped into memory: some ten bytes a row."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from common.keys import key_text, number_text, other_text
from mcp_server.columns import SLICE_ROWS, Rows, Values
from mcp_server.row_order import Numbers, RowOrder, RowOrderWriter, mapped

NOT_FOUND: Final = -1

_WHOLE_NUMBERS: Final = ("int", "uint")
_NUMBERS: Final = ("float", "double", "halffloat", "decimal")
"""How the names of Arrow's types start whose values can be written in more than one way."""

_SERVED: Final = "served"
_BY_TEXT: Final = "by-text"
_BY_OTHER_TEXT: Final = "by-other-text"


class _Keys:
    """The texts of a column's keys."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._numeric = values.type.startswith((*_WHOLE_NUMBERS, *_NUMBERS))
        # 1.10 and 1.1 are one key of a column of numbers.
        self._text: Callable[[Any], str] = _number_text if values.type.startswith(_NUMBERS) else key_text

    def at(self, rows: Rows) -> list[str]:
        """The texts of some rows' keys; an empty one is no key."""
        return [self._text(value) for value in self._values.at(rows)]

    def slices(self) -> Iterator[list[str]]:
        """The texts of all rows' keys, some thousands at a time."""
        for values in self._values.slices():
            yield [self._text(value) for value in values]

    def other(self, text: str) -> str:
        """The text to try where no key is written like this one."""
        return other_text(text, numeric=self._numeric)

    def has_other(self, text: str) -> bool:
        """Whether a key with this text is also found by another one."""
        return not self._numeric and text.endswith("0") and self.other(text) != text


class KeyIndex:
    """The rows that are served: the first one of each key, and none without a key."""

    def __init__(self, folder: Path, keys: Values, row_count: int) -> None:
        """Open what `build` wrote for this column."""
        self._keys = _Keys(keys)
        self._served: NDArray[np.bool_] = mapped(folder / _SERVED, np.bool_)
        self._by_text = RowOrder(folder / _BY_TEXT, row_count)
        self._by_other_text = RowOrder(folder / _BY_OTHER_TEXT, row_count)

    def keys_of(self, rows: Rows) -> list[str]:
        """The keys of some rows."""
        return self._keys.at(rows)

    def with_keys(self) -> Iterator[tuple[Rows, list[str]]]:
        """The rows that are served with their keys, some thousands at a time."""
        for start in range(0, len(self._served), SLICE_ROWS):
            rows = np.flatnonzero(self._served[start : start + SLICE_ROWS]) + start
            yield rows, self._keys.at(rows)

    def find(self, texts: Sequence[str]) -> list[int]:
        """For each text the row whose key is written like it, or else is the same number; `NOT_FOUND` for none."""
        found = [rows[0] if rows else NOT_FOUND for rows in self._found(texts, self._by_text, str)]
        if left := [place for place, row in enumerate(found) if row == NOT_FOUND]:
            others = [self._keys.other(texts[place]) for place in left]
            written = self._found(others, self._by_text, str)
            same_numbers = self._found(others, self._by_other_text, self._keys.other)
            for place, rows, same in zip(left, written, same_numbers, strict=True):
                if rows:
                    found[place] = rows[0]
                elif len(same) == 1:
                    # Two keys that are one number are found only as they are written.
                    found[place] = same[0]
        return found

    def _found(self, texts: Sequence[str], index: RowOrder, written: Callable[[str], str]) -> list[list[int]]:
        """For each text the rows of which `written` of the key is that text."""
        hashes = _hashes(texts)
        # A search for the next higher number begins where the last one ended.
        order = np.argsort(hashes)
        starts, ends = index.spans(hashes[order], hashes[order])
        lengths = ends - starts
        before = np.cumsum(lengths) - lengths
        rows = index.rows(np.repeat(starts - before, lengths) + np.arange(lengths.sum()))
        found: list[list[int]] = [[] for _ in texts]
        places = np.repeat(order, lengths).tolist()
        for place, row, key in zip(places, rows.tolist(), self._keys.at(rows), strict=True):
            if written(key) == texts[place]:
                found[place].append(row)
        return found


def build(folder: Path, values: Values, row_count: int) -> tuple[int, int]:
    """Index the keys of a table of so many rows.

    Returns:
        How many rows have no key, and how many have the key of an earlier row.
    """
    keys = _Keys(values)
    by_text = RowOrderWriter(folder / _BY_TEXT, row_count)
    by_other_text = RowOrderWriter(folder / _BY_OTHER_TEXT, row_count)
    start = 0
    with (folder / _SERVED).open("wb") as sink:
        for texts in keys.slices():
            rows = np.arange(start, start + len(texts))
            start += len(texts)
            has_key = np.fromiter(map(bool, texts), np.bool_, len(texts))
            sink.write(has_key.tobytes())
            by_text.add(_hashes(texts)[has_key], rows[has_key])
            others = {
                row: keys.other(text) for row, text in zip(rows.tolist(), texts, strict=True) if keys.has_other(text)
            }
            by_other_text.add(_hashes(list(others.values())), np.array(list(others), np.int64))
    by_text.sort()
    by_other_text.sort()
    served = mapped(folder / _SERVED, np.bool_, "r+")
    blank = row_count - int(np.count_nonzero(served))
    for repeating in _repeating(RowOrder(folder / _BY_TEXT, row_count), keys):
        served[repeating] = False
    duplicates = row_count - blank - int(np.count_nonzero(served))
    if duplicates:
        by_text.keep(served)
        by_other_text.keep(served)
    return blank, duplicates


def _repeating(index: RowOrder, keys: _Keys) -> Iterator[list[int]]:
    """The rows that have the key of an earlier row, some thousands at a time."""
    known: set[str] = set()
    last = NOT_FOUND
    for alike in index.repeated():
        for start in range(0, len(alike), SLICE_ROWS):
            places = alike[start : start + SLICE_ROWS]
            rows = index.rows(places)
            found = []
            texts = zip(keys.at(rows), keys.at(index.rows(places - 1)), strict=True)
            for place, row, (text, before) in zip(places.tolist(), rows.tolist(), texts, strict=True):
                if place != last + 1:
                    known = {before}
                last = place
                if text in known:
                    found.append(row)
                known.add(text)
            yield found


def _number_text(value: Any) -> str:
    text = key_text(value)
    return number_text(text) or text


def _hashes(texts: Sequence[str]) -> Numbers:
    """The same in each process and at all times, because files have them."""
    return np.fromiter(
        (xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) for text in texts), np.uint64, len(texts)
    )

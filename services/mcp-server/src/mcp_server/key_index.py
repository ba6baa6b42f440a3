"""Rows by the text of their key, in arrays: sixteen bytes a row, and the texts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from common.keys import number_text, other_text
from mcp_server.columns import SLICE_ROWS, Rows, Values
from mcp_server.hash_index import HashIndex, hashes_of

NOT_FOUND: Final = -1


class KeyIndex:
    """The rows that are served: the first one of each key, and none without a key.

    Attributes:
        served: Those rows, in the order of the object.
        blank_keys: Rows without a key.
        duplicate_keys: Rows whose key an earlier row has.
    """

    def __init__(self, texts: Iterable[Sequence[str]], *, numeric: bool) -> None:
        """Index the texts of all rows' keys, which come some thousands at a time; an empty text is no key.

        Args:
            numeric: The column is one of numbers, so that `1.10` and `1.1` are one key.
        """
        self._numeric = numeric
        kept, hashes = [pa.array([], pa.large_string())], [hashes_of(())]
        for some in texts:
            written = [number_text(text) or text for text in some] if numeric else some
            kept.append(pa.array(written, pa.large_string()))
            hashes.append(hashes_of(written))
        self._texts = Values(pa.chunked_array([pa.concat_arrays(kept)]))
        every = np.concatenate(hashes)
        rows = np.flatnonzero(every != hash(""))
        every_key = HashIndex(every[rows], rows)
        repeated = self._repeated(every_key)
        self.blank_keys = len(every) - len(rows)
        self.duplicate_keys = int(np.count_nonzero(repeated))
        self._first = every_key.only(~repeated)
        self.served: Rows = np.sort(self._first.rows)
        self._by_other = self._other_texts()

    def with_keys(self) -> Iterator[tuple[Rows, list[str]]]:
        """The rows that are served with their keys, some thousands at a time."""
        for start in range(0, len(self.served), SLICE_ROWS):
            rows = self.served[start : start + SLICE_ROWS]
            yield rows, self._texts.at(rows)

    def find(self, texts: Sequence[str]) -> list[int]:
        """For each text the row whose key is written like it, or else is the same number; `NOT_FOUND` for none."""
        found = self._found(texts, self._first, lambda key: key)
        for index, written in ((self._first, lambda key: key), (self._by_other, self._other)):
            left = [place for place, row in enumerate(found) if row == NOT_FOUND]
            others = [self._other(texts[place]) for place in left]
            for place, row in zip(left, self._found(others, index, written), strict=True):
                found[place] = row
        return found

    def _other(self, text: str) -> str:
        return other_text(text, numeric=self._numeric)

    def _found(self, texts: Sequence[str], index: HashIndex, written: Callable[[str], str]) -> list[int]:
        """For each text the first row of which `written` of the key is that text."""
        starts, ends = index.spans(texts)
        found = [NOT_FOUND] * len(texts)
        for step in range(int((ends - starts).max(initial=0))):
            # Texts with the same hash are next to one another; there is more than one step only where that happens.
            places = np.flatnonzero(ends - starts > step)
            candidates = index.rows[starts[places] + step]
            for place, row, key in zip(places.tolist(), candidates.tolist(), self._texts.at(candidates), strict=True):
                if found[place] == NOT_FOUND and written(key) == texts[place]:
                    found[place] = row
        return found

    def _repeated(self, index: HashIndex) -> NDArray[np.bool_]:
        """Which of the index's rows have the key of the row before."""
        repeated = np.zeros(len(index.rows), np.bool_)
        alike = np.flatnonzero(index.hashes[1:] == index.hashes[:-1]) + 1
        for start in range(0, len(alike), SLICE_ROWS):
            places = alike[start : start + SLICE_ROWS]
            here, before = self._texts.at(index.rows[places]), self._texts.at(index.rows[places - 1])
            repeated[places] = [one == other for one, other in zip(here, before, strict=True)]
        return repeated

    def _other_texts(self) -> HashIndex:
        """Rows by the other text of their key, where it is that of one key alone."""
        hashes = [hashes_of(())]
        found: list[Rows] = [np.empty(0, np.int64)]
        if not self._numeric:
            for rows, keys in self.with_keys():
                others = {
                    place: other
                    for place, key in enumerate(keys)
                    if key.endswith("0") and (other := self._other(key)) != key
                }
                hashes.append(hashes_of(list(others.values())))
                found.append(rows[list(others)])
        every, all_rows = np.concatenate(hashes), np.concatenate(found)
        _, places, counts = np.unique(every, return_index=True, return_counts=True)
        alone = places[counts == 1]
        return HashIndex(every[alone], all_rows[alone])

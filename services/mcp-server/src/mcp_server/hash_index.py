"""Rows by the hash of a text, in arrays: twelve to sixteen bytes a row.

Different texts can have the same hash, so what is found here is compared with the text itself by whoever asks.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mcp_server.columns import Rows

MOST_ROWS: Final = 8
"""Rows of one hash that `few` gives: where there are more, the text says nothing."""

Hashes = NDArray[np.int64]


def hashes_of(texts: Sequence[str]) -> Hashes:
    """The hashes of some texts, the same as long as the process lives."""
    return np.fromiter(map(hash, texts), np.int64, len(texts))


class HashIndex:
    """Rows in the order of their hashes, and as they came where hashes are the same.

    Attributes:
        hashes: In ascending order.
        rows: The row of each hash.
    """

    def __init__(self, hashes: Hashes, rows: Rows) -> None:
        """Index rows by their hashes, which come in any order."""
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.rows = hashes[order], rows[order]

    @classmethod
    def of(cls, texts: Iterable[tuple[str, int]]) -> "HashIndex":
        """Index pairs of a text and its row; empty texts are left out."""
        pairs = np.fromiter(
            ((hash(text), row) for text, row in texts if text), np.dtype([("hash", np.int64), ("row", np.uint32)])
        )
        return cls(pairs["hash"], pairs["row"])

    def only(self, kept: NDArray[np.bool_]) -> "HashIndex":
        """The index of those rows that are kept, given in the order of `rows`."""
        return HashIndex(self.hashes[kept], self.rows[kept])

    def spans(self, texts: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """For each text, where in `rows` those with its hash begin and end."""
        hashes = hashes_of(texts)
        return self.hashes.searchsorted(hashes, "left"), self.hashes.searchsorted(hashes, "right")

    def few(self, texts: Sequence[str]) -> list[Sequence[int]]:
        """For each text the rows that may have it; none for an empty text, or where there are over `MOST_ROWS`."""
        starts, ends = self.spans(texts)
        found: list[Sequence[int]] = [()] * len(texts)
        for place in np.flatnonzero((ends > starts) & (ends - starts <= MOST_ROWS)).tolist():
            if texts[place]:
                found[place] = self.rows[starts[place] : ends[place]].tolist()
        return found

    def holds(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """Positions of those texts that may be here."""
        if not len(self.hashes):
            return np.empty(0, np.intp)
        hashes = hashes_of(texts)
        places = np.minimum(self.hashes.searchsorted(hashes, "left"), len(self.hashes) - 1)
        return np.flatnonzero(self.hashes[places] == hashes)

"""Counts what became of the cells of one mapping, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from application.engine.core.model import Limits
from application.engine.core.report import UnmatchedKey

_LISTED_LENGTH = 1_000
"""Characters of a key that a report repeats: what is longer is a text in a column of keys."""


class Tally:
    """Matched, unmatched and empty cells, and the distinct keys that had no match."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.matched = 0
        self.unmatched = 0
        self.empty = 0
        self.distinct_is_exact = True
        self._distinct: set[str] = set()
        self._sample: list[UnmatchedKey] = []

    @property
    def distinct(self) -> int:
        """Different unmatched keys; a lower bound unless ``distinct_is_exact``."""
        return len(self._distinct)

    @property
    def sample(self) -> tuple[UnmatchedKey, ...]:
        """The first unmatched keys, with the row in which each was first seen."""
        return tuple(self._sample)

    def count(
        self, found: npt.NDArray[np.int64], matched: npt.NDArray[np.bool_], keys: pa.Array, numbers: Sequence[int]
    ) -> None:
        """Count one block: ``found`` are entries of ``matched`` and ``keys``, of which entry 0 is the empty key."""
        hits = int(np.count_nonzero(matched[found]))
        empty = int(np.count_nonzero(found == 0))
        self.matched += hits
        self.empty += empty
        self.unmatched += len(found) - hits - empty
        if len(found) > hits + empty and self.distinct_is_exact:
            self._note(found, matched, keys, numbers)

    def _note(
        self, found: npt.NDArray[np.int64], matched: npt.NDArray[np.bool_], keys: pa.Array, numbers: Sequence[int]
    ) -> None:
        entries, firsts = np.unique(found, return_index=True)
        missed = ~matched[entries] & (entries != 0)
        order = np.argsort(firsts[missed], kind="stable")
        rows = firsts[missed][order]
        for key, row in zip(keys.take(pa.array(entries[missed][order])).to_pylist(), rows.tolist(), strict=True):
            if key in self._distinct:
                continue
            if len(self._distinct) >= self._limits.unmatched_distinct:
                self.distinct_is_exact = False
                return
            self._distinct.add(key)
            if len(self._sample) < self._limits.unmatched_sample:
                self._sample.append(UnmatchedKey(key=key[:_LISTED_LENGTH], row=numbers[row]))

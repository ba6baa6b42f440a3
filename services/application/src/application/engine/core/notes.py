"""What is written beside an identifier: the department, and what it knows, for people to read.

The first mention tells all: ``V-00001 [finance: name Acme GmbH; country DE]``. Later ones tell what is first among it:
``V-00001 [finance: Acme GmbH]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import pyarrow as pa

from application.engine.core.cells import text_of
from application.engine.core.head import check_mapping
from application.engine.core.identifiers import Finder, Found
from application.engine.core.join import Joiner, Rows, clean_keys
from application.engine.core.model import DOCUMENT_COLUMN, ColumnMapping
from application.engine.core.run import Run

_BATCH = 1 << 14
_LONGEST_VALUE = 120
_UNMATCHED = b""


@dataclass(frozen=True, slots=True)
class Note:
    """What one data set knows about one identifier; ``first`` tells whether it is the first mention."""

    entry: ColumnMapping
    pairs: tuple[tuple[str, str], ...]
    first: bool

    @property
    def text(self) -> str:
        """``[finance: name Acme GmbH; country DE]``, or less where it has been said."""
        if not self.pairs:
            return f"[{self.entry.dataset.ref.department}]"
        said = self.details if self.first else self.pairs[0][1]
        return f"[{self.entry.dataset.ref.department}: {said}]"

    @property
    def details(self) -> str:
        """``name Acme GmbH; country DE``."""
        return "; ".join(f"{label} {value}" for label, value in self.pairs)


class Annotator:
    """Looks up the identifiers of a document and tells the notes for each."""

    def __init__(self, run: Run, joiner: Joiner) -> None:
        self.finder = Finder([entry.dataset for entry in run.mapping])
        self._run = run
        self._joiner = joiner
        self._seen: set[tuple[int, str]] = set()

    def notes(self, found: Sequence[Found], places: Sequence[int]) -> list[list[Note]]:
        """The notes for each identifier; ``places`` are where each stands (a line, a page), for the report."""
        notes: list[list[Note]] = []
        for at in range(0, len(found), _BATCH):
            batch = found[at : at + _BATCH]
            keys = [
                clean_keys(pa.array([item.key if index in item.fits else None for item in batch], pa.string()))
                for index in range(len(self._run.mapping))
            ]
            parts = [part.to_pylist() for part in self._joiner.join(keys, places[at : at + _BATCH])]
            notes += [self._of(item, [part[row] for part in parts]) for row, item in enumerate(batch)]
        # An identifier is asked of the data sets that it fits; to the others it is not an empty cell.
        for tally in self._joiner.tallies:
            tally.empty = 0
        return notes

    def _of(self, item: Found, rendered: Sequence[bytes]) -> list[Note]:
        notes = []
        for index, (entry, data) in enumerate(zip(self._run.mapping, rendered, strict=True)):
            if data == _UNMATCHED:
                continue
            first = (index, item.key) not in self._seen
            if len(self._seen) < self._run.limits.unmatched_distinct:
                self._seen.add((index, item.key))
            notes.append(Note(entry, tuple((label, value) for label, value in orjson.loads(data)), first))
        return notes


def annotating(run: Run) -> Joiner:
    """The join of a document's run. Raises ``InputError`` for a mapping of anything but its text."""
    check_mapping((DOCUMENT_COLUMN,), run.mapping)
    return run.joiner_for(_render)


def _render(entry: ColumnMapping, rows: Rows) -> pa.Array:
    """Labels and values as JSON, without those that say nothing."""
    labels = [_plain(column.name.replace("_", " ")) for column in entry.columns]
    return pa.array(
        [
            _UNMATCHED
            if row is None
            else orjson.dumps(
                [(label, text) for label, value in zip(labels, row, strict=True) if (text := _plain(text_of(value)))]
            )
            for row in rows
        ],
        pa.large_binary(),
    )


def _plain(text: str) -> str:
    """``text`` on one line, without control characters, cut where it is long."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3].rstrip() + "..."

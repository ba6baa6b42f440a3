"""A data set on disk, in columns: found by key, searched by text, never changed once built."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from common.departments import Dataset
from common.keys import key_text
from mcp_server import table_file
from mcp_server.building import MANIFEST, TABLE, Manifest, check_columns
from mcp_server.columns import Column
from mcp_server.encoded_rows import EncodedRows
from mcp_server.errors import ToolError
from mcp_server.key_index import NOT_FOUND, KeyIndex
from mcp_server.row_order import RowOrder, RowOrderWriter
from mcp_server.text_index import TextIndex

ENCODED_ROWS = EncodedRows(64 << 20)
"""Of all tables together."""

MOST_SEARCHED_ROWS = 250_000
"""An index of texts takes up to a kilobyte a row of memory, twice while a new version is prepared."""

DAY_SHIFT = np.uint64(40)
"""The bits below a day: enough for the rows of any table."""


class DataTable:
    """One version of a data set.

    Attributes:
        folder: Where it is.
        version: The object's ETag.
        loaded_at: Seconds since the epoch.
        row_count: Rows that can be found.
        columns: All of them, the key first.
        duplicate_keys: Rows that are not served, because an earlier row has their key.
        blank_keys: Rows that are not served, because they have no key.
    """

    def __init__(self, spec: Dataset, folder: Path) -> None:
        """Open what `build` put into a folder.

        Raises:
            BrokenObject: It lacks a column that the Department names.
        """
        self._values = table_file.read(folder / TABLE)
        check_columns(spec, self._values)
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        self.spec = spec
        self.folder = folder
        self.version, self.loaded_at = manifest.version, manifest.loaded_at
        self.blank_keys, self.duplicate_keys = manifest.blank_keys, manifest.duplicate_keys
        self.row_count = manifest.row_count - manifest.blank_keys - manifest.duplicate_keys
        others = [name for name in self._values if name != spec.key]
        self.columns = tuple(Column(name, self._values[name].type) for name in (spec.key, *others))
        self._all_rows = manifest.row_count
        self._rows = KeyIndex(folder, self._values[spec.key], manifest.row_count)
        self._indexes: dict[tuple[tuple[str, ...], bool], TextIndex] = {}
        self._dates: dict[str, RowOrder] = {}
        self._making = threading.Lock()
        self._identity = object()

    @property
    def keys(self) -> Iterator[str]:
        """All keys, in the order of the object."""
        return (key for _, keys in self._rows.with_keys() for key in keys)

    @property
    def searchable(self) -> bool:
        """Whether its texts can be searched."""
        return self.row_count <= MOST_SEARCHED_ROWS

    def fits(self, spec: Dataset) -> bool:
        """Whether this table is what `spec` describes, so that it can be served by the rules of `spec`."""
        named = {*spec.search, *spec.restricted_columns}
        same_data = (self.spec.object, self.spec.key) == (spec.object, spec.key)
        return same_data and named <= {column.name for column in self.columns}

    def row(self, key: object, columns: Sequence[str]) -> dict[str, Any] | None:
        """The values of one key's row, or None."""
        return self.rows([key_text(key)], columns)[0]

    def rows(self, keys: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any] | None]:
        """The values of each key's row, in the order of the keys; None for a key that is not there."""
        found = self._rows.find(keys)
        values = self._at([row for row in found if row != NOT_FOUND], columns)
        return [None if row == NOT_FOUND else next(values) for row in found]

    def lookup(self, keys: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """For each key, in their order: `{"key", "matched": true, "values"}` or `{"key", "matched": false}`.

        The values are a JSON object that is encoded already, and kept, because many callers look up the same rows.
        """
        choice = (self._identity, tuple(columns))
        known = ENCODED_ROWS.of(choice)
        texts = [key.strip() for key in keys]
        encoded = [known.get(text) for text in texts]
        if new := list({text: None for text, one in zip(texts, encoded, strict=True) if one is None}):
            fragments = ENCODED_ROWS.add(choice, self._found(new, columns))
            encoded = [fragments.get(text) if one is None else one for text, one in zip(texts, encoded, strict=True)]
        return [
            {"key": key, "matched": False} if values is None else {"key": key, "matched": True, "values": values}
            for key, values in zip(keys, encoded, strict=True)
        ]

    def _found(self, texts: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Those keys that are there, with the values of their rows."""
        found = [(text, row) for text, row in zip(texts, self._rows.find(texts), strict=True) if row != NOT_FOUND]
        values = self._at([row for _, row in found], columns)
        return ((text, each) for (text, _), each in zip(found, values, strict=True))

    def _at(self, rows: Sequence[int], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        if not columns:
            return repeat({}, len(rows))
        places = np.array(rows, np.int64)
        values = (self._values[name].at(places) for name in columns)
        return (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))

    def dated(self, column: str, first: date, last: date, limit: int) -> tuple[int, list[tuple[date, str]]]:
        """The keys of the rows whose date in a column is within two dates, by date: how many there are, and the first.

        A value that is no ISO 8601 date is in none. The first call sorts the column, so call it from a thread.
        """
        with self._making:
            if column not in self._dates:
                self._dates[column] = self._by_date(column)
        order = self._dates[column]
        days = np.array([[first.toordinal()], [last.toordinal()]], np.uint64) << DAY_SHIFT
        (start,), (end,) = order.spans(*days)
        places = slice(int(start), min(int(end), int(start) + limit))
        ordinals = (order.numbers(places) >> DAY_SHIFT).tolist()
        keys = self._rows.keys_of(order.rows(places))
        return int(end - start), [(date.fromordinal(day), key) for day, key in zip(ordinals, keys, strict=True)]

    def _by_date(self, column: str) -> RowOrder:
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            writer = RowOrderWriter(Path(file.name), self._all_rows)
            for rows, _ in self._rows.with_keys():
                days = np.fromiter(map(_day, self._values[column].at(rows)), np.uint64, len(rows))
                writer.add(days[days > 0] << DAY_SHIFT, rows[days > 0])
            writer.sort()
            return RowOrder(Path(file.name), self._all_rows)

    def text_index(self, columns: Sequence[str], *, passages: bool = False) -> TextIndex:
        """The index that a search over `columns` uses. The first call for a choice makes it, so call it from a thread.

        Args:
            columns: Only these count, and so only these can have an influence on what is found.
            passages: Each sentence is an entry of its own, rather than the whole text.

        Raises:
            ToolError: There are too many rows.
        """
        if not self.searchable:
            raise ToolError(
                f"{self.spec.name} has {self.row_count:,} rows, and at most {MOST_SEARCHED_ROWS:,} can be searched: "
                f"look rows up by {self.spec.key}"
            )
        choice = (tuple(columns), passages)
        if choice not in self._indexes:
            # One thread makes it; others that need it wait.
            with self._making:
                if choice not in self._indexes:
                    self._indexes[choice] = self._make_index(columns, passages=passages)
        return self._indexes[choice]

    def _make_index(self, columns: Sequence[str], *, passages: bool) -> TextIndex:
        texts = (
            (key, [str(value) for value in values if value is not None])
            for rows, keys in self._rows.with_keys()
            for key, *values in zip(keys, *(self._values[name].at(rows) for name in columns), strict=True)
        )
        return TextIndex.of_passages(texts) if passages else TextIndex.of_lines(texts)

    def prepare(self) -> None:
        """Make the indexes of the data set's own search, with and without restricted columns."""
        if not self.searchable:
            return
        for hidden in (frozenset(self.spec.restricted_columns), frozenset[str]()):
            if columns := [name for name in self.spec.search if name not in hidden]:
                self.text_index(columns)

    def prepare_like(self, older: "DataTable") -> None:
        """Make the indexes that the older version has, so that the first search of the new one does not wait."""
        if not self.searchable:
            return
        for columns, passages in older.indexed:
            self.text_index(columns, passages=passages)

    @property
    def indexed(self) -> list[tuple[tuple[str, ...], bool]]:
        """Which indexes were made: their columns, and whether of passages."""
        return list(self._indexes)


def _day(value: object) -> int:
    """The ordinal of a date; 0 for what is none."""
    try:
        return date.fromisoformat(str(value).strip()[:10]).toordinal()
    except ValueError:
        return 0

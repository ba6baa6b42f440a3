"""A data set in memory: found by key, searched by text, never changed once made."""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from common.departments import Dataset
from mcp_server.errors import BrokenObject
from mcp_server.loading import Table, load_table
from mcp_server.text_index import TextIndex

MAX_ENCODED_ROWS = 100_000
"""Rows that are kept as JSON for one choice of columns: some 200 bytes each."""

MAX_ENCODED_CHOICES = 4


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and its Arrow type's name."""

    name: str
    type: str


class DataTable:
    """One version of a data set.

    Attributes:
        version: The object's ETag.
        loaded_at: Seconds since the epoch.
        columns: All of them, the key first.
        duplicate_keys: Rows that are not served, because an earlier row has their key.
        blank_keys: Rows that are not served, because they have no key.
    """

    def __init__(self, spec: Dataset, version: str, table: Table) -> None:
        """Index `table` by the data set's key.

        Raises:
            BrokenObject: A column that the Department names is not there, or no row has a key.
        """
        _check_columns(spec, table)
        self.spec = spec
        self.version = version
        self.loaded_at = time.time()
        others = [name for name in table.types if name != spec.key]
        self.columns = tuple(Column(name, table.types[name]) for name in (spec.key, *others))
        self._values = table.values
        self._rows: dict[str, int] = {}
        self.blank_keys = 0
        for row, value in enumerate(table.values[spec.key]):
            if key := key_text(value):
                self._rows.setdefault(key, row)
            else:
                self.blank_keys += 1
        self.duplicate_keys = table.row_count - self.blank_keys - len(self._rows)
        if not self._rows:
            raise BrokenObject(f"{spec.object} has no row with a key in {spec.key}")
        self._indexes: dict[tuple[tuple[str, ...], bool], TextIndex] = {}
        self._dates: dict[str, list[tuple[date, str]]] = {}
        self._making = threading.Lock()
        self._encoded: dict[tuple[str, ...], dict[int, orjson.Fragment]] = {}

    @classmethod
    def load(cls, spec: Dataset, version: str, data: bytes) -> "DataTable":
        """Read an object's bytes; raises `BrokenObject`."""
        return cls(spec, version, load_table(spec.object, data))

    @property
    def row_count(self) -> int:
        """Rows that can be found."""
        return len(self._rows)

    @property
    def keys(self) -> Iterable[str]:
        """All keys, in the order of the object."""
        return self._rows.keys()

    def fits(self, spec: Dataset) -> bool:
        """Whether this table is what `spec` describes, so that it can be served by the rules of `spec`."""
        named = {*spec.search, *spec.restricted_columns}
        same_data = (self.spec.object, self.spec.key) == (spec.object, spec.key)
        return same_data and named <= {column.name for column in self.columns}

    def row(self, key: object, columns: Sequence[str]) -> dict[str, Any] | None:
        """The values of one key's row, or None."""
        row = self._rows.get(key_text(key))
        return None if row is None else {name: self._values[name][row] for name in columns}

    def lookup(self, keys: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """For each key, in their order: `{"key", "matched": true, "values"}` or `{"key", "matched": false}`.

        The values are a JSON object that is encoded already, and kept, because many callers look up the same rows.
        """
        rows, known = self._rows, self._encoded_rows(tuple(columns))
        values = [(name, self._values[name]) for name in columns]
        answer: list[dict[str, Any]] = []
        for key in keys:
            row = rows.get(key.strip())
            if row is None:
                answer.append({"key": key, "matched": False})
                continue
            if (encoded := known.get(row)) is None:
                encoded = orjson.Fragment(orjson.dumps({name: column[row] for name, column in values}))
                if len(known) < MAX_ENCODED_ROWS:
                    known[row] = encoded
            answer.append({"key": key, "matched": True, "values": encoded})
        return answer

    def _encoded_rows(self, columns: tuple[str, ...]) -> dict[int, orjson.Fragment]:
        known = self._encoded.pop(columns, None)
        self._encoded[columns] = known = {} if known is None else known
        while len(self._encoded) > MAX_ENCODED_CHOICES:
            del self._encoded[next(iter(self._encoded))]
        return known

    def dates(self, column: str) -> list[tuple[date, str]]:
        """The dates of one column with their keys, in order; values that are no ISO 8601 date are left out.

        The first call sorts the column, so call it from a thread.
        """
        if column not in self._dates:
            with self._making:
                values = self._values[column]
                found = ((_date(values[row]), key) for key, row in self._rows.items())
                self._dates[column] = sorted((day, key) for day, key in found if day is not None)
        return self._dates[column]

    def text_index(self, columns: Sequence[str], *, passages: bool = False) -> TextIndex:
        """The index that a search over `columns` uses. The first call for a choice makes it, so call it from a thread.

        Args:
            columns: Only these count, and so only these can have an influence on what is found.
            passages: Each sentence is an entry of its own, rather than the whole text.
        """
        choice = (tuple(columns), passages)
        if choice not in self._indexes:
            # One thread makes it; others that need it wait.
            with self._making:
                if choice not in self._indexes:
                    self._indexes[choice] = self._make_index(columns, passages=passages)
        return self._indexes[choice]

    def _make_index(self, columns: Sequence[str], *, passages: bool) -> TextIndex:
        texts = (
            (key, [str(value) for name in columns if (value := self._values[name][row]) is not None])
            for key, row in self._rows.items()
        )
        return TextIndex.of_passages(texts) if passages else TextIndex.of_lines(texts)

    def prepare(self) -> None:
        """Make the indexes of the data set's own search, with and without restricted columns."""
        for hidden in (frozenset(self.spec.restricted_columns), frozenset[str]()):
            if columns := [name for name in self.spec.search if name not in hidden]:
                self.text_index(columns)

    def prepare_like(self, older: "DataTable") -> None:
        """Make the indexes that the older version has, so that the first search of the new one does not wait."""
        for columns, passages in older.indexed:
            self.text_index(columns, passages=passages)

    @property
    def indexed(self) -> list[tuple[tuple[str, ...], bool]]:
        """Which indexes were made: their columns, and whether of passages."""
        return list(self._indexes)


def key_text(value: object) -> str:
    """A key as text: JSON has no integers, so a key column of numbers may come with a fraction of zero."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        return None


def _check_columns(spec: Dataset, table: Table) -> None:
    missing = [name for name in (spec.key, *spec.search) if name not in table.types]
    public = [name for name in missing if name not in spec.restricted_columns]
    if public:
        raise BrokenObject(f"{spec.object} lacks the column {', '.join(public)}")
    if missing or not set(spec.restricted_columns) <= table.types.keys():
        # The message is for everyone who may use the department; the names of restricted columns are not.
        raise BrokenObject(f"{spec.object} lacks a column that is named in restrictedColumns")

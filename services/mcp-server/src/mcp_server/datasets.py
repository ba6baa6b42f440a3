"""A data set in memory, in columns: found by key, searched by text, never changed once made."""

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import repeat
from typing import Any

import numpy as np
import orjson

from common.departments import Dataset
from common.keys import key_text
from mcp_server.columns import Column
from mcp_server.errors import BrokenObject
from mcp_server.key_index import NOT_FOUND, KeyIndex
from mcp_server.loading import Table, load_table
from mcp_server.text_index import TextIndex

MAX_ENCODED_ROWS = 100_000
"""Rows that are kept as JSON for one choice of columns: some 200 bytes each."""

MAX_ENCODED_CHOICES = 4

NUMBERS = ("int", "uint", "float", "double", "halffloat", "decimal")
"""How the names of Arrow's types of numbers start."""


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
        self._values = table.columns
        others = [name for name in table.columns if name != spec.key]
        self.columns = tuple(Column(name, table.columns[name].type) for name in (spec.key, *others))
        keys = table.columns[spec.key]
        self._rows = KeyIndex(
            ([key_text(value) for value in values] for values in keys.slices()),
            numeric=keys.type.startswith(NUMBERS),
        )
        self.blank_keys, self.duplicate_keys = self._rows.blank_keys, self._rows.duplicate_keys
        if not self.row_count:
            raise BrokenObject(f"{spec.object} has no row with a key in {spec.key}")
        self._indexes: dict[tuple[tuple[str, ...], bool], TextIndex] = {}
        self._dates: dict[str, list[tuple[date, str]]] = {}
        self._making = threading.Lock()
        self._choices: dict[tuple[str, ...], dict[str, orjson.Fragment]] = {}

    @classmethod
    def load(cls, spec: Dataset, version: str, data: bytes) -> "DataTable":
        """Read an object's bytes; raises `BrokenObject`."""
        return cls(spec, version, load_table(spec.object, data))

    @property
    def row_count(self) -> int:
        """Rows that can be found."""
        return len(self._rows.served)

    @property
    def keys(self) -> Iterator[str]:
        """All keys, in the order of the object."""
        return (key for _, keys in self._rows.with_keys() for key in keys)

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
        known = self._encoded_rows(tuple(columns))
        texts = [key.strip() for key in keys]
        encoded = [known.get(text) for text in texts]
        if new := list({text: None for text, one in zip(texts, encoded, strict=True) if one is None}):
            fragments = self._encoded(new, columns)
            encoded = [fragments.get(text) if one is None else one for text, one in zip(texts, encoded, strict=True)]
            if len(known) + len(fragments) > MAX_ENCODED_ROWS:
                known.clear()
            known.update(fragments)
        return [
            {"key": key, "matched": False} if values is None else {"key": key, "matched": True, "values": values}
            for key, values in zip(keys, encoded, strict=True)
        ]

    def _encoded(self, texts: Sequence[str], columns: Sequence[str]) -> dict[str, orjson.Fragment]:
        """The values of those keys that are there, each as one JSON object."""
        found = [(text, row) for text, row in zip(texts, self._rows.find(texts), strict=True) if row != NOT_FOUND]
        values = self._at([row for _, row in found], columns)
        return {text: orjson.Fragment(orjson.dumps(each)) for (text, _), each in zip(found, values, strict=True)}

    def _encoded_rows(self, columns: tuple[str, ...]) -> dict[str, orjson.Fragment]:
        known = self._choices.pop(columns, None)
        self._choices[columns] = known = {} if known is None else known
        while len(self._choices) > MAX_ENCODED_CHOICES:
            del self._choices[next(iter(self._choices))]
        return known

    def _at(self, rows: Sequence[int], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        if not columns:
            return repeat({}, len(rows))
        places = np.array(rows, np.int64)
        values = (self._values[name].at(places) for name in columns)
        return (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))

    def dates(self, column: str) -> list[tuple[date, str]]:
        """The dates of one column with their keys, in order; values that are no ISO 8601 date are left out.

        The first call sorts the column, so call it from a thread.
        """
        if column not in self._dates:
            with self._making:
                found = (
                    (_date(value), key)
                    for rows, keys in self._rows.with_keys()
                    for value, key in zip(self._values[column].at(rows), keys, strict=True)
                )
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
            (key, [str(value) for value in values if value is not None])
            for rows, keys in self._rows.with_keys()
            for key, *values in zip(keys, *(self._values[name].at(rows) for name in columns), strict=True)
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


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        return None


def _check_columns(spec: Dataset, table: Table) -> None:
    missing = [name for name in (spec.key, *spec.search) if name not in table.columns]
    public = [name for name in missing if name not in spec.restricted_columns]
    if public:
        raise BrokenObject(f"{spec.object} lacks the column {', '.join(public)}")
    if missing or not set(spec.restricted_columns) <= table.columns.keys():
        # The message is for everyone who may use the department; the names of restricted columns are not.
        raise BrokenObject(f"{spec.object} lacks a column that is named in restrictedColumns")

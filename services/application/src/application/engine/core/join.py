"""Looks keys up once, keeps what was found in bounded memory, and hands out the values row by row.

Keys and rendered values live in Arrow arrays of equal order, so that a block of rows is resolved by one hash join
(``index_in``) and one gather (``take``) instead of a step of Python for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from application.engine.core.errors import DepartmentUnavailable
from application.engine.core.model import (
    MAX_KEYS_PER_LOOKUP,
    ColumnMapping,
    DatasetRef,
    Limits,
    Lookup,
    LookupBatch,
    Mapping,
    Scalar,
)
from application.engine.core.tally import Tally
from common.keys import key_text

Rows = Sequence[Sequence[Scalar] | None]
Render = Callable[[ColumnMapping, Rows], pa.Array]
"""Turns looked-up rows (``None``: no match) into an array of what is added to a row; called once for each new key."""

Indices = npt.NDArray[np.int64]

_CONCURRENT_LOOKUPS = 4


def clean_keys(values: pa.Array) -> pa.Array:
    """The texts of keys as they are looked up (``common.keys``); empty for no value."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return clean_keys(values.dictionary).take(values.indices).fill_null("")
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind) or _is_binary(kind):
        return _typed_keys(values)
    if pa.types.is_date64(kind):
        values = pc.cast(values, pa.date32())
    return pc.fill_null(pc.utf8_trim_whitespace(pc.cast(values, pa.string())), "")


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _typed_keys(values: pa.Array) -> pa.Array:
    if pa.types.is_float16(values.type):
        values = pc.cast(values, pa.float32())
    if pa.types.is_float32(values.type):
        # The shortest text that reads back the same in 32 bits: 19.99, and not 19.989999771118164.
        values = pc.cast(pc.cast(values, pa.string()), pa.float64())
    return pa.array([key_text(value) for value in values.to_pylist()], pa.string())


class _KeyTable:
    """What is known about keys of one data set. Entry 0 is the empty key, which is never looked up."""

    def __init__(self, mappings: Sequence[ColumnMapping], render: Render, limits: Limits) -> None:
        self.mappings = mappings
        self.columns = tuple(column.name for column in mappings[0].columns)
        self.ref: DatasetRef = mappings[0].dataset.ref
        self.versions: list[str] = []
        self._render = render
        self._limits = limits
        self._block = 0
        self.keys = pa.array([""], pa.string())
        self.matched = np.zeros(1, np.bool_)
        self._used = np.zeros(1, np.int64)
        self.rendered = [render(mapping, [None]) for mapping in mappings]

    def missing(self, columns: Sequence[pa.Array]) -> list[str]:
        """The distinct keys among ``columns`` that have to be looked up; those known are marked as used."""
        self._block += 1
        new: dict[str, None] = {}
        for keys in columns:
            indices = pc.index_in(keys, value_set=self.keys)
            if indices.null_count:
                unknown = pc.unique(keys.filter(pc.is_null(indices)))
                new.update(dict.fromkeys(unknown.to_pylist()))
                indices = indices.drop_null()
            self._used[indices.to_numpy(zero_copy_only=False)] = self._block
        return list(new)

    def learn(self, keys: Sequence[str], rows: Rows) -> None:
        """Add what was looked up, after making room for it."""
        self._evict(len(keys))
        self.keys = pa.concat_arrays([self.keys, pa.array(keys, pa.string())])
        self.matched = np.concatenate(
            [self.matched, np.fromiter((row is not None for row in rows), np.bool_, len(keys))]
        )
        self._used = np.concatenate([self._used, np.full(len(keys), self._block, np.int64)])
        self.rendered = [
            pa.concat_arrays([known, self._render(mapping, rows)])
            for known, mapping in zip(self.rendered, self.mappings, strict=True)
        ]

    def _evict(self, coming: int) -> None:
        """Forget the half that was used longest ago, if the bounds ask for it; never what the block in hand needs."""
        bytes_held = self.keys.nbytes + sum(array.nbytes for array in self.rendered)
        if len(self.keys) + coming <= self._limits.cached_keys and bytes_held <= self._limits.cached_bytes:
            return
        by_age = np.argsort(self._used, kind="stable")
        keep = self._used == self._block
        keep[by_age[len(by_age) // 2 :]] = True
        keep[0] = True
        mask = pa.array(keep)
        self.keys = self.keys.filter(mask)
        self.rendered = [array.filter(mask) for array in self.rendered]
        self.matched = self.matched[keep]
        self._used = self._used[keep]

    def find(self, keys: pa.Array) -> Indices:
        """The entry of each key; all must be known."""
        found: Indices = pc.index_in(keys, value_set=self.keys).to_numpy(zero_copy_only=False).astype(np.int64)
        return found


class Joiner:
    """Resolves the key columns of a block of rows; a context manager that owns the threads for look-ups."""

    def __init__(self, mapping: Mapping, lookup: Lookup, render: Render, limits: Limits) -> None:
        self._mapping = mapping
        self._lookup = lookup
        self.tallies = [Tally(limits) for _ in mapping]
        by_dataset: dict[DatasetRef, list[int]] = {}
        for index, entry in enumerate(mapping):
            by_dataset.setdefault(entry.dataset.ref, []).append(index)
        self._groups = [
            (members, _KeyTable([mapping[index] for index in members], render, limits))
            for members in by_dataset.values()
        ]
        self._pool = ThreadPoolExecutor(_CONCURRENT_LOOKUPS, thread_name_prefix="lookup")

    def __enter__(self) -> Joiner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def join(self, columns: Sequence[pa.Array], rows: Sequence[int]) -> list[pa.Array]:
        """What to add to each row, one array for each mapping; ``columns`` are the cleaned keys of each mapping.

        ``rows`` are the rows' numbers, for the report.
        """
        self._fetch(columns)
        added: list[pa.Array] = [None] * len(self._mapping)
        for members, table in self._groups:
            for position, index in enumerate(members):
                found = table.find(columns[index])
                self.tallies[index].count(found, table.matched, table.keys, rows)
                added[index] = table.rendered[position].take(pa.array(found))
        return added

    def versions(self, ref: DatasetRef) -> tuple[str, ...]:
        """The versions of a data set that answers came from, in the order seen."""
        return next(tuple(table.versions) for _, table in self._groups if table.ref == ref)

    def _fetch(self, columns: Sequence[pa.Array]) -> None:
        asked: list[tuple[_KeyTable, list[str], list[Future[LookupBatch]]]] = []
        for members, table in self._groups:
            missing = table.missing([columns[index] for index in members])
            chunks = [missing[at : at + MAX_KEYS_PER_LOOKUP] for at in range(0, len(missing), MAX_KEYS_PER_LOOKUP)]
            asked.append((table, missing, [self._pool.submit(self._ask, table, chunk) for chunk in chunks]))
        try:
            for table, missing, futures in asked:
                rows = [row for future in futures for row in self._take(table, future.result())]
                if missing:
                    table.learn(missing, rows)
        finally:
            for _, _, futures in asked:
                for future in futures:
                    future.cancel()

    def _ask(self, table: _KeyTable, keys: Sequence[str]) -> LookupBatch:
        batch = self._lookup.lookup(table.ref, keys, table.columns)
        if batch.columns != table.columns or len(batch.rows) != len(keys):
            raise DepartmentUnavailable(
                table.ref.department,
                f"the answer for {table.ref} does not fit the question: {len(batch.rows)} rows for {len(keys)} keys",
            )
        if any(row is not None and len(row) != len(table.columns) for row in batch.rows):
            raise DepartmentUnavailable(table.ref.department, f"a row of {table.ref} has not as many values as columns")
        return batch

    @staticmethod
    def _take(table: _KeyTable, batch: LookupBatch) -> Rows:
        if batch.version not in table.versions:
            table.versions.append(batch.version)
        return batch.rows

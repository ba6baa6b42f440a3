"""Keys that a person approved in place of those that a job did not find."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from application.engine import ColumnInfo, DatasetRef, Lookup, LookupBatch, MappingReport, Report, UnmatchedKey
from application.engine.core.model import DatasetInfo
from application.errors import CannotRepair
from application.records import MappedDataset
from common.causes import DESCRIPTIONS, Approvable

MATCHED_KEY = "matched_key"
"""The added column that says which key was used in place of the cell's own, and why."""

BY_HAND = "Given by hand"
MAX_REPAIRS = 10_000
_MATCHED_KEY = ColumnInfo(MATCHED_KEY)


class Misses(BaseModel):
    """The keys that one column's data set did not have, at most 10,000."""

    model_config = ConfigDict(frozen=True)

    column: str
    dataset: str
    keys: tuple[UnmatchedKey, ...]


class Review(BaseModel):
    """What a person decided about the keys that a job did not find.

    ``approve`` takes the best proposal of every key with such a cause, where there is one best. ``keys`` has by data
    set the key to use for a key as it stands in the file; an empty one leaves it unmatched.
    """

    model_config = ConfigDict(extra="forbid")

    approve: frozenset[Approvable] = frozenset()
    keys: dict[str, dict[str, str]] = Field(default_factory=dict, max_length=1000)


class Repair(BaseModel):
    """The key that is looked up in place of the cell's own, and why."""

    model_config = ConfigDict(frozen=True)

    key: str
    reason: str


Repairs = Mapping[str, Mapping[str, Repair]]
"""By data set (``finance.vendors``) and by the key as it stands in the file."""

REPAIRS: TypeAdapter[Repairs] = TypeAdapter(dict[str, dict[str, Repair]])
MISSES: TypeAdapter[tuple[Misses, ...]] = TypeAdapter(tuple[Misses, ...])


def misses_of(report: Report) -> tuple[Misses, ...]:
    """The keys that were not found, by column and data set; none where all were."""
    return tuple(
        Misses(column=each.column, dataset=each.dataset, keys=each.unmatched_sample)
        for each in report.mappings
        if each.unmatched_sample
    )


def reviewed(review: Review, misses: Sequence[Misses], before: Repairs) -> Repairs:
    """The repairs of a job that repairs another, whose own repairs were ``before``.

    Raises:
        CannotRepair: Nothing is repaired, more than can be, or a key is not among those that were not found.
    """
    repairs = {dataset: dict(pairs) for dataset, pairs in before.items()}
    missed: dict[str, set[str]] = {}
    approved = 0
    for each in misses:
        missed.setdefault(each.dataset, set()).update(miss.key for miss in each.keys)
        for miss in each.keys:
            if miss.cause in review.approve and (key := _best(miss)) is not None:
                repairs.setdefault(each.dataset, {})[miss.key] = Repair(key=key, reason=DESCRIPTIONS[miss.cause])
                approved += 1
    for dataset, pairs in review.keys.items():
        for cell, key in pairs.items():
            if cell not in missed.get(dataset, ()) and cell not in before.get(dataset, ()):
                raise CannotRepair(f"{cell!r} is not among the keys of {dataset} that were not found.")
            if key := key.strip():
                repairs.setdefault(dataset, {})[cell] = Repair(key=key, reason=BY_HAND)
                approved += 1
            else:
                repairs.get(dataset, {}).pop(cell, None)
    if not approved:
        raise CannotRepair("No key that was not found has an approved cause with one best proposal, or a key by hand.")
    if (count := sum(map(len, repairs.values()))) > MAX_REPAIRS:
        raise CannotRepair(f"{count:,} keys would be repaired, and {MAX_REPAIRS:,} can be. Mend the file instead.")
    return repairs


def _best(miss: UnmatchedKey) -> str | None:
    """The proposal that is better than all others: of equals, a person chooses."""
    first, *others = miss.proposals or (None,)
    if first is None or any(other is not None and other.score >= first.score for other in others):
        return None
    return first.key


def with_matched_key(mapping: Sequence[MappedDataset], repairs: Repairs) -> tuple[MappedDataset, ...]:
    """The mapping, with the column ``matched_key`` of each data set that has repairs.

    Raises:
        CannotRepair: A data set has a column of that name itself.
    """
    return tuple(_with_matched_key(entry) if str(entry.dataset.ref) in repairs else entry for entry in mapping)


def _with_matched_key(entry: MappedDataset) -> MappedDataset:
    if entry.columns[-1:] == (_MATCHED_KEY,):
        return entry
    if any(column.name == MATCHED_KEY for column in entry.columns):
        raise CannotRepair(
            f"{entry.dataset.ref} has a column {MATCHED_KEY!r} of its own, so it cannot say what was used."
        )
    return entry.model_copy(update={"columns": (*entry.columns, _MATCHED_KEY)})


class RepairedLookup:
    """A ``Lookup`` that asks another for the approved keys, and says in ``matched_key`` where it did."""

    def __init__(self, lookup: Lookup, repairs: Repairs) -> None:
        """Nothing is looked up yet."""
        self._lookup = lookup
        self._repairs = repairs
        self._lock = threading.Lock()
        self._found: dict[str, set[str]] = {dataset: set() for dataset in repairs}

    def datasets(self) -> Sequence[DatasetInfo]:
        """As the other's."""
        return self._lookup.datasets()

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        """As the other's, with the rows of approved keys."""
        pairs = self._repairs.get(str(dataset))
        if pairs is None:
            return self._lookup.lookup(dataset, keys, columns)
        used = [pairs[key].key if key in pairs else key for key in keys]
        distinct = list(dict.fromkeys(used))
        batch = self._lookup.lookup(dataset, distinct, columns[:-1])
        rows = dict(zip(distinct, batch.rows, strict=True))
        found = {key for key in pairs.keys() & set(keys) if rows[pairs[key].key] is not None}
        with self._lock:
            self._found[str(dataset)] |= found
        return LookupBatch(
            batch.version,
            tuple(columns),
            [
                None if (row := rows[other]) is None else [*row, _said(pairs[key]) if key in found else None]
                for key, other in zip(keys, used, strict=True)
            ],
        )

    def counted(self, report: Report) -> Report:
        """The report with the numbers of repaired keys."""
        return report.model_copy(update={"mappings": tuple(self._counted(report.mappings))})

    def _counted(self, mappings: Sequence[MappingReport]) -> Iterator[MappingReport]:
        for each in mappings:
            yield each.model_copy(update={"repaired": len(self._found.get(each.dataset, ()))})


def _said(repair: Repair) -> str:
    return f"{repair.key} ({repair.reason[:1].lower()}{repair.reason[1:]})"

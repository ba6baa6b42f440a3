"""Keys that a person approved in place of those that a job did not find."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

from application.engine import ColumnInfo, DatasetRef, Lookup, LookupBatch, MappingReport, Preview, Report, UnmatchedKey
from application.engine.core.model import DatasetInfo
from application.errors import CannotRepair
from application.records import MappedDataset
from common.causes import DESCRIPTIONS, within_sentence

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


def misses_of_preview(preview: Preview) -> tuple[Misses, ...]:
    """The keys that the rows of a preview did not find."""
    return tuple(Misses(column=each.column, dataset=each.dataset, keys=each.missed) for each in preview.mapping)


def approved(causes: Collection[str], misses: Sequence[Misses], before: Repairs) -> Repairs:
    """``before``, and the best proposal of each key with one of these causes, where there is one best."""
    repairs = {dataset: dict(pairs) for dataset, pairs in before.items()}
    for each in misses:
        for miss in each.keys:
            if miss.cause is not None and miss.cause in causes and (key := _best(miss)) is not None:
                repair = Repair(key=key, reason=DESCRIPTIONS[miss.cause])
                repairs.setdefault(each.dataset, {}).setdefault(miss.key, repair)
    return repairs


def by_hand(keys: Mapping[str, Mapping[str, str]], before: Repairs) -> Repairs:
    """``before`` with other keys for some; an empty one takes a repair back.

    Raises:
        CannotRepair: There are more than can be.
    """
    repairs = {dataset: dict(pairs) for dataset, pairs in before.items()}
    for dataset, pairs in keys.items():
        for cell, key in pairs.items():
            if stripped := key.strip():
                repairs.setdefault(dataset, {})[cell] = Repair(key=stripped, reason=BY_HAND)
            else:
                repairs.get(dataset, {}).pop(cell, None)
    if (count := sum(map(len, repairs.values()))) > MAX_REPAIRS:
        raise CannotRepair(f"{count:,} keys would be repaired, and {MAX_REPAIRS:,} can be. Mend the file instead.")
    return repairs


def reviewed_repairs(
    causes: Collection[str], keys: Mapping[str, Mapping[str, str]], misses: Sequence[Misses], before: Repairs
) -> Repairs:
    """The repairs of a job that repairs another, whose own repairs were ``before``.

    Raises:
        CannotRepair: Nothing is repaired, more than can be, or a key is not among those that were not found.
    """
    missed: dict[str, set[str]] = {dataset: set(pairs) for dataset, pairs in before.items()}
    for each in misses:
        missed.setdefault(each.dataset, set()).update(miss.key for miss in each.keys)
    for dataset, pairs in keys.items():
        for cell in pairs:
            if cell not in missed.get(dataset, ()):
                raise CannotRepair(f"{cell!r} is not among the keys of {dataset} that were not found.")
    repairs = by_hand(keys, approved(causes, misses, before))
    if repairs == before:
        raise CannotRepair("No key that was not found has an approved cause with one best proposal, or a key by hand.")
    return repairs


def _best(miss: UnmatchedKey) -> str | None:
    """The proposal that is better than all others: of equals, a person chooses."""
    first, *others = miss.proposals or (None,)
    if first is None or any(other is not None and other.score >= first.score for other in others):
        return None
    return first.key


def with_matched_key(mapping: Sequence[MappedDataset], datasets: Collection[str]) -> tuple[MappedDataset, ...]:
    """The mapping, with the column ``matched_key`` of each of these data sets.

    Raises:
        CannotRepair: A data set has a column of that name itself.
    """
    return tuple(_with_matched_key(entry) if str(entry.dataset.ref) in datasets else entry for entry in mapping)


def added_by(entry: MappedDataset) -> list[str]:
    """The data set's own columns that a job adds."""
    return [column.name for column in entry.columns if column != _MATCHED_KEY]


def says_matched_key(entry: MappedDataset) -> bool:
    """Whether a job adds the column ``matched_key`` for this data set."""
    return entry.columns[-1:] == (_MATCHED_KEY,)


def _with_matched_key(entry: MappedDataset) -> MappedDataset:
    if says_matched_key(entry):
        return entry
    if any(column.name == MATCHED_KEY for column in entry.columns):
        raise CannotRepair(
            f"{entry.dataset.ref} has a column {MATCHED_KEY!r} of its own, so it cannot say what was used."
        )
    return entry.model_copy(update={"columns": (*entry.columns, _MATCHED_KEY)})


class RepairedLookup:
    """A ``Lookup`` that asks another for the approved keys."""

    def __init__(self, lookup: Lookup, repairs: Repairs, saying: Collection[str] = ()) -> None:
        """For the data sets ``saying``, the last column is ``matched_key``: where another key was used, and why."""
        self._lookup = lookup
        self._repairs = repairs
        self._saying = saying
        self._lock = threading.Lock()
        self._found: dict[str, set[str]] = {dataset: set() for dataset in repairs}

    def datasets(self) -> Sequence[DatasetInfo]:
        """As the other's."""
        return self._lookup.datasets()

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        """As the other's, with the rows of approved keys."""
        if not self._repairs and not self._saying:
            return self._lookup.lookup(dataset, keys, columns)
        name = str(dataset)
        pairs, says = self._repairs.get(name, {}), name in self._saying
        used = [pairs[key].key if key in pairs else key for key in keys]
        distinct = list(dict.fromkeys(used))
        batch = self._lookup.lookup(dataset, distinct, columns[:-1] if says else columns)
        rows = dict(zip(distinct, batch.rows, strict=True))
        found = {key for key in pairs.keys() & set(keys) if rows[pairs[key].key] is not None}
        if found:
            with self._lock:
                self._found[name] |= found
        if not says:
            return LookupBatch(batch.version, tuple(columns), [rows[other] for other in used])
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
    return f"{repair.key} ({within_sentence(repair.reason)})"

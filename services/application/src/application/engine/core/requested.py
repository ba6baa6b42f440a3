"""Checks what the caller says about departments, mapping and columns, and says what would be right."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import replace

from application.engine.core.errors import InputError
from application.engine.core.head import unknown_column
from application.engine.core.model import ColumnInfo, ColumnMapping, DatasetInfo, DatasetRef, Mapping


def check_departments(datasets: Sequence[DatasetInfo], departments: Sequence[str] | None) -> Sequence[DatasetInfo]:
    """The data sets of ``departments`` (all without). Raises ``InputError`` for a department that is not there."""
    if departments is None:
        return datasets
    known = list(dict.fromkeys(dataset.ref.department for dataset in datasets))
    for department in departments:
        if department not in known:
            raise InputError(
                "unknown-department",
                "There is no such department",
                f"There is no department {department!r} that you may use.",
                field="departments",
                expected="one of: " + ", ".join(known) if known else None,
            )
    return [dataset for dataset in datasets if dataset.ref.department in departments]


class Choice:
    """Which columns of each data set are added."""

    def __init__(self, datasets: Sequence[DatasetInfo], columns: Dict[str, Sequence[str]]) -> None:
        """Raises ``InputError`` for a data set or a column that this caller does not have."""
        self._chosen: dict[DatasetRef, tuple[ColumnInfo, ...]] = {}
        for name, wanted in columns.items():
            dataset = find_dataset(name, datasets, "columns")
            offered = {column.name: column for column in dataset.columns if column.name != dataset.key}
            for column in wanted:
                if column not in offered:
                    raise InputError(
                        "unknown-column",
                        "The data set has no such column",
                        f"{dataset.ref} has no column {column!r} that can be added.",
                        column=column,
                        field="columns",
                        expected="one of: " + ", ".join(offered),
                    )
            if not wanted or len(set(wanted)) < len(wanted):
                raise _invalid(f"The columns of {dataset.ref} must be named once each, and at least one.", "columns")
            self._chosen[dataset.ref] = tuple(offered[column] for column in wanted)

    def of(self, dataset: DatasetInfo) -> tuple[ColumnInfo, ...]:
        """What is added from ``dataset``: what the caller chose, else all but the key."""
        every = tuple(column for column in dataset.columns if column.name != dataset.key)
        return self._chosen.get(dataset.ref, every)


def given_mapping(
    columns: Sequence[str],
    given: Dict[str, Sequence[str]],
    datasets: Sequence[DatasetInfo],
    choice: Choice,
    *,
    several: bool,
) -> Mapping:
    """The caller's mapping in the order of the file's columns.

    ``several`` allows more than one data set of a department, as a document's text may hold keys of all.
    Raises ``InputError`` for what does not exist or contradicts itself.
    """
    for column in given:
        if column not in columns:
            raise unknown_column(column, columns)
    mapping: list[ColumnMapping] = []
    for column in columns:
        taken: dict[str, str] = {}
        for name in given.get(column, ()):
            dataset = find_dataset(name, datasets, "mapping")
            department = dataset.ref.department
            if name in taken.values():
                raise _invalid(f"Column {column!r} is mapped to {name} twice.", "mapping", column)
            if department in taken and not several:
                detail = (
                    f"Column {column!r} is mapped to two data sets of {department}: {taken[department]} and {name}."
                )
                raise _invalid(detail, "mapping", column)
            taken[department] = name
            if not choice.of(dataset):
                raise _invalid(f"{name} has no column that could be added.", "mapping", column)
            mapping.append(ColumnMapping(column, dataset, choice.of(dataset), ("you said so",)))
    if not mapping:
        raise _invalid("The mapping names no data set.", "mapping")
    return tuple(mapping)


def only_added(
    mapping: Mapping, wanted: Sequence[str], columns: Sequence[str], datasets: Sequence[DatasetInfo]
) -> Mapping:
    """``mapping`` with the ``wanted`` columns alone: named as in the result, or as ``department.dataset.column``.

    Raises ``InputError`` for one that ``datasets`` do not have, or that nothing in the file is a key for.
    """
    chosen = set(wanted)
    kept = []
    used: set[str] = set()
    for entry in mapping:
        names = {f"{entry.dataset.ref}.{column.name}": column for column in entry.columns}
        both = [{full, added} & chosen for full, added in zip(names, entry.added, strict=True)]
        used.update(*both)
        if any(both):
            few = tuple(column for column, hits in zip(entry.columns, both, strict=True) if hits)
            kept.append(replace(entry, columns=few))
    offered = [name for entry in mapping for name in entry.added]
    of_datasets = {f"{dataset.ref}.{column.name}" for dataset in datasets for column in dataset.columns}
    missing = [name for name in wanted if name not in used]
    # A column of a data set that has no key in this file is no mistake, as long as something is added.
    unknown = next((name for name in missing if name not in of_datasets or not kept), None)
    if unknown is not None and mapping:
        raise InputError(
            "unknown-column",
            "There is no such column to add",
            f"{unknown!r} is none of the columns that can be added to this file.",
            column=unknown,
            field="options.add_only",
            expected=f"some of: {', '.join(offered)}",
        )
    return tuple(kept)


def find_dataset(name: str, datasets: Sequence[DatasetInfo], field: str) -> DatasetInfo:
    """The data set called ``department.dataset``. Raises ``InputError``, alike for none and for one kept back."""
    for dataset in datasets:
        if str(dataset.ref) == name:
            return dataset
    known = ", ".join(str(dataset.ref) for dataset in datasets)
    raise InputError(
        "unknown-dataset",
        "There is no such data set",
        f"There is no data set {name!r} that you may use.",
        field=field,
        expected=f"one of: {known}" if known else None,
    )


def _invalid(detail: str, field: str, column: str | None = None) -> InputError:
    expected = "for each column, at most one data set of each department, as department.dataset"
    return InputError(
        "invalid-mapping", "The mapping contradicts itself", detail, column=column, field=field, expected=expected
    )

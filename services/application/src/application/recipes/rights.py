"""What of a recipe a caller may see and use: what names a department, a data set or a column that they may use now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from application.departments.access import Access
from application.engine import InputError
from application.jobs.requests import Choices
from common.caller import Caller
from common.file_options import FileOptions


@dataclass(frozen=True, slots=True)
class Part:
    """What is left of a recipe's choices; ``emptied`` are members of which nothing is left."""

    choices: Choices
    is_whole: bool
    emptied: frozenset[str]


def part_for(choices: Choices, caller: Caller, access: Access) -> Part:
    """The part of a recipe that the caller may see and use."""
    rights = _Rights(caller, access)
    columns = None if choices.columns is None else {
        name: seen for name, wanted in choices.columns.items() if (seen := rights.columns(name, wanted))
    }  # fmt: skip
    # Of a data set whose chosen columns are all hidden, not all others are added instead.
    lost = {name for name in choices.columns or () if rights.has(name) and name not in (columns or ())}
    mapping = None if choices.mapping is None else {
        column: seen
        for column, names in choices.mapping.items()
        if (seen := [name for name in names if name not in lost and rights.has(name)])
    }  # fmt: skip
    departments = choices.departments
    add_only = choices.options.add_only
    kept = choices.model_copy(
        update={
            "departments": departments and [name for name in departments if access.permits(name, caller)],
            "mapping": mapping,
            "columns": columns,
            "keys": {name: pairs for name, pairs in choices.keys.items() if rights.has_pairs(name)},
            "options": _adding(choices.options, add_only and tuple(filter(rights.has_added, add_only))),
        }
    )
    emptied = {name for name in ("departments", "mapping") if getattr(choices, name) and not getattr(kept, name)}
    if lost and choices.mapping is None:
        emptied.add("columns")
    if add_only and kept.options.add_only is None:
        emptied.add("options")
    return Part(kept, kept == choices, frozenset(emptied))


def check(choices: Choices, caller: Caller, access: Access) -> None:
    """Refuse choices that name what the caller cannot use, alike for what does not exist.

    Raises:
        InputError: They do.
    """
    if part_for(choices, caller, access).is_whole:
        return
    for field, kind, name in _names(choices):
        if kind == "department" and not access.permits(name, caller):
            raise _unknown(field, "department", name)
        if kind == "data set" and access.dataset(name, caller) is None:
            raise _unknown(field, "data set", name)
    detail = "It names a column, or keys of a data set, that you may not use."
    raise InputError("unknown-column", "The data set has no such column", detail, field="choices")


def _names(choices: Choices) -> Iterator[tuple[str, str, str]]:
    yield from (("departments", "department", name) for name in choices.departments or ())
    yield from (("mapping", "data set", name) for names in (choices.mapping or {}).values() for name in names)
    yield from (("columns", "data set", name) for name in choices.columns or ())
    yield from (("keys", "data set", name) for name in choices.keys)


def _unknown(field: str, kind: str, name: str) -> InputError:
    detail = f"There is no {kind} {name!r} that you may use."
    return InputError(f"unknown-{kind.replace(' ', '')}", f"There is no such {kind}", detail, field=field)


def _adding(options: FileOptions, add_only: tuple[str, ...] | None) -> FileOptions:
    return options.model_copy(update={"add_only": add_only or None})


@dataclass(frozen=True, slots=True)
class _Rights:
    caller: Caller
    access: Access

    def has(self, dataset: str) -> bool:
        return self.access.dataset(dataset, self.caller) is not None

    def columns(self, dataset: str, wanted: list[str]) -> list[str]:
        found = self.access.dataset(dataset, self.caller)
        return [] if found is None else [column for column in wanted if column not in found[1]]

    def has_pairs(self, dataset: str) -> bool:
        """Whether pairs may be seen: not if a column that is hidden here may have led to them."""
        found = self.access.dataset(dataset, self.caller)
        return found is not None and found[1].isdisjoint(found[0].search)

    def has_added(self, name: str) -> bool:
        """Whether an added column may be seen: ``department.dataset.column``, or ``key column.department.column``.

        In the second form the data set is not named: the column must be hidden in none of the department's.
        """
        first, _, column = name.partition(".")
        dataset, _, column = column.partition(".")
        if column and (found := self.access.dataset(f"{first}.{dataset}", self.caller)) is not None:
            return column not in found[1]
        rest, _, column = name.rpartition(".")
        hidden = self.access.hidden_columns(rest.rpartition(".")[2], self.caller)
        return hidden is not None and column not in hidden

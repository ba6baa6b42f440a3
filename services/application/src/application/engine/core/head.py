"""The first rows of a file as a table of text: what mapping and preview look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from application.engine.core.errors import InputError
from application.engine.core.model import Detected, Limits, Mapping


@dataclass(frozen=True, slots=True)
class Head:
    """``rows`` hold one text for each of ``columns``; ``None`` is no value. ``detected`` says how they were read."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    detected: Detected | None = None


def check_count(names: Sequence[str], limits: Limits, row: int | None = 1) -> None:
    """Raise ``InputError`` for names that are too many; ``row`` is where they stand."""
    if len(names) > limits.columns:
        detail = f"The file has {len(names):,} columns; at most {limits.columns:,} can be read."
        raise InputError(
            "column-names", "Too many columns", detail, row=row, expected=f"at most {limits.columns:,} columns"
        )


def check_columns(names: Sequence[str], limits: Limits, row: int | None = 1) -> None:
    """Raise ``InputError`` for names that are none, empty, doubled or too many; ``row`` is where they stand."""
    if not names:
        raise InputError(
            "column-names",
            "The file has no columns",
            "The file has no columns: there is nothing to enrich.",
            expected="at least one column",
        )
    check_count(names, limits, row)
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise InputError(
                "column-names",
                "A column has no name",
                f"Column {number} has no name.",
                row=row,
                expected="a name for every column",
            )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        places = ", ".join(str(number) for number, other in enumerate(names, start=1) if other == name)
        raise InputError(
            "column-names",
            "Two columns have the same name",
            f"The name {name!r} is used by columns {places}.",
            row=row,
            column=name,
            expected="a different name for every column",
        )


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """One name for each column: that in the file, but ``column 2`` for a blank one, ``x [1]`` and ``x [2]`` for two.

    So a mapping can name each column, and none by a name that means two.
    """
    counts = Counter(names)
    taken = set(names)
    seen: Counter[str] = Counter()
    told: list[str] = []
    for number, name in enumerate(names, start=1):
        if name.strip() and counts[name] == 1:
            told.append(name)
            continue
        seen[name] += 1
        new = f"{name} [{seen[name]}]" if name.strip() else f"column {number}"
        while new in taken:
            new += "'"
        taken.add(new)
        told.append(new)
    return tuple(told)


def check_mapping(names: Sequence[str], mapping: Mapping) -> None:
    """Raise ``InputError`` where ``mapping`` names a column that is not there, or adds one that is."""
    present = set(names)
    for entry in mapping:
        if entry.column not in present:
            raise unknown_column(entry.column, names)
        for added in entry.added:
            if added in present:
                raise column_collision(added)


def unknown_column(column: str, names: Sequence[str]) -> InputError:
    """A mapping names a column that the file does not have."""
    shown = ", ".join(names[:50]) + (", …" if len(names) > 50 else "")
    return InputError(
        "unknown-column",
        "There is no such column",
        f"The file has no column {column!r}. Its columns are: {shown}.",
        column=column,
        field="mapping",
        expected=f"one of: {shown}",
    )


def column_collision(added: str, row: int | None = 1) -> InputError:
    """A column to be added is there already: the file has perhaps been enriched before."""
    return InputError(
        "column-collision",
        "An added column is in the file already",
        f"The column {added!r} would be added, but the file has one of that name: it may have been enriched before.",
        row=row,
        column=added,
        expected=f"a file without a column {added!r}, or a choice of columns that leaves it out",
    )


def no_rows() -> InputError:
    """A header and nothing below it."""
    return InputError(
        "no-rows",
        "The file has no rows",
        "The file has a header and no rows: there is nothing to enrich.",
        row=2,
        expected="at least one row after the header",
    )


def empty_file() -> InputError:
    """No content at all."""
    return InputError(
        "empty-file", "The file is empty", "The file has no content.", expected="a header and at least one row"
    )

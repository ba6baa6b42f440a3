"""The first rows of a file as a table of text: what mapping and preview look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from application.engine.errors import InputError
from application.engine.model import Limits, Mapping


@dataclass(frozen=True, slots=True)
class Head:
    """``rows`` hold one text for each of ``columns``; ``None`` is no value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


def check_columns(names: Sequence[str], limits: Limits, row: int | None = 1) -> None:
    """Raise ``InputError`` for names that are empty, doubled or too many; ``row`` is where they stand."""
    if len(names) > limits.columns:
        detail = f"The file has {len(names):,} columns; at most {limits.columns:,} can be read."
        raise InputError(
            "column-names", "Too many columns", detail, row=row, expected=f"at most {limits.columns:,} columns"
        )
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

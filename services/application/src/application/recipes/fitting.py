"""Whether a file is still as a recipe expects it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from application.engine import InputError, Preview
from application.recipes.problems import does_not_fit
from application.recipes.service import Applied, Request

Result = TypeVar("Result")

_JUMP = 0.2
_LEAST_MISSED = 3
"""Keys that the first rows miss, and by how much more of all than the last job: fewer may be chance."""


def fitting(applied: Applied[Request], run: Callable[[Request], Result]) -> tuple[Result, tuple[str, ...]]:
    """The result of ``run``, and what was left out of the recipe for it, in words.

    Where the caller wants it anyway, the request is without the columns of the recipe's mapping that the file lacks.

    Raises:
        Problem: The file lacks one, or all.
    """
    request, notes = applied.request, applied.notes
    while True:
        try:
            return run(request), notes
        except InputError as error:
            if not applied.is_mapped or (error.slug, error.field) != ("unknown-column", "mapping"):
                raise
            gone = error.column
            left = {column: names for column, names in (request.mapping or {}).items() if column != gone}
            if not request.anyway or not left:
                raise does_not_fit(f"The recipe maps the column {gone!r}. {error.detail}", column=gone) from error
            notes = (*notes, f"The recipe maps the column {gone!r}, which this file does not have.")
            request = request.model_copy(update={"mapping": left})


def changed_shares(applied: Applied[Any], preview: Preview) -> tuple[str, ...]:
    """The data sets of which the first rows miss many more keys than the recipe's last job did, in words."""
    keys, missed = Counter[str](), Counter[str]()
    for entry in preview.mapping:
        keys[entry.dataset] += entry.values
        missed[entry.dataset] += entry.values - entry.matched
    told = []
    for dataset, (found_then, missed_then) in (applied.last_run or {}).items():
        if missed[dataset] < _LEAST_MISSED or not found_then + missed_then:
            continue
        now, then = missed[dataset] / keys[dataset], missed_then / (found_then + missed_then)
        if now - then >= _JUMP:
            told.append(
                f"In the first rows, {now:.0%} of the keys of {dataset} are not found. In the last job with this "
                f"recipe it was {then:.0%}."
            )
    return tuple(told)

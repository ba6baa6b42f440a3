"""What a job on a file would do. All calls block; they are for threads."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import NamedTuple

from application.departments.lookup import DepartmentLookup
from application.departments.service import DepartmentService
from application.engine import InputError, Preview, decide, left_out
from application.errors import CannotRepair
from application.files.service import FileService
from application.http import problems
from application.jobs.explaining import explained_preview
from application.jobs.inspection import FileInspector
from application.jobs.repairs import RepairedLookup, Repairs, approved, by_hand, misses_of_preview
from application.jobs.requests import JobRequest, PreviewRequest
from application.recipes.fitting import changed_shares, fitting
from application.recipes.problems import does_not_fit
from application.recipes.service import RecipeService
from application.records import File, MappedDataset, UsedRecipe
from application.sandbox import Cancellation
from common.caller import Caller

_SAMPLED_ROWS = 100


class Plan(NamedTuple):
    """What a job is to do; ``left_out`` has a sentence for all that may be missed in the result."""

    request: JobRequest
    mapping: tuple[MappedDataset, ...]
    repairs: Repairs
    left_out: tuple[str, ...]
    recipe: UsedRecipe | None


class Previewed(NamedTuple):
    """The first rows, and in which respects the recipe does not fit them."""

    preview: Preview
    recipe: UsedRecipe | None
    warnings: tuple[str, ...]


class Planner:
    """Looks into files, on behalf of callers, with the departments that they may use."""

    def __init__(
        self, files: FileService, departments: DepartmentService, inspector: FileInspector, recipes: RecipeService
    ) -> None:
        self._files = files
        self._departments = departments
        self._inspector = inspector
        self._recipes = recipes

    def preview(self, cancellation: Cancellation, wanted: PreviewRequest, caller: Caller) -> Previewed:
        """The first rows of a file, enriched; raises as ``plan``."""
        file = self._files.find(wanted.file, caller.subject)
        applied = self._recipes.applied(wanted, caller)
        lookup = self._lookup(cancellation, applied.request, caller)

        def run(request: PreviewRequest) -> Preview:
            return self._preview(cancellation, file, request, applied.pairs, lookup, wanted.rows)

        preview, notes = fitting(applied, run)
        return Previewed(preview, applied.recipe, (*notes, *changed_shares(applied, preview)))

    def plan(self, cancellation: Cancellation, file: File, wanted: JobRequest, caller: Caller) -> Plan:
        """What a job on a file is to do.

        Raises:
            Problem, InputError, CannotRepair, DepartmentUnavailable, ObjectGone: It cannot be enriched.
        """
        applied = self._recipes.applied(wanted, caller)
        lookup = self._lookup(cancellation, applied.request, caller)
        (mapping, doubts), notes = fitting(applied, partial(self._mapping, cancellation, file, lookup))
        mapped = {str(entry.dataset.ref) for entry in mapping}
        if unused := sorted(by_hand(wanted.keys, {}).keys() - mapped):
            raise CannotRepair(f"No column of this file has keys of {unused[0]}.")
        if applied.last_run is not None and not wanted.anyway:
            preview = self._preview(cancellation, file, applied.request, applied.pairs, lookup, _SAMPLED_ROWS)
            if changed := changed_shares(applied, preview):
                raise does_not_fit(changed[0])
        repairs = by_hand(wanted.keys, {name: pairs for name, pairs in applied.pairs.items() if name in mapped})
        return Plan(applied.request, mapping, repairs, (*notes, *doubts), applied.recipe)

    def _preview(
        self,
        cancellation: Cancellation,
        file: File,
        wanted: JobRequest,
        pairs: Repairs,
        lookup: DepartmentLookup,
        rows: int,
    ) -> Preview:
        def run(repairs: Repairs) -> Preview:
            with closing(self._files.content(file)) as source:
                preview = self._inspector.preview(
                    file,
                    source,
                    RepairedLookup(lookup, repairs),
                    cancellation,
                    departments=wanted.departments,
                    given=wanted.mapping,
                    columns=wanted.columns,
                    options=wanted.options,
                    rows=rows,
                )
            return explained_preview(preview, lookup)

        repairs = by_hand(wanted.keys, pairs)
        preview = run(repairs)
        more = approved(wanted.approve, misses_of_preview(preview), repairs)
        return preview if more == repairs else run(more)

    def _mapping(
        self, cancellation: Cancellation, file: File, lookup: DepartmentLookup, wanted: JobRequest
    ) -> tuple[tuple[MappedDataset, ...], tuple[str, ...]]:
        """What is added to a file, and a sentence for each possible key column that is left out."""
        with closing(self._files.content(file)) as source:
            proposal = self._inspector.propose_mapping(
                file,
                source,
                lookup,
                cancellation,
                departments=wanted.departments,
                given=wanted.mapping,
                columns=wanted.columns,
                options=wanted.options,
            )
        chosen = wanted.columns or {}
        try:
            return tuple(
                MappedDataset.of(entry, is_chosen=str(entry.dataset.ref) in chosen) for entry in decide(proposal)
            ), left_out(proposal)
        except InputError as error:
            raise problems.of_proposal(error, proposal.questions) from error

    def _lookup(self, cancellation: Cancellation, wanted: JobRequest, caller: Caller) -> DepartmentLookup:
        """Look-ups in the departments that the request is about, which end when it is cancelled.

        Raises:
            InputError: It names a department that this caller cannot use.
            Problem: This caller can use none.
        """
        permitted = [department.name for department in self._departments.permitted(caller)]
        if unknown := sorted(wanted.named() - set(permitted)):
            raise InputError(
                "unknown-department",
                "There is no such department",
                f"There is no department {unknown[0]!r} that you may use.",
                field="departments" if unknown[0] in (wanted.departments or ()) else "mapping",
                expected=f"one of: {', '.join(permitted)}" if permitted else None,
            )
        if not permitted:
            raise problems.no_departments()
        # Columns alone choose what is added, not where it is looked for.
        chosen = wanted.named() if wanted.departments is not None or wanted.mapping else permitted
        lookup = self._departments.lookup(caller, sorted(chosen), wanted.departments or ())
        cancellation.also(lookup.stop)
        return lookup

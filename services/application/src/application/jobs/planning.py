"""What a job on a file would do. All calls block; they are for threads."""

from __future__ import annotations

from contextlib import closing

from application.departments.lookup import DepartmentLookup
from application.departments.service import DepartmentService
from application.engine import InputError, Preview, decide, left_out
from application.files.service import FileService
from application.http import problems
from application.jobs.explaining import explained_preview
from application.jobs.inspection import FileInspector
from application.jobs.repairs import RepairedLookup, Repairs, approved, by_hand, misses_of_preview
from application.jobs.requests import JobRequest, PreviewRequest
from application.records import File, MappedDataset
from application.sandbox import Cancellation
from common.caller import Caller


class Planner:
    """Looks into files, on behalf of callers, with the departments that they may use."""

    def __init__(self, files: FileService, departments: DepartmentService, inspector: FileInspector) -> None:
        self._files = files
        self._departments = departments
        self._inspector = inspector

    def preview(self, cancellation: Cancellation, wanted: PreviewRequest, caller: Caller) -> Preview:
        """The first rows of a file, enriched; raises as ``mapping``, and ``CannotRepair``."""
        file = self._files.find(wanted.file, caller.subject)
        lookup = self._lookup(cancellation, wanted, caller)

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
                    rows=wanted.rows,
                )
            return explained_preview(preview, lookup)

        repairs = by_hand(wanted.keys, {})
        preview = run(repairs)
        more = approved(wanted.approve, misses_of_preview(preview), repairs)
        return preview if more == repairs else run(more)

    def mapping(
        self, cancellation: Cancellation, file: File, wanted: JobRequest, caller: Caller
    ) -> tuple[tuple[MappedDataset, ...], tuple[str, ...]]:
        """What is added to a file, and a sentence for each column that may be a key and is left out.

        Raises:
            Problem, InputError, DepartmentUnavailable, ObjectGone: It cannot be enriched.
        """
        lookup = self._lookup(cancellation, wanted, caller)
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
        try:
            return tuple(MappedDataset.of(entry) for entry in decide(proposal)), left_out(proposal)
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

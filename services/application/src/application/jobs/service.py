"""What happens to jobs between a caller and the workers. All calls block; they are for threads."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import orjson
import structlog

from application import metrics
from application.aws.clients import AwsError
from application.aws.objects import Objects, misses_object, result_object
from application.aws.queue import JobQueue
from application.aws.source import ObjectSource
from application.departments.access import Access
from application.engine import Report
from application.errors import Conflict, Fenced, ObjectGone
from application.files.service import FileService
from application.http import problems
from application.jobs.planning import Planner
from application.jobs.repairs import MISSES, Misses, Repairs, added_by, reviewed_repairs, with_matched_key
from application.jobs.requests import Choices, JobRequest, Review
from application.jobs.store import JobStore, KeyTaken
from application.recipes.records import Found, found_of
from application.records import (
    CALLER_SECONDS,
    File,
    Job,
    JobProgress,
    JobResult,
    MappedDataset,
    UsedRecipe,
    is_id,
    iso,
    new_id,
)
from application.sandbox import Cancellation
from application.settings import ApiSettings
from application.usage import Usage
from common.caller import Caller
from common.file_options import FileOptions
from common.problem import Problem
from common.telemetry import trace_headers

log = structlog.get_logger()

_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_MAX_MAPPING_BYTES = 200_000
"""Half of what DynamoDB takes as one item."""
_LATER = ("approve", "keys", "recipe", "recipe_version", "anyway")
_CANCEL_TRIES = 5
_RESULT_TRIES = 6


class JobService:
    """Submits, finds, cancels and retries the jobs of each caller, who sees of them what they may see now."""

    def __init__(
        self,
        settings: ApiSettings,
        *,
        store: JobStore,
        files: FileService,
        objects: Objects,
        queue: JobQueue,
        usage: Usage,
        access: Access,
        planner: Planner,
    ) -> None:
        """``settings`` say how long a job is kept."""
        self._retention_seconds = settings.retention_days * 86400
        self._store = store
        self._files = files
        self._objects = objects
        self._queue = queue
        self._usage = usage
        self._access = access
        self._planner = planner

    def submit(self, cancellation: Cancellation, wanted: JobRequest, caller: Caller, key: str | None) -> Job:
        """Start a job; or find the one that this idempotency key started.

        Raises:
            Problem, InputError, CannotRepair, DepartmentUnavailable, ObjectGone: It cannot be started.
            TooManyJobs, StorageFull: The caller uses as much as they may.
        """

        def new_job(file: File) -> tuple[Job, Repairs]:
            plan = self._planner.plan(cancellation, file, wanted, caller)
            mapped = {str(entry.dataset.ref) for entry in plan.mapping}
            approve = plan.request.approve
            job = self._new_job(
                file,
                caller,
                with_matched_key(plan.mapping, mapped if approve else plan.repairs),
                plan.request.options,
                plan.repairs,
                approve=approve,
                left_out=plan.left_out,
                recipe=plan.recipe,
            )
            return job, plan.repairs

        # What was not chosen is left out: a request has the hash that it had before there was the choice.
        later = {"options": wanted.options.given} | {name: getattr(wanted, name) for name in _LATER}
        asked = wanted.model_dump(exclude={name for name, chosen in later.items() if not chosen})
        return self._start(wanted.file, caller, key, asked, new_job)

    def review(self, job: str, wanted: Review, caller: Caller, key: str | None) -> Job:
        """Start a job that does the same, with the keys that a person approved in place of those it did not find.

        Raises:
            Problem, CannotRepair: It cannot be started.
            TooManyJobs, StorageFull: The caller uses as much as they may.
        """
        present, _ = self.finished(job, caller)
        repairs = reviewed_repairs(wanted.approve, wanted.keys, self.misses(present), self._store.repairs(present))
        mapping = with_matched_key(present.mapping, repairs)

        def new_job(file: File) -> tuple[Job, Repairs]:
            job = self._new_job(
                file,
                caller,
                mapping,
                present.options,
                repairs,
                approve=present.approve,
                left_out=present.left_out,
                recipe=present.recipe,
                review_of=present.id,
                reviewed=tuple(dict.fromkeys((*present.reviewed, *wanted.approve))),
            )
            return job, repairs

        asked = {"job": present.id, **wanted.model_dump()}
        return self._start(present.file_id, caller, key, asked, new_job)

    def choices(self, job: str, caller: Caller) -> tuple[Choices, Found]:
        """What was chosen for a finished job, with what was approved for its keys, and what it found.

        Raises:
            Problem: There is no such job, no result, or the caller may not see all of it.
        """
        present, _ = self.finished(job, caller)
        mapping: dict[str, list[str]] = {}
        for entry in present.mapping:
            mapping.setdefault(entry.column, []).append(str(entry.dataset.ref))
        chosen = {str(entry.dataset.ref): added_by(entry) for entry in present.mapping if entry.is_chosen}
        pairs = self._store.repairs(present).items()
        report = self.report(present)
        choices = Choices.model_validate(
            {
                "mapping": mapping,
                "columns": chosen or None,
                "options": present.options,
                "approve": tuple(dict.fromkeys((*present.approve, *present.reviewed))),
                "keys": {dataset: {cell: repair.key for cell, repair in each.items()} for dataset, each in pairs},
            }
        )
        return choices, {} if report is None else found_of(report)

    def _start(
        self,
        file_id: str,
        caller: Caller,
        key: str | None,
        asked: dict[str, Any],
        new_job: Callable[[File], tuple[Job, Repairs]],
    ) -> Job:
        request_hash = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
        if key is not None and not _KEY.fullmatch(key):
            detail = "An Idempotency-Key has 1 to 255 printable ASCII characters."
            raise Problem(422, "invalid-idempotency-key", "The idempotency key cannot be used", detail)
        for _ in range(2):
            if key is not None and (known := self._submitted(caller, key, request_hash)) is not None:
                return self.visible(known, caller)
            file = self._files.find(file_id, caller.subject)
            # Before what is worth much is done; the transaction sees to it that it still holds.
            self._usage.check(caller.subject, jobs=1, size=file.size)
            job, repairs = new_job(file)
            try:
                self._store.submit(job, file, key, request_hash, self._usage, repairs)
            except Conflict:
                # The file was deleted, or the same key came twice at once: the second look tells which. Or the write
                # was done though its answer was lost, and what conflicts with it is itself.
                if self._store.get(job.id) is None:
                    continue
            metrics.JOBS_SUBMITTED.labels("new").inc()
            log.info("job.submitted", job=job.id, owner=job.owner, file=file.id, departments=job.departments)
            self._tell_workers(job)
            return self.visible(job, caller)
        detail = "The file or the key changed meanwhile. Try again."
        raise Problem(409, "conflict", "Something else changed this", detail)

    def find(self, job: str, caller: Caller) -> Job:
        """The caller's job; raises a ``Problem`` where there is none."""
        return self.visible(self._own(job, caller), caller)

    def look(self, job: str) -> Job | None:
        """The job as it is, for whoever may follow it."""
        return self._store.get(job)

    def visible(self, job: Job, caller: Caller) -> Job:
        """The job without what the caller may not see at present."""
        return self._access.redacted(job, caller)

    def page(self, caller: Caller, limit: int, before: str | None) -> tuple[list[Job], str | None]:
        """The caller's jobs, newest first, and the place of the last one where there are more."""
        jobs, last = self._store.of_owner(caller.subject, limit, before)
        return [self.visible(job, caller) for job in jobs], last

    def cancel(self, job: str, caller: Caller) -> Job:
        """Cancel a job; one that runs is asked to stop. Raises a ``Problem``."""
        self._own(job, caller)
        return self.visible(self._cancelled(job), caller)

    def retry(self, job: str, caller: Caller) -> Job:
        """Queue a job again that failed or was cancelled, for the caller as they are now.

        Raises:
            Problem: It cannot be retried, or the caller may not see all of it any more.
            TooManyJobs: The caller has as many as they may.
        """
        present = self._own(job, caller)
        if not self._access.to_all_of(present, caller):
            raise problems.access_withdrawn()
        file = self._files.get(present.file_id, caller.subject)
        if not present.retryable or file is None:
            raise _not_retryable(present)
        self._usage.check(caller.subject, jobs=1)
        try:
            self._store.retry(present, file, caller.to_header(), int(time.time()) + CALLER_SECONDS, self._usage)
        except Conflict as error:
            detail = "The job or its file changed meanwhile. Look at the job again."
            raise Problem(409, "job-not-retryable", "The job cannot be retried", detail) from error
        metrics.JOBS_SUBMITTED.labels("retry").inc()
        log.info("job.retried", job=present.id, owner=present.owner)
        self._tell_workers(present)
        return self.visible(self._store.get(present.id) or present, caller)

    def finished(self, job: str, caller: Caller) -> tuple[Job, JobResult]:
        """The caller's job and its result; raises a ``Problem`` where there is none, or the caller may not see all."""
        found = self._own(job, caller)
        if found.result is None:
            detail = f"The job is {found.status}." if found.is_active else _ended(found)
            raise Problem(409, "job-not-finished", "There is no result", detail, job_status=found.status)
        if not self._access.to_all_of(found, caller):
            raise problems.access_withdrawn()
        return found, found.result

    def result(self, job: Job, result: JobResult, end: int) -> ObjectSource:
        """The enriched file up to the byte ``end``; to be closed."""
        return ObjectSource(self._objects, result_object(job.id, result.attempt), end, tries=_RESULT_TRIES)

    def report(self, job: Job) -> Report | None:
        """What the job did."""
        return self._store.report(job)

    def misses(self, job: Job) -> tuple[Misses, ...]:
        """The keys that a finished job did not find."""
        assert job.result is not None  # noqa: S101 - as ``finished`` answers it
        key = misses_object(job.id, job.result.attempt)
        try:
            size = self._objects.head(key)
        except ObjectGone:  # all were found
            return ()
        with closing(ObjectSource(self._objects, key, size, tries=_RESULT_TRIES)) as source:
            return MISSES.validate_json(source.read())

    def _own(self, job: str, caller: Caller) -> Job:
        found = self._store.get(job) if is_id(job) else None
        if found is None or found.owner != caller.subject:
            raise problems.no_such("job")
        return found

    def _submitted(self, caller: Caller, key: str, request_hash: str) -> Job | None:
        try:
            return self._store.submitted_with(caller.subject, key, request_hash)
        except KeyTaken as error:
            detail = "This Idempotency-Key was used for another request. Use a new one for a new request."
            raise Problem(422, "idempotency-key-reused", "The idempotency key is taken", detail) from error

    def _new_job(
        self,
        file: File,
        caller: Caller,
        mapping: tuple[MappedDataset, ...],
        options: FileOptions,
        repairs: Repairs,
        *,
        approve: tuple[str, ...],
        left_out: tuple[str, ...],
        recipe: UsedRecipe | None = None,
        review_of: str | None = None,
        reviewed: tuple[str, ...] = (),
    ) -> Job:
        now = time.time()
        job = Job(
            id=new_id(),
            owner=caller.subject,
            caller=caller.to_header(),
            caller_until=int(now) + CALLER_SECONDS,
            traceparent=trace_headers().get("traceparent"),
            file_id=file.id,
            file_name=file.name,
            file_size=file.size,
            file_format=file.format,
            departments=tuple(sorted({entry.dataset.ref.department for entry in mapping})),
            mapping=mapping,
            options=options,
            approve=approve,
            left_out=left_out,
            repairs=sum(map(len, repairs.values())),
            review_of=review_of,
            reviewed=reviewed,
            recipe=recipe,
            heartbeat=int(now * 1000),
            progress=JobProgress(total_bytes=file.size),
            created_at=iso(now),
            updated_at=iso(now),
            expires_at=int(now + self._retention_seconds),
        )
        if len(str(job.attributes("mapping")["mapping"]).encode()) > _MAX_MAPPING_BYTES:
            detail = "More columns are mapped than one job can keep. Map fewer of them."
            raise Problem(422, "mapping-too-large", "The mapping is too large", detail, field="mapping")
        return job

    def _tell_workers(self, job: Job) -> None:
        """Send the job's message. If that fails the sweeper will: the job is kept, and that is what was promised."""
        try:
            self._queue.send(job.id)
        except AwsError as error:
            log.warning("job.message_not_sent", job=job.id, error=str(error))

    def _cancelled(self, identifier: str) -> Job:
        for _ in range(_CANCEL_TRIES):
            job = self._store.get(identifier)
            if job is None:
                raise problems.no_such("job")
            if job.status == "cancelled":
                return job
            if not job.is_active:
                detail = f"The job has {job.status}; there is nothing to cancel."
                raise Problem(409, "job-finished", "The job is finished", detail)
            try:
                if job.status == "running":
                    return self._store.request_cancel(job)
                cancelled = self._store.cancel(job)
            except (Conflict, Fenced):
                continue
            log.info("job.cancelled", job=job.id, owner=job.owner)
            self._objects.clean_results(job.id, job.fence + 1)
            return cancelled
        raise Problem(409, "conflict", "Something else changed this", "The job changed all the time. Try again.")


def _ended(job: Job) -> str:
    return f"The job has {job.status}, and has no result."


def _not_retryable(job: Job) -> Problem:
    reason = "its file is gone" if job.retryable else f"it has {job.status}, and would end the same way again"
    if job.is_active:
        reason = f"it is {job.status}"
    return Problem(409, "job-not-retryable", "The job cannot be retried", f"The job cannot be retried: {reason}.")

"""From a request for a job to a job: the departments it may use, the mapping, the idempotency key."""

from __future__ import annotations

import hashlib
import re
import time

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field

from application import metrics
from application.api import problems
from application.api.context import Context
from application.api.documents import question_documents
from application.aws import AwsError
from application.engine import InputError, Mapping, decide
from application.errors import Conflict
from application.job_store import KeyTaken
from application.lookup import DepartmentLookup
from application.objects import upload_object
from application.records import CALLER_SECONDS, File, Job, JobProgress, MappedDataset, iso, new_id
from application.sandbox import Cancellation
from application.source import ObjectSource
from common.caller import Caller
from common.problem import Problem
from common.telemetry import trace_headers

log = structlog.get_logger()

_SOURCE_TRIES = 3
_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_MAX_MAPPING_BYTES = 200_000
"""Half of what DynamoDB takes as one item."""


class Wish(BaseModel):
    """What is to be done with a file: by default, all that can be found in all departments that the caller may use."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(max_length=64)
    departments: list[str] | None = Field(default=None, max_length=100)
    mapping: dict[str, list[str]] | None = Field(default=None, max_length=1000)
    columns: dict[str, list[str]] | None = Field(default=None, max_length=1000)

    def named(self) -> set[str]:
        """The departments that it names."""
        datasets = [name for names in (self.mapping or {}).values() for name in names] + list(self.columns or {})
        return {*(self.departments or ()), *(name.partition(".")[0] for name in datasets)}


def source_of(context: Context, file: File) -> ObjectSource:
    """The file's content."""
    return ObjectSource(context.objects, upload_object(file.id), file.size, tries=_SOURCE_TRIES)


def lookup_for(context: Context, wish: Wish, caller: Caller) -> DepartmentLookup:
    """Look-ups in the departments that the wish is about.

    Raises:
        InputError: It names a department that this caller cannot use.
        Problem: This caller can use none.
    """
    permitted = [department.name for department in context.access.departments(caller)]
    if unknown := sorted(wish.named() - set(permitted)):
        raise InputError(
            "unknown-department",
            "There is no such department",
            f"There is no department {unknown[0]!r} that you may use.",
            field="departments" if unknown[0] in (wish.departments or ()) else "mapping",
            expected=f"one of: {', '.join(permitted)}" if permitted else None,
        )
    if not permitted:
        raise problems.no_departments()
    # Columns alone choose what is added, not where it is looked for.
    chosen = wish.named() if wish.departments is not None or wish.mapping else permitted
    return context.lookup(caller, sorted(chosen), wish.departments or ())


def submit(cancellation: Cancellation, context: Context, wish: Wish, caller: Caller, key: str | None) -> Job:
    """Start a job; or find the one that this idempotency key started.

    Raises:
        Problem, InputError, DepartmentUnavailable, ObjectGone: It cannot be started.
        TooManyJobs, StorageFull: The caller uses as much as they may.
    """
    request_hash = hashlib.sha256(orjson.dumps(wish.model_dump(), option=orjson.OPT_SORT_KEYS)).hexdigest()
    if key is not None and not _KEY.fullmatch(key):
        detail = "An Idempotency-Key has 1 to 255 printable ASCII characters."
        raise Problem(422, "invalid-idempotency-key", "The idempotency key cannot be used", detail)
    for _ in range(2):
        if key is not None and (known := _submitted(context, caller, key, request_hash)) is not None:
            return known
        file = context.files.get(wish.file, caller.subject)
        if file is None:
            raise problems.no_such("file")
        # Before what is worth much is done; the transaction sees to it that it still holds.
        context.usage.check(caller.subject, jobs=1, size=file.size)
        job = _new_job(file, wish, caller, _mapping(cancellation, context, file, wish, caller), context)
        try:
            context.jobs.submit(job, file, key, request_hash, context.usage)
        except Conflict:
            # The file was deleted, or the same key came twice at once: the second look tells which. Or the write was
            # done though its answer was lost, and what conflicts with it is itself.
            if context.jobs.get(job.id) is None:
                continue
        metrics.JOBS_SUBMITTED.labels("new").inc()
        log.info("job.submitted", job=job.id, owner=job.owner, file=file.id, departments=job.departments)
        tell_workers(context, job)
        return job
    raise Problem(409, "conflict", "Something else changed this", "The file or the key changed meanwhile. Try again.")


def tell_workers(context: Context, job: Job) -> None:
    """Send the job's message. If that fails the sweeper will: the job is kept, and that is what was promised."""
    try:
        context.queue.send(job.id)
    except AwsError as error:
        log.warning("job.message_not_sent", job=job.id, error=str(error))


def _submitted(context: Context, caller: Caller, key: str, request_hash: str) -> Job | None:
    try:
        return context.jobs.submitted_with(caller.subject, key, request_hash)
    except KeyTaken as error:
        detail = "This Idempotency-Key was used for another request. Use a new one for a new request."
        raise Problem(422, "idempotency-key-reused", "The idempotency key is taken", detail) from error


def _mapping(cancellation: Cancellation, context: Context, file: File, wish: Wish, caller: Caller) -> Mapping:
    lookup = lookup_for(context, wish, caller)
    cancellation.also(lookup.stop)
    source = source_of(context, file)
    try:
        proposal = context.looking.propose_mapping(
            file,
            source,
            lookup,
            cancellation,
            departments=wish.departments,
            given=wish.mapping,
            columns=wish.columns,
        )
    finally:
        source.close()
    try:
        return decide(proposal)
    except InputError as error:
        problem = problems.of_input(error)
        if proposal.questions:
            problem.extra["questions"] = question_documents(proposal.questions)
        raise problem from error


def _new_job(file: File, wish: Wish, caller: Caller, mapping: Mapping, context: Context) -> Job:
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
        mapping=tuple(MappedDataset.of(entry) for entry in mapping),
        heartbeat=int(now * 1000),
        progress=JobProgress(total_bytes=file.size),
        created_at=iso(now),
        updated_at=iso(now),
        expires_at=int(now + context.settings.retention_days * 86400),
    )
    if len(str(job.attributes("mapping")["mapping"]).encode()) > _MAX_MAPPING_BYTES:
        detail = "More columns are mapped than one job can keep. Map fewer of them."
        raise Problem(422, "mapping-too-large", "The mapping is too large", detail, field="mapping")
    return job

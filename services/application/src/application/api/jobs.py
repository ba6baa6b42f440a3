"""Jobs: submitted, listed, followed, cancelled, retried; and the preview of one."""

from __future__ import annotations

import time
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from application import metrics
from application.api import problems
from application.api.authentication import CallerDep
from application.api.context import Context, ContextDep
from application.api.cursors import cursor_of, place_of
from application.api.documents import job_document, preview_document
from application.api.openapi import answers
from application.api.schemas import JobDocument, JobPage, PreviewDocument
from application.api.submission import Wish, lookup_for, source_of, submit, tell_workers
from application.errors import Conflict, Fenced
from application.records import CALLER_SECONDS, File, Job
from application.sandbox import Cancellation
from common.caller import Caller
from common.problem import Problem

log = structlog.get_logger()
router = APIRouter(prefix="/api")

_TRIES = 5


class PreviewWish(Wish):
    """As for a job, and how many rows to show."""

    rows: int = Field(default=10, strict=True, ge=1, le=100)


@router.post("/preview", responses=answers(200, PreviewDocument, "The first rows."))
async def show_preview(wish: PreviewWish, request: Request, caller: CallerDep, context: ContextDep) -> Response:
    """The first rows of a file, enriched at once, with why each column was taken for a key."""
    file = await context.file(wish.file, caller)
    return JSONResponse(await context.compute(request, _preview, context, file, wish, caller))


def _preview(
    cancellation: Cancellation, context: Context, file: File, wish: PreviewWish, caller: Caller
) -> dict[str, Any]:
    source = source_of(context, file)
    try:
        lookup = lookup_for(context, wish, caller)
        cancellation.also(lookup.stop)
        shown = context.looking.preview(
            file,
            source,
            lookup,
            cancellation,
            departments=wish.departments,
            given=wish.mapping,
            columns=wish.columns,
            rows=wish.rows,
        )
    finally:
        source.close()
    return preview_document(shown)


@router.post("/jobs", status_code=202, responses=answers(202, JobDocument, "The job."))
async def start(
    wish: Wish,
    request: Request,
    caller: CallerDep,
    context: ContextDep,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Start a job on a file; with the same `Idempotency-Key` and body again, the same job is answered."""
    job = await context.compute(request, submit, context, wish, caller, idempotency_key)
    return _accepted(job, caller, context)


@router.get("/jobs", responses=answers(200, JobPage, "A page of jobs."))
async def show_all(
    caller: CallerDep,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The caller's own jobs, newest first."""
    jobs, last = await context.call(context.jobs.of_owner, caller.subject, limit, place_of(cursor, "JOB#"))
    return {
        "jobs": [job_document(context.access.redacted(job, caller)) for job in jobs],
        "next": cursor_of(last),
    }


@router.get("/jobs/{job}", responses=answers(200, JobDocument, "The job."))
async def show(job: str, caller: CallerDep, context: ContextDep) -> dict[str, Any]:
    """How a job is doing."""
    return job_document(context.access.redacted(await context.job(job, caller), caller))


@router.delete("/jobs/{job}", status_code=202, responses=answers(202, JobDocument, "The job."))
async def cancel(job: str, caller: CallerDep, context: ContextDep) -> Response:
    """Cancel a job; one that runs stops within seconds."""
    await context.job(job, caller)
    cancelled = await context.call(_cancel, context, job)
    return _accepted(cancelled, caller, context)


def _cancel(context: Context, identifier: str) -> Job:
    for _ in range(_TRIES):
        job = context.jobs.get(identifier)
        if job is None:
            raise problems.no_such("job")
        if job.status == "cancelled":
            return job
        if not job.is_active:
            detail = f"The job has {job.status}; there is nothing to cancel."
            raise Problem(409, "job-finished", "The job is finished", detail)
        try:
            if job.status == "running":
                return context.jobs.request_cancel(job)
            cancelled = context.jobs.cancel(job)
        except (Conflict, Fenced):
            continue
        log.info("job.cancelled", job=job.id, owner=job.owner)
        context.objects.clean_results(job.id, job.fence + 1)
        return cancelled
    raise Problem(409, "conflict", "Something else changed this", "The job changed all the time. Try again.")


@router.post("/jobs/{job}/retry", status_code=202, responses=answers(202, JobDocument, "The job."))
async def retry(job: str, caller: CallerDep, context: ContextDep) -> Response:
    """Run a job again that failed or was cancelled, for the caller as they are now."""
    present = await context.job(job, caller)
    if not context.access.to_all_of(present, caller):
        raise problems.access_withdrawn()
    retried = await context.call(_retry, context, present, caller)
    return _accepted(retried, caller, context)


def _retry(context: Context, job: Job, caller: Caller) -> Job:
    file = context.files.get(job.file_id, caller.subject)
    if not job.retryable or file is None:
        reason = "its file is gone" if job.retryable else f"it has {job.status}, and would end the same way again"
        if job.is_active:
            reason = f"it is {job.status}"
        raise Problem(409, "job-not-retryable", "The job cannot be retried", f"The job cannot be retried: {reason}.")
    context.usage.check(caller.subject, jobs=1)
    try:
        context.jobs.retry(job, file, caller.to_header(), int(time.time()) + CALLER_SECONDS, context.usage)
    except Conflict as error:
        detail = "The job or its file changed meanwhile. Look at the job again."
        raise Problem(409, "job-not-retryable", "The job cannot be retried", detail) from error
    metrics.JOBS_SUBMITTED.labels("retry").inc()
    log.info("job.retried", job=job.id, owner=job.owner)
    tell_workers(context, job)
    return context.jobs.get(job.id) or job


def _accepted(job: Job, caller: Caller, context: Context) -> Response:
    document = job_document(context.access.redacted(job, caller))
    return JSONResponse(document, 202, {"location": f"/api/jobs/{job.id}"})

"""Jobs: submitted, listed, followed, cancelled, retried; and the preview of one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from application.http.authentication import CallerDep
from application.http.cursors import cursor_of, place_of
from application.http.dependencies import JobsDep, PlannerDep, TurnsDep
from application.http.openapi import answers
from application.http.representations import job_document, preview_document
from application.http.schemas import JobDocument, JobPage, PreviewDocument
from application.jobs.requests import JobRequest, PreviewRequest, Review
from application.records import Job

router = APIRouter(prefix="/api")


@router.post("/preview", responses=answers(200, PreviewDocument, "The first rows."))
async def show_preview(
    wanted: PreviewRequest, request: Request, caller: CallerDep, turns: TurnsDep, planner: PlannerDep
) -> Response:
    """The first rows of a file, enriched at once, with how it is read, and why each column was taken for a key."""
    return JSONResponse(preview_document(await turns.compute(request, planner.preview, wanted, caller)))


@router.post("/jobs", status_code=202, responses=answers(202, JobDocument, "The job."))
async def start(
    wanted: JobRequest,
    request: Request,
    caller: CallerDep,
    turns: TurnsDep,
    jobs: JobsDep,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Start a job on a file; with the same `Idempotency-Key` and body again, the same job is answered."""
    return _accepted(await turns.compute(request, jobs.submit, wanted, caller, idempotency_key))


@router.get("/jobs", responses=answers(200, JobPage, "A page of jobs."))
async def show_all(
    caller: CallerDep,
    turns: TurnsDep,
    jobs: JobsDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The caller's own jobs, newest first."""
    found, last = await turns.call(jobs.page, caller, limit, place_of(cursor, "JOB#"))
    return {"jobs": [job_document(job) for job in found], "next": cursor_of(last)}


@router.get("/jobs/{job}", responses=answers(200, JobDocument, "The job."))
async def show(job: str, caller: CallerDep, turns: TurnsDep, jobs: JobsDep) -> dict[str, Any]:
    """How a job is doing."""
    return job_document(await turns.call(jobs.find, job, caller))


@router.delete("/jobs/{job}", status_code=202, responses=answers(202, JobDocument, "The job."))
async def cancel(job: str, caller: CallerDep, turns: TurnsDep, jobs: JobsDep) -> Response:
    """Cancel a job; one that runs stops within seconds."""
    return _accepted(await turns.call(jobs.cancel, job, caller))


@router.post("/jobs/{job}/retry", status_code=202, responses=answers(202, JobDocument, "The job."))
async def retry(job: str, caller: CallerDep, turns: TurnsDep, jobs: JobsDep) -> Response:
    """Run a job again that failed or was cancelled, for the caller as they are now."""
    return _accepted(await turns.call(jobs.retry, job, caller))


@router.post("/jobs/{job}/review", status_code=202, responses=answers(202, JobDocument, "The new job."))
async def review(
    job: str,
    wanted: Review,
    caller: CallerDep,
    turns: TurnsDep,
    jobs: JobsDep,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Start a job that does what a finished one did, with approved keys in place of those that were not found.

    `approve` takes the best proposal of each key with such a cause; `keys` has the key to use by data set and key.
    """
    return _accepted(await turns.call(jobs.review, job, wanted, caller, idempotency_key))


def _accepted(job: Job) -> Response:
    return JSONResponse(job_document(job), 202, {"location": f"/api/jobs/{job.id}"})

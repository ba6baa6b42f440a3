"""Progress of a job as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import orjson
from fastapi import APIRouter
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from application.http.authentication import CallerDep
from application.http.dependencies import FollowingDep, JobsDep, TurnsDep
from application.http.openapi import content
from application.http.representations import job_document
from application.jobs.following import Following, Look
from application.jobs.service import JobService
from application.records import Job
from common.caller import Caller

router = APIRouter(prefix="/api/jobs")

COMMENT_SECONDS = 15
"""Proxies close a connection on which nothing is sent for long; 60 s is an ALB's default."""


@router.get("/{job}/events", responses=content(200, "The job, as `progress` and at last `done`.", "text/event-stream"))
async def follow(job: str, caller: CallerDep, turns: TurnsDep, jobs: JobsDep, following: FollowingDep) -> Response:
    """The job as it is, and on each change; the last event is `done`."""
    present = await turns.call(jobs.find, job, caller)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    events = _events(present, caller, jobs, following, partial(turns.call, jobs.look, job))
    return EventSourceResponse(events, ping=COMMENT_SECONDS, headers=headers)


async def _events(
    job: Job, caller: Caller, jobs: JobService, following: Following, look: Look
) -> AsyncIterator[ServerSentEvent]:
    told: dict[str, object] = {}
    present: Job | None = job
    with following.follow(job.id, look) as followed:
        while present is not None:
            document = job_document(jobs.visible(present, caller))
            # A heartbeat without progress is no news.
            news = {name: value for name, value in document.items() if name != "updated_at"}
            if not present.is_active:
                yield ServerSentEvent(orjson.dumps(document).decode(), event="done")
                return
            if news != told:
                yield ServerSentEvent(orjson.dumps(document).decode(), event="progress")
                told = news
            present = await followed.next()

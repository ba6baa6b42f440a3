"""Progress of a job as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import structlog
from fastapi import APIRouter
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from application.api.authentication import CallerDep
from application.api.context import Context, ContextDep
from application.api.documents import job_document
from application.api.openapi import content
from application.aws import AwsError
from application.records import Job
from common.caller import Caller

log = structlog.get_logger()
router = APIRouter(prefix="/api/jobs")

COMMENT_SECONDS = 15
"""Proxies close a connection on which nothing is sent for long; 60 s is an ALB's default."""


@router.get("/{job}/events", responses=content(200, "The job, as `progress` and at last `done`.", "text/event-stream"))
async def follow(job: str, caller: CallerDep, context: ContextDep) -> Response:
    """The job as it is, and on each change; the last event is `done`."""
    present = await context.job(job, caller)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return EventSourceResponse(_events(present, caller, context), ping=COMMENT_SECONDS, headers=headers)


async def _events(job: Job, caller: Caller, context: Context) -> AsyncIterator[ServerSentEvent]:
    told: dict[str, object] = {}
    present = job
    while True:
        document = job_document(context.access.redacted(present, caller))
        # A heartbeat without progress is no news.
        news = {name: value for name, value in document.items() if name != "updated_at"}
        if not present.is_active:
            yield ServerSentEvent(orjson.dumps(document).decode(), event="done")
            return
        if news != told:
            yield ServerSentEvent(orjson.dumps(document).decode(), event="progress")
            told = news
        await asyncio.sleep(context.settings.events_poll_seconds)
        try:
            found = await context.call(context.jobs.get, job.id)
        except AwsError as error:
            log.warning("events.poll_failed", job=job.id, error=str(error))
            continue
        if found is None:
            return
        present = found

"""Finds jobs that nobody seems to work on, and tells the workers of them again.

That is a job whose worker died, and one whose message was lost, or never sent. Each look-out doubles the time until
the same job is sent again, so that a long queue is not made longer.
"""

from __future__ import annotations

import asyncio
import random
import time

import structlog

from application import metrics
from application.aws.clients import AwsError
from application.errors import Conflict
from application.records import Job
from application.worker.context import Context

log = structlog.get_logger()

_MOST_DOUBLINGS = 5


class Sweeper:
    """Each worker has one; that several look at the same time is harmless."""

    def __init__(self, context: Context, stopping: asyncio.Event) -> None:
        """Runs until ``stopping`` is set."""
        self._context = context
        self._stopping = stopping

    async def run(self) -> None:
        """Look from time to time."""
        period = self._context.settings.sweep_seconds
        while not self._stopping.is_set():
            try:
                await self._context.call(self.sweep)
            except AwsError as error:
                log.warning("sweep.failed", error=str(error))
            try:
                async with asyncio.timeout(period * random.uniform(0.75, 1.25)):  # noqa: S311 - keeps sweepers apart
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def sweep(self) -> None:
        """Look once."""
        now = int(time.time() * 1000)
        silent_ms = int(self._context.settings.silent_seconds * 1000)
        for job in self._context.jobs.silent(now - silent_ms):
            if not job.is_expired and job.heartbeat + silent_ms * 2 ** min(job.resends, _MOST_DOUBLINGS) <= now:
                self._send_again(job)

    def _send_again(self, job: Job) -> None:
        try:
            self._context.jobs.note_resend(job)
        except Conflict:
            return
        self._context.queue.send(job.id)
        metrics.RESENT.inc()
        log.warning("job.sent_again", job=job.id, status=job.status, resends=job.resends + 1)

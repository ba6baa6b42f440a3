"""Takes messages from the queue, and brings jobs to an end.

A message is the right to run one job: the job whose turn it is, which need not be the job that the message names. So
the order of messages decides nothing. Each queued job brings one message and each finished job uses one up, so there
are enough of them; the sweeper replaces a lost one.
"""

from __future__ import annotations

import asyncio
import math
import time
import traceback
from typing import Any

import structlog
from opentelemetry.trace import SpanKind

from application import metrics
from application.aws.clients import AwsError, is_transient
from application.aws.queue import Message
from application.engine import DepartmentUnavailable, InputError
from application.errors import Conflict, DepartmentRefused, Fenced, ObjectGone
from application.jobs.store import Waiting
from application.records import Job
from application.sandbox import EngineFailed
from application.worker.attempt import Attempt, Stop, Stopped
from application.worker.context import Context
from application.worker.failures import caller_expired, failure_of, too_many_attempts
from application.worker.shares import Shares
from common.telemetry import span

log = structlog.get_logger()

_LONGEST_PAUSE = 60.0
_INDEX_SECONDS = 0.5
_MOST_WAITING = 250
"""Five times what one subject may have (MAX_ACTIVE_JOBS), so that other subjects' jobs are among them."""


class Consumer:
    """One slot for a job. Several share a worker."""

    def __init__(self, context: Context, stopping: asyncio.Event, shares: Shares) -> None:
        """Runs until ``stopping`` is set; ``shares`` is the same for all slots of the worker."""
        self._context = context
        self._shares = shares
        self._stopping = stopping
        self._attempt: Attempt | None = None

    async def run(self) -> None:
        """Receive and handle messages; a queue that fails is asked again."""
        settings = self._context.settings
        pause = 0.5
        while not self._context.directory.known and not self._stopping.is_set():
            # A job that is begun now would fail for departments that are there.
            await self._sleep(pause)
        while not self._stopping.is_set():
            try:
                message = await self._context.call(
                    self._context.queue.receive, settings.receive_seconds, settings.visibility_seconds
                )
                if message is not None:
                    await self._handle(message)
                pause = 0.5
            except AwsError as error:
                log.warning("queue.failed", error=str(error))
                await self._sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            except Exception as error:  # noqa: BLE001 - one message that cannot be handled must not stop the others
                log.error("message.failed", error=type(error).__name__, places=traceback.format_tb(error.__traceback__))
                await self._sleep(pause)

    def release(self) -> None:
        """Give the job in hand back, for another worker."""
        if self._attempt is not None:
            self._attempt.stop(Stop.RELEASED)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _handle(self, message: Message) -> None:
        context = self._context
        if self._stopping.is_set():
            await context.call(context.queue.hide, message, 0)
            return
        if message.job is None:
            log.warning("queue.bad_message")
            await context.call(context.queue.delete, message)
            return
        if not await self._run_next(message, message.job):
            await self._discard(message, message.job)

    async def _run_next(self, message: Message, named: str) -> bool:
        """Run the job whose turn it is and delete the message; False if no job can begin now."""
        context = self._context
        silent_ms = int(context.settings.silent_seconds * 1000)
        waiting = await context.call(context.jobs.waiting, silent_ms, _MOST_WAITING)
        if all(each.id != named for each in waiting):
            job = await context.call(context.jobs.get, named)
            if job is not None and job.may_begin(silent_ms):
                waiting.append(Waiting(job.id, job.owner, job.heartbeat))
        for each in self._shares.in_turn(waiting, named):
            with structlog.contextvars.bound_contextvars(job=each.id), self._shares.slot(each.owner):
                job = await context.call(context.jobs.get, each.id)
                if job is None or not job.may_begin(silent_ms):
                    continue
                try:
                    claimed = await self._claim(job, silent_ms)
                except (Conflict, Fenced):
                    continue
                if claimed is None:
                    await self._settle(job.id, message)
                else:
                    await self._run(claimed, message)
                return True
        return False

    async def _discard(self, message: Message, named: str) -> None:
        """Delete the message for which no job can begin now."""
        context = self._context
        job = await context.call(context.jobs.get, named)
        if job is not None and job.is_active:
            # Its job runs by the message of another job, which needs this one and may not be in the index yet.
            await self._sleep(_INDEX_SECONDS)
            if self._stopping.is_set():
                await context.call(context.queue.hide, message, 0)
                return
            if await self._run_next(message, named):
                return
            job = await context.call(context.jobs.get, named)
            if job is not None and job.status == "queued":
                seconds = max(1, math.ceil(job.heartbeat / 1000 - time.time()))
                await context.call(context.queue.hide, message, seconds)
                return
        await self._settle(named, message)

    async def _claim(self, job: Job, silent_ms: int) -> Job | None:
        """Begin the job; None if it ended instead.

        Raises:
            Conflict, Fenced: Another worker was quicker.
        """
        context = self._context
        if job.attempts >= context.settings.max_attempts:
            await context.call(context.jobs.fail, job, too_many_attempts(job.attempts), retryable=True)
            return None
        claimed = await context.call(context.jobs.claim, job, silent_ms)
        if claimed.cancel_requested:
            await context.call(context.jobs.cancel, claimed)
            return None
        if claimed.caller_until <= time.time():
            await context.call(context.jobs.fail, claimed, caller_expired(), retryable=True)
            return None
        return claimed

    async def _run(self, job: Job, message: Message) -> None:
        started = time.monotonic()
        outcome = "fenced"
        with (
            metrics.RUNNING.track_inprogress(),
            span("job", SpanKind.CONSUMER, traceparent=job.traceparent, job=job.id, attempt=job.fence) as traced,
        ):
            log.info("job.started", attempt=job.fence, attempts=job.attempts)
            self._attempt = Attempt(self._context, job, message)
            if self._stopping.is_set():
                self._attempt.stop(Stop.RELEASED)
            try:
                await self._attempt.run()
                outcome = "succeeded"
            except Exception as error:  # noqa: BLE001 - whatever it was, the job must not be left as running
                try:
                    outcome = await self._end(job, message, error)
                except Fenced:
                    outcome = "fenced"
            finally:
                self._attempt = None
                traced.set_attribute("outcome", outcome)
            seconds = time.monotonic() - started
            metrics.ATTEMPTS.labels(outcome).observe(seconds)
            log.info("job.ended", attempt=job.fence, outcome=outcome, seconds=round(seconds, 3))
        if outcome not in {"released", "again"}:
            await self._settle(job.id, message)

    async def _end(self, job: Job, message: Message, error: Exception) -> str:
        """What an attempt that did not succeed makes of its job."""
        context = self._context
        match error:
            case Stopped(reason=Stop.CANCELLED):
                await context.call(context.jobs.cancel, job)
                return "cancelled"
            case Stopped(reason=Stop.RELEASED):
                await self._give_back(job, message, counts=False, seconds=0)
                return "released"
            case Stopped(reason=Stop.EXPIRED):
                return await self._fail(job, caller_expired(), retryable=True)
            case Stopped():
                return "fenced"
            case InputError() | ObjectGone():
                return await self._fail(job, failure_of(error), retryable=False)
            case DepartmentUnavailable() | DepartmentRefused():
                return await self._fail(job, failure_of(error), retryable=True)
        # The message of an unforeseen error may quote the file, so it is not logged; where it happened is.
        if isinstance(error, EngineFailed):
            kind, places = error.kind, error.places
        else:
            kind, places = type(error).__name__, traceback.format_tb(error.__traceback__)
        log.error("job.attempt_failed", attempt=job.fence, error=kind, places=places)
        is_aws = is_transient(error)
        if not is_aws and job.attempts >= context.settings.max_attempts:
            return await self._fail(job, failure_of(error), retryable=True)
        # AWS's failing is not the job's fault; it ends when the caller's verification does.
        pause = min(_LONGEST_PAUSE, context.settings.retry_seconds * 2 ** min(job.fence - 1, 10))
        await self._give_back(job, message, counts=not is_aws, seconds=int(pause))
        return "again"

    async def _fail(self, job: Job, error: dict[str, Any], *, retryable: bool) -> str:
        await self._context.call(self._context.jobs.fail, job, error, retryable=retryable)
        log.warning("job.failed", error=error["type"], department=error.get("department"))
        return "failed"

    async def _give_back(self, job: Job, message: Message, *, counts: bool, seconds: int) -> None:
        context = self._context
        await context.call(context.jobs.release, job, counts=counts, seconds=seconds)
        await context.call(context.queue.hide, message, seconds)

    async def _settle(self, identifier: str, message: Message) -> None:
        """Remove what attempts left behind, then the message: if the first fails, the message comes again for it."""
        context = self._context
        job = await context.call(context.jobs.get, identifier)
        if job is not None and not job.is_active:
            keep = None if job.result is None else job.result.attempt
            await context.call(context.objects.clean_results, job.id, job.fence + 1, keep)
        await context.call(context.queue.delete, message)

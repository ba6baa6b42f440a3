"""One attempt at a job: the engine in a process, a heartbeat beside it, one write that publishes what came out."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import BinaryIO, TypeVar, cast

import structlog

from application import metrics
from application.aws.clients import AwsError, is_transient
from application.aws.objects import MEBIBYTE, misses_object, result_object, upload_object
from application.aws.queue import Message
from application.aws.sink import ObjectSink
from application.aws.source import ObjectSource
from application.departments.lookup import DepartmentLookup
from application.engine import DEFAULT_LIMITS, Cancelled, Progress, Report
from application.errors import Fenced
from application.jobs.explaining import EXPLAINED_KEYS, explained, shortened
from application.jobs.repairs import MISSES, RepairedLookup, Repairs, approved, misses_of, says_matched_key
from application.recipes.records import found_of
from application.records import Job, JobResult
from application.sandbox import Budget, Cancellation
from application.worker.context import Context
from application.worker.tracker import Tracker
from common.telemetry import span

log = structlog.get_logger()

Result = TypeVar("Result")

_CALL_SECONDS = 30.0
_SOURCE_TRIES = 10
_PUBLISH_SECONDS = 600.0
_LONGEST_PAUSE = 10.0
_LIMITS = replace(DEFAULT_LIMITS, unmatched_sample=EXPLAINED_KEYS)


class Stop(Enum):
    """Why an attempt ends before it is done."""

    CANCELLED = "the owner cancelled the job"
    RELEASED = "the worker is stopped"
    FENCED = "the job belongs to another attempt"
    EXPIRED = "the caller was verified too long ago"


class Stopped(Exception):
    """The attempt ended early."""

    def __init__(self, reason: Stop) -> None:
        """``reason`` says why."""
        super().__init__(reason.value)
        self.reason = reason


class Attempt:
    """Runs a job that has been claimed."""

    def __init__(self, context: Context, job: Job, message: Message) -> None:
        self._context = context
        self._job = job
        self._message = message
        self._tracker = Tracker(job.file_size)
        self._stop: Stop | None = None
        self._cancellation = Cancellation()
        self._done = asyncio.Event()
        self._lookup = DepartmentLookup(
            context.departments,
            asyncio.get_running_loop(),
            job.on_behalf_of,
            job.departments,
            call_seconds=min(_CALL_SECONDS, context.settings.department_seconds),
            total_seconds=context.settings.department_seconds,
        )
        self._cancellation.also(self._lookup.stop)

    def stop(self, reason: Stop) -> None:
        """End the attempt soon; the first reason counts."""
        if self._stop is None:
            self._stop = reason
            self._cancellation.cancel()

    async def run(self) -> Job:
        """Do it; the job as published.

        Raises:
            Stopped: It was ended early.
            InputError, DepartmentUnavailable, ObjectGone: As the engine or its source.
            ClientError, BotoCoreError: AWS failed for longer than tries last.
        """
        beats = asyncio.gather(self._beat(), self._hide())
        try:
            with span("enrich"):
                repairs = await self._context.call(self._context.jobs.repairs, self._job)
                result, report = await self._context.compute(partial(self._enrich, repairs))
            with span("publish", rows=report.rows):
                return await self._publish(result, report)
        except (Cancelled, Fenced) as error:
            raise Stopped(self._stop or Stop.FENCED) from error
        finally:
            # A beat that is under way is waited for: after the end of the attempt it would undo what is done then.
            self._done.set()
            await beats

    def _enrich(self, repairs: Repairs) -> tuple[JobResult, Report]:
        """Write the result under this attempt's own key. Nothing is left if this raises.

        Which proposals were approved with the job is known when all keys were looked up; where there are any, the file
        is enriched once more.
        """
        job, objects = self._job, self._context.objects
        objects.clean_results(job.id, below=job.fence)
        report, sink = self._enriched(repairs)
        try:
            more = approved(job.approve, misses_of(report), repairs)
            if more != repairs:
                sink.abort()
                report, sink = self._enriched(more)
            if misses := misses_of(report):
                objects.put(misses_object(job.id, job.fence), MISSES.dump_json(misses))
            etag = sink.complete()
        except BaseException:
            sink.abort()
            raise
        found = sum(entry.matched for entry in report.mappings)
        keys = found + sum(entry.unmatched for entry in report.mappings)
        result = JobResult(attempt=job.fence, size=sink.size, etag=etag, charset=report.charset, found=found, keys=keys)
        return result, shortened(report)

    def _enriched(self, repairs: Repairs) -> tuple[Report, ObjectSink]:
        """Serve the engine; what it wrote is to be completed."""
        job, objects = self._job, self._context.objects
        source = ObjectSource(objects, upload_object(job.file_id), job.file_size, tries=_SOURCE_TRIES)
        sink = ObjectSink(objects, result_object(job.id, job.fence))
        saying = {str(entry.dataset.ref) for entry in job.mapping if says_matched_key(entry)}
        lookup = RepairedLookup(self._lookup, repairs, saying)
        try:
            report = self._context.sandbox.enrich(
                source,
                job.file_format,
                job.engine_mapping,
                lookup,
                cast("BinaryIO", sink),
                progress=self._on_progress,
                options=job.options,
                limits=_LIMITS,
                budget=self._budget(),
                cancellation=self._cancellation,
            )
            report = explained(lookup.counted(report), self._lookup)
            report = report.model_copy(update={"warnings": (*job.left_out, *report.warnings)})
            if self._stop is not None:
                raise Cancelled
        except BaseException:
            sink.abort()
            raise
        finally:
            source.close()
        return report, sink

    def _budget(self) -> Budget:
        settings = self._context.settings
        more = int(settings.job_cpu_seconds_per_mebibyte * self._job.file_size / MEBIBYTE)
        return Budget(settings.job_memory_bytes, settings.job_cpu_seconds + more)

    def _on_progress(self, progress: Progress) -> None:
        self._tracker.note(progress)
        if self._stop is not None:
            raise Cancelled

    async def _publish(self, result: JobResult, report: Report) -> Job:
        jobs, job = self._context.jobs, self._job
        await self._persistently(lambda: jobs.keep_report(job, report))
        if (recipe := job.recipe) is not None and job.review_of is None:
            await self._persistently(lambda: self._context.recipes.note_run(recipe.id, found_of(report)))
        progress = self._tracker.finished(report.rows, report.duration_seconds)
        published = await self._persistently(lambda: jobs.publish(job, result, progress))
        metrics.ROWS.inc(report.rows)
        return published

    async def _persistently(self, call: Callable[[], Result]) -> Result:
        """Try again while AWS fails: the work is done, and throwing it away helps nobody."""
        deadline = time.monotonic() + _PUBLISH_SECONDS
        pause = 0.5
        while True:
            try:
                return await self._context.call(call)
            except AwsError as error:
                if not is_transient(error) or self._stop is Stop.RELEASED or time.monotonic() > deadline:
                    raise
                log.warning("job.publish_again", job=self._job.id, error=str(error))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads tries, guards nothing
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _beat(self) -> None:
        """Show that the attempt is alive and how far it is; notice what has become of the job meanwhile."""
        context = self._context
        while not await self._ended_within(context.settings.heartbeat_seconds):
            try:
                present = await context.call(context.jobs.beat, self._job, self._tracker.progress())
            except Fenced:
                self.stop(Stop.FENCED)
                return
            except AwsError as error:
                log.warning("job.beat_failed", job=self._job.id, error=str(error))
                continue
            if present.cancel_requested:
                self.stop(Stop.CANCELLED)
            if present.caller_until <= time.time():
                self.stop(Stop.EXPIRED)

    async def _ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._done.wait()
        except TimeoutError:
            return False
        return True

    async def _hide(self) -> None:
        """Keep the message from other workers."""
        context = self._context
        seconds = context.settings.visibility_seconds
        while not await self._ended_within(seconds / 3):
            try:
                await context.call(context.queue.hide, self._message, seconds)
            except AwsError as error:
                log.warning("job.message_not_hidden", job=self._job.id, error=str(error))

"""Whether the process can do its work: asks what it stands on, at most every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from application.aws.clients import AwsError
from application.aws.objects import Objects
from application.aws.queue import JobQueue
from application.aws.table import Table
from common.departments import Departments

log = structlog.get_logger()

_KEEP_SECONDS = 5.0
_CHECK_SECONDS = 4.0


class Readiness:
    """Checks bucket, queue and table, all at once, and whether the departments are known."""

    def __init__(self, objects: Objects, queue: JobQueue, table: Table, departments: Departments) -> None:
        self._checks: Mapping[str, Callable[[], None]] = {
            "bucket": objects.check,
            "queue": queue.check,
            "table": table.check,
        }
        self._departments = departments
        self._known: dict[str, str] = {}
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def details(self) -> dict[str, str]:
        """For each of them ``ok``, or what is wrong."""
        async with self._lock:
            if time.monotonic() >= self._until:
                answers = await asyncio.gather(*(self._check(check) for check in self._checks.values()))
                self._known = dict(zip(self._checks, answers, strict=True))
                self._until = time.monotonic() + _KEEP_SECONDS
                if set(answers) != {"ok"}:
                    log.warning("readiness.failed", **self._known)
        return {**self._known, "departments": "ok" if self._departments.known else "could not be listed yet"}

    async def _check(self, check: Callable[[], None]) -> str:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await asyncio.to_thread(check)
        except TimeoutError:
            return "does not answer"
        except AwsError as error:
            return f"fails: {type(error).__name__}"
        return "ok"

"""Jobs that are followed: each is looked at once for all of its followers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from application.aws.clients import AwsError
from application.records import Job

log = structlog.get_logger()

Look = Callable[[], Awaitable[Job | None]]
"""Reads a job from the table; None once it is gone."""


class Followed:
    """One job, for as long as it has followers."""

    def __init__(self, look: Look, seconds: float) -> None:
        """Look every so many ``seconds``."""
        self.followers = 0
        self._look = look
        self._seconds = seconds
        self._news: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._watch())

    @property
    def is_over(self) -> bool:
        """Whether nobody looks any more."""
        return self._task.done()

    async def next(self) -> Job | None:
        """Wait for the next look; the job as it was seen, None once it is gone. Raises what a look raises."""
        return await asyncio.shield(self._news)

    def end(self) -> None:
        """Nobody follows."""
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                found = await self._look()
            except AwsError as error:
                log.warning("events.poll_failed", error=str(error))
                continue
            except Exception as error:  # noqa: BLE001 - it belongs to the followers
                self._news.set_exception(error)
                return
            news, self._news = self._news, asyncio.get_running_loop().create_future()
            news.set_result(found)


class Following:
    """The jobs that are followed. For the tasks of one event loop."""

    def __init__(self, seconds: float) -> None:
        """Nobody follows; there is a look every so many ``seconds``."""
        self._seconds = seconds
        self._jobs: dict[str, Followed] = {}

    @contextmanager
    def follow(self, job: str, look: Look) -> Iterator[Followed]:
        """Follow ``job`` while the block runs; all its followers share the first one's ``look``."""
        followed = self._jobs.get(job)
        if followed is None or followed.is_over:
            followed = self._jobs[job] = Followed(look, self._seconds)
        followed.followers += 1
        try:
            yield followed
        finally:
            followed.followers -= 1
            if not followed.followers:
                followed.end()
                if self._jobs.get(job) is followed:
                    del self._jobs[job]

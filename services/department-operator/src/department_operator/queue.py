"""Names to work on: each once at a time, the same name again after it changed, and ever more seldom while it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from department_operator.errors import TryAgain
from department_operator.metrics import RETRIES

log = structlog.get_logger()

FIRST_RETRY_SECONDS: Final = 0.5
LAST_RETRY_SECONDS: Final = 60.0


class WorkQueue:
    """What is added while it waits is one piece of work; what is added while it is worked on is worked on once more."""

    def __init__(
        self, name: str, work: Callable[[str], Awaitable[None]], workers: int, max_retries: int | None = None
    ) -> None:
        """Nothing is waiting yet.

        Args:
            work: Is given a name; `TryAgain` repeats it.
            workers: How many names are worked on at once.
            max_retries: After so many the name is let go, until it is added again.
        """
        self._name = name
        self._work = work
        self._workers = workers
        self._max_retries = max_retries
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def add(self, name: str) -> None:
        """Work on `name` soon, and as if it had never failed."""
        self._failures.pop(name, None)
        self._put(name)

    def start(self) -> list[asyncio.Task[None]]:
        """The tasks that work until they are cancelled."""
        return [asyncio.create_task(self._run_worker(), name=self._name) for _ in range(self._workers)]

    def _put(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        if name in self._working:
            self._again.add(name)
        elif name not in self._waiting:
            self._waiting.add(name)
            self._ready.put_nowait(name)

    async def _run_worker(self) -> None:
        while True:
            name = await self._ready.get()
            self._waiting.discard(name)
            self._working.add(name)
            try:
                await self._work(name)
                self._failures.pop(name, None)
            except TryAgain as error:
                self._retry(name, str(error))
            except Exception as error:
                log.exception("work.failed", queue=self._name, name=name)
                self._retry(name, str(error))
            finally:
                self._working.discard(name)
                if name in self._again:
                    self._again.discard(name)
                    self._put(name)

    def _retry(self, name: str, why: str) -> None:
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        RETRIES.labels(self._name).inc()
        if self._max_retries is not None and failures > self._max_retries:
            self._failures.pop(name)
            log.info("work.given_up", queue=self._name, name=name, error=why)
            return
        seconds = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (failures - 1))
        log.debug("work.again", queue=self._name, name=name, error=why, seconds=seconds)
        if name not in self._again:
            self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._put, name)

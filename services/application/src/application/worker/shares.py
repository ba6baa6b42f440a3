"""Decides whose job is next: one subject's hundred jobs do not hold up another subject's one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from cachetools import LRUCache

from application.jobs.store import Waiting

_REMEMBERED = 4096


class Shares:
    """What the slots of one worker are used for, and were used for lately. For the tasks of one event loop.

    No slot is reserved: a subject alone uses all of them, and another subject's job begins when the next one is free.
    """

    def __init__(self) -> None:
        """All slots are free."""
        self._running: Counter[str] = Counter()
        self._begun: LRUCache[str, float] = LRUCache(_REMEMBERED)

    def in_turn(self, waiting: Iterable[Waiting], named: str) -> Sequence[Waiting]:
        """Jobs of subjects with the fewest running jobs first, then of subjects served longest ago.

        Of one subject's jobs the ``named`` one comes first, then the oldest.
        """

        def turn(job: Waiting) -> tuple[int, float, str, bool, int]:
            return self._running[job.owner], self._begun.get(job.owner, 0.0), job.owner, job.id != named, job.since

        return sorted(waiting, key=turn)

    @contextmanager
    def slot(self, owner: str) -> Iterator[None]:
        """Use a slot for a job of ``owner`` while the block runs."""
        self._running[owner] += 1
        self._begun[owner] = time.monotonic()
        try:
            yield
        finally:
            self._running[owner] -= 1
            if not self._running[owner]:
                del self._running[owner]

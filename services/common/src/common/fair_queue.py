"""Turns for callers who share something scarce: one caller's many requests do not hold up another caller's one."""

import asyncio
from collections import Counter, OrderedDict, deque
from types import TracebackType


class Turn:
    """One caller's turn. It lasts until `release`, or until the context ends."""

    def __init__(self, queue: "FairQueue", subject: str) -> None:
        """Given out by `FairQueue.turn`."""
        self._queue: FairQueue | None = queue
        self._subject = subject

    def release(self) -> None:
        """Let the next one begin; a second call does nothing."""
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.leave(self._subject)

    def __enter__(self) -> "Turn":
        """Hold the turn."""
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Release it."""
        self.release()


class FairQueue:
    """At most `at_once` turns at a time, and at most `of_one` of the same subject.

    Subjects that wait are served one after the other (round robin), the requests of one subject in the order in which
    they came. The number of those that wait has no limit here: what lets requests in has one (`REQUESTS_AT_ONCE`).
    For the tasks of one event loop.
    """

    def __init__(self, at_once: int, of_one: int) -> None:
        self._free = at_once
        self._of_one = of_one
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def turn(self, subject: str) -> Turn:
        """Wait for a turn of `subject`. A task that is cancelled while it waits leaves the queue."""
        if self._free and self._held[subject] < self._of_one and subject not in self._waiting:
            self._free -= 1
            self._held[subject] += 1
            return Turn(self, subject)
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, deque()).append(admitted)
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.leave(subject)
            else:
                self._forget(subject, admitted)
            raise
        return Turn(self, subject)

    def leave(self, subject: str) -> None:
        """A turn of `subject` is over; called by `Turn`."""
        self._free += 1
        self._held[subject] -= 1
        self._admit()
        if not self._held[subject]:
            del self._held[subject]

    def _admit(self) -> None:
        for subject in list(self._waiting):
            if not self._free:
                return
            if self._held[subject] >= self._of_one:
                continue
            line = self._waiting[subject]
            # A task that was cancelled in this turn of the loop has not left the line yet.
            while line and (admitted := line.popleft()).done():
                pass
            if not admitted.done():
                admitted.set_result(None)
                self._free -= 1
                self._held[subject] += 1
            if line:
                self._waiting.move_to_end(subject)
            else:
                del self._waiting[subject]

    def _forget(self, subject: str, admitted: asyncio.Future[None]) -> None:
        line = self._waiting.get(subject)
        if line is not None and admitted in line:
            line.remove(admitted)
            if not line:
                del self._waiting[subject]

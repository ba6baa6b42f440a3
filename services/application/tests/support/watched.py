"""Runs a service's module as `python -m` does, and notes each time its event loop could not take up work for 0.1 s.

What counts is processor time that the service itself spent, from asking the loop until the loop answered: on a busy
machine the loop, or the watch, waits for its turn, which is no fault of the service.
"""

import asyncio
import runpy
import sys
import threading
import time
import traceback
from types import FrameType

import uvloop

MARK = "EVENT LOOP BLOCKED"
MOST_SECONDS = 0.1
BETWEEN_SECONDS = 0.02
START_SECONDS = 10
"""Imports and first connections are made while a service starts and nobody waits for it."""


class Watch(threading.Thread):
    """Asks the loop for a sign of life again and again."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watched: int, start: float = START_SECONDS) -> None:
        super().__init__(daemon=True)
        self._start_seconds = start
        self._loop = loop
        self._watched = watched
        self._sign = threading.Event()
        self._answered = 0.0, 0.0

    def run(self) -> None:
        """Watch until the loop is closed."""
        begun = time.monotonic()
        own_clock = time.pthread_getcpuclockid(threading.get_ident())

        def clocks() -> tuple[float, float]:
            """Seconds that passed, and that the service's threads worked; the watch's own work is not the service's."""
            return time.monotonic(), time.process_time() - time.clock_gettime(own_clock)

        def answer() -> None:
            self._answered = clocks()
            self._sign.set()

        while True:
            self._sign.clear()
            try:
                self._loop.call_soon_threadsafe(answer)
            except RuntimeError:
                return
            asked = clocks()
            stack: list[str] = []
            while not self._sign.wait(BETWEEN_SECONDS):
                if self._loop.is_closed():
                    return
                seen = traceback.format_stack(self._frame(), 12)
                if not self._sign.is_set():
                    stack = seen
            lag = min(after - before for before, after in zip(asked, self._answered, strict=True))
            if lag > MOST_SECONDS and asked[0] - begun >= self._start_seconds:
                print(MARK, f"{lag:.3f} s\n", "".join(stack), file=sys.stderr, flush=True)
            time.sleep(BETWEEN_SECONDS)

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._watched)


def watched_loop() -> uvloop.Loop:
    """A new loop of uvloop's, with a watch on it."""
    loop = make_loop()
    Watch(loop, threading.get_ident()).start()
    return loop


if __name__ == "__main__":
    make_loop = uvloop.new_event_loop
    uvloop.new_event_loop = watched_loop
    module = sys.argv.pop(1)
    sys.path[0] = ""
    runpy.run_module(module, run_name="__main__", alter_sys=True)

"""How often one caller may ask, and for how much at once."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from agentgateway.metrics import RATE_LIMITED
from common.caller import Caller

SHORTEST_WAIT_SECONDS = 0.001
BUSY_SECONDS = 1
"""How long a caller is told to wait who has too many requests under way: nobody knows when one of them ends."""


class RateLimiter:
    """A sliding window for each caller, counted in this process: the limit holds for each replica.

    A shared counter would cost each call a round trip; WAF limits the rate over all replicas, by address.
    """

    def __init__(self, limit: str, most_at_once: int) -> None:
        """`limit` as the `limits` library writes it: `100/second`, `2000 per 10 minutes`."""
        self._most_at_once = most_at_once
        self._under_way: Counter[str] = Counter()
        self._limit = parse(limit)
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check(self, caller: Caller) -> float | None:
        """Count one request of `caller`: None lets it through, a number is how many seconds to wait."""
        if self._windows.hit(self._limit, caller.subject):
            return None
        RATE_LIMITED.inc()
        stats = self._windows.get_window_stats(self._limit, caller.subject)
        return max(stats.reset_time - time.time(), SHORTEST_WAIT_SECONDS)

    @contextmanager
    def under_way(self, caller: Caller) -> Iterator[bool]:
        """Whether `caller` may have one more request under way; while the block runs, it is.

        What lasts (a followed job, an upload, a body that does not come) costs memory and work behind the gateway for
        as long as it does, however seldom it is begun.
        """
        subject = caller.subject
        if self._under_way[subject] >= self._most_at_once:
            RATE_LIMITED.inc()
            yield False
            return
        self._under_way[subject] += 1
        try:
            yield True
        finally:
            self._under_way[subject] -= 1
            if not self._under_way[subject]:
                del self._under_way[subject]

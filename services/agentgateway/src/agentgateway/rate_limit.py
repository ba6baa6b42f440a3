"""How often one caller may ask."""

import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from agentgateway.metrics import RATE_LIMITED
from common.caller import Caller

SHORTEST_WAIT_SECONDS = 0.001


class RateLimiter:
    """A sliding window for each caller, counted in this process: the limit holds for each replica.

    A shared counter would cost each call a round trip; WAF limits the rate over all replicas, by address.
    """

    def __init__(self, limit: str) -> None:
        """`limit` as the `limits` library writes it: `100/second`, `2000 per 10 minutes`."""
        self._limit = parse(limit)
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check(self, caller: Caller) -> float | None:
        """Count one request of `caller`: None lets it through, a number is how many seconds to wait."""
        if self._windows.hit(self._limit, caller.subject):
            return None
        RATE_LIMITED.inc()
        stats = self._windows.get_window_stats(self._limit, caller.subject)
        return max(stats.reset_time - time.time(), SHORTEST_WAIT_SECONDS)

"""How often one caller, or one address, may ask, and for how much at once."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers
from starlette.types import Scope

from agentgateway.metrics import RATE_LIMITED
from common.caller import Caller

SHORTEST_WAIT_SECONDS = 0.001
BUSY_SECONDS = 1
"""How long a caller is told to wait who has too many requests under way: nobody knows when one of them ends."""

COUNTED_BYTES = 4096


class SlidingWindow:
    """How often each of any number of keys may ask, counted in this process."""

    def __init__(self, limit: str) -> None:
        """`limit` as the `limits` library writes it: `100/second`, `2000 per 10 minutes`."""
        self._limit = parse(limit)
        self._windows = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check(self, key: str, requests: int = 1) -> float | None:
        """Count so many requests of `key`: None lets them through, a number is how many seconds to wait.

        More than the limit count as the limit: they pass when nothing else was counted, and use up the whole window.
        """
        if self._windows.hit(self._limit, key, cost=min(requests, self._limit.amount)):
            return None
        RATE_LIMITED.inc()
        stats = self._windows.get_window_stats(self._limit, key)
        return max(stats.reset_time - time.time(), SHORTEST_WAIT_SECONDS)


class RateLimiter:
    """A sliding window for each caller, counted in this process: the limit holds for each replica.

    A shared counter would cost each call a round trip; WAF limits the rate over all replicas, by address.
    """

    def __init__(self, limit: str, most_at_once: int) -> None:
        """`limit` as in `SlidingWindow`."""
        self._most_at_once = most_at_once
        self._under_way: Counter[str] = Counter()
        self._requests = SlidingWindow(limit)
        self._sizes = SlidingWindow(limit)

    def check(self, caller: Caller) -> float | None:
        """Count one request of `caller`: None lets it through, a number is how many seconds to wait."""
        return self._requests.check(caller.subject)

    def check_size(self, caller: Caller, size: int) -> float | None:
        """Count a request that `check` let through once more for each `COUNTED_BYTES` of its `size`; as `check`.

        Sizes have a window of their own, of the same limit: else a limit of one request would let no large one through,
        and a client that tries again would use up what it waits for.

        A look-up of 5,000 keys costs its department four times as much as one of a single key (measured: 3.2 and 0.7 ms
        of processor time), and its answer of a megabyte passes through the gateway.
        """
        more = size // COUNTED_BYTES
        return self._sizes.check(caller.subject, more) if more else None

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


def client_address(scope: Scope) -> str:
    """Whom to count a request for that nobody is authenticated for: the address that the load balancer saw.

    A load balancer appends it to `X-Forwarded-For`, so what a client writes there stands before it. Of IPv6 it is the
    network of 64 bits, whose addresses a single client may have all.
    """
    forwarded = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
    address = forwarded or (scope["client"] or ("unknown",))[0]
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    return str(parsed) if parsed.version == 4 else str(ip_network((parsed, 64), strict=False))

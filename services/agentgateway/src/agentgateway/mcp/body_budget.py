"""How much all requests under way hold together, bounded: the memory that one pod has is shared by all callers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from agentgateway.mcp.errors import RpcError, http_refusal

SMALL: Final = 64 * 1024
"""Bytes of each request that are not counted, so that who sends a lot slows down nobody who sends little."""


class BodyBudget:
    """Counts the bodies that are held."""

    def __init__(self, limit: int) -> None:
        """No more than `limit` bytes of bodies are held at once, beyond `SMALL` of each."""
        self._limit = limit
        self._held = 0

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """One request's part; what is yielded is told the size of its body each time it grew.

        Raises:
            RpcError: No room for it now (503, with `Retry-After`).
        """
        mine = 0

        def grown(size: int) -> None:
            nonlocal mine
            more = max(0, size - SMALL) - mine
            if more > 0 and self._held + more > self._limit:
                raise _full()
            self._held += more
            mine += more

        try:
            yield grown
        finally:
            self._held -= mine


def _full() -> RpcError:
    sentence = "Too many large requests are under way. Try again in a second, or upload a file instead."
    return http_refusal(503, sentence, {"retry-after": "1", "connection": "close"})

"""A circuit breaker: a department that fails again and again is left alone for a while, and callers learn it."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Literal

from agentgateway.mcp.errors import DepartmentFailure, unavailable

State = Literal["closed", "half-open", "open"]


class CircuitBreaker:
    """Wraps each call of one department: `with breaker: …`.

    Closed until `failures` calls in a row raise `DepartmentFailure`. Then open: for `seconds`, entering raises at
    once. After that it is half-open: one call goes through as a trial, the others wait for its outcome. A success
    closes it, a failure opens it again.
    """

    def __init__(
        self, department: str, failures: int, seconds: float, on_change: Callable[[State], None] = lambda _: None
    ) -> None:
        """Closed."""
        self._department = department
        self._threshold = failures
        self._seconds = seconds
        self._on_change = on_change
        self._failures = 0
        self._retry_at = 0.0
        self._state: State = "closed"

    @property
    def state(self) -> State:
        """As metrics show it."""
        return self._state

    def __enter__(self) -> None:
        """Let the call through.

        Raises:
            DepartmentFailure: The circuit is open; says when to try again.
        """
        if self._state == "closed":
            return
        now = time.monotonic()
        if now < self._retry_at:
            raise unavailable(self._department, self._retry_at - now)
        # A trial that hangs is followed by another one, rather than by a circuit that stays open for ever.
        self._retry_at = now + self._seconds
        self._change("half-open")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Count what became of the call; one that the client gave up says nothing about the department."""
        if isinstance(error, DepartmentFailure):
            self._failures += 1
            if self._failures >= self._threshold:
                self._retry_at = time.monotonic() + self._seconds
                self._change("open")
        elif isinstance(error, asyncio.CancelledError):
            if self._state == "half-open":
                self._retry_at = 0.0
        elif self._failures:
            self._failures = 0
            self._change("closed")

    def _change(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._on_change(state)

"""A circuit breaker: a department that fails again and again is left alone for a while, and callers learn it."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from agentgateway.mcp.errors import DepartmentFailure, unavailable

State = Literal["closed", "half-open", "open"]

MOST_SUSPICIONS: Final = 256
SEVERAL_CALLERS: Final = 3
SEVERAL_TOOLS: Final = 2
"""One caller, or one tool, can make a department time out or answer nonsense without anything being wrong with it."""


class CircuitBreaker:
    """Counts what becomes of each call of one department: `enter`, then `succeeded`, `failed` or `abandoned`.

    Closed until `failures` calls in a row fail. A failed connection counts by itself. Time-outs and invalid answers
    count only where `SEVERAL_CALLERS` had them, from `SEVERAL_TOOLS`. Then open: for `seconds`, entering raises at
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
        self._disconnections = 0
        self._suspicions: deque[tuple[str, str]] = deque(maxlen=MOST_SUSPICIONS)
        self._retry_at = 0.0
        self._state: State = "closed"

    @property
    def state(self) -> State:
        """As metrics show it."""
        return self._state

    def enter(self) -> None:
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

    def succeeded(self) -> None:
        """The department answered."""
        if self._disconnections or self._suspicions:
            self._disconnections = 0
            self._suspicions.clear()
            self._change("closed")

    def failed(self, failure: DepartmentFailure, subject: str, tool: str) -> None:
        """The call of `subject` for `tool` failed."""
        if failure.disconnected:
            self._disconnections += 1
        else:
            self._suspicions.append((subject, tool))
        if self._state != "closed" or self._disconnections >= self._threshold or self._is_suspicious():
            self._retry_at = time.monotonic() + self._seconds
            self._change("open")

    def abandoned(self) -> None:
        """The client gave the call up, which says nothing about the department."""
        if self._state == "half-open":
            self._retry_at = 0.0

    def _is_suspicious(self) -> bool:
        if len(self._suspicions) < self._threshold:
            return False
        callers, tools = ({each[part] for each in self._suspicions} for part in (0, 1))
        return len(callers) >= SEVERAL_CALLERS and len(tools) >= SEVERAL_TOOLS

    def _change(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._on_change(state)

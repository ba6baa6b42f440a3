"""Prometheus metrics of the MCP endpoint."""

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

from agentgateway.mcp.breaker import State

CALLS = Counter("agentgateway_mcp_calls", "MCP calls.", ["department", "tool", "outcome"])
SECONDS = Histogram(
    "agentgateway_mcp_call_seconds",
    "How long MCP calls took.",
    ["department", "tool"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CIRCUIT = Gauge("agentgateway_department_circuit", "0 closed, 1 half-open, 2 open.", ["department"])

_LEVELS: dict[State, int] = {"closed": 0, "half-open": 1, "open": 2}


@lru_cache(maxsize=4096)
def _children(department: str, tool: str, outcome: str) -> tuple[Counter, Histogram]:
    return CALLS.labels(department, tool, outcome), SECONDS.labels(department, tool)


def count_call(department: str, tool: str, outcome: str, seconds: float) -> None:
    """One more call; `tool` must come from a closed set."""
    calls, durations = _children(department, tool, outcome)
    calls.inc()
    durations.observe(seconds)


def circuit_is(department: str, state: State) -> None:
    """Show a department's circuit."""
    CIRCUIT.labels(department).set(_LEVELS[state])


def circuit_is_gone(department: str) -> None:
    """Show it no longer."""
    CIRCUIT.remove(department)

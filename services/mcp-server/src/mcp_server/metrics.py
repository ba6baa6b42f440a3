"""What Prometheus is told."""

from prometheus_client import Counter, Gauge, Histogram

DATA_ROWS = Gauge("mcp_dataset_rows", "Rows that can be found.", ["department", "dataset"])
DATA_LOADED = Gauge(
    "mcp_dataset_loaded_timestamp_seconds", "When the served version was loaded.", ["department", "dataset"]
)
DATA_PROGRESS = Gauge(
    "mcp_dataset_build_progress",
    "How much of a new version was read, 0 to 1; 0 when none is built.",
    ["department", "dataset"],
)
REFRESH_FAILURES = Counter("mcp_dataset_refresh_failures", "Looks that gave nothing new.", ["department", "dataset"])
REFRESH_FAILING = Gauge(
    "mcp_dataset_refresh_failing", "1 while the newest object is not what is served.", ["department", "dataset"]
)
TOOL_CALLS = Counter("mcp_tool_calls", "Calls of tools.", ["tool", "outcome"])
TOOL_SECONDS = Histogram(
    "mcp_tool_duration_seconds", "Time in a tool.", ["tool"], buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
)

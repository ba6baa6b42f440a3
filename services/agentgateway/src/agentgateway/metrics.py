"""Prometheus metrics of the REST endpoint and of authentication."""

from prometheus_client import Counter, Gauge, Histogram

TOKENS_REFUSED = Counter("agentgateway_tokens_refused", "Access tokens that were refused.")
RATE_LIMITED = Counter("agentgateway_rate_limited", "Requests above the caller's rate limit.")
EXCHANGES = Counter("agentgateway_iam_exchanges", "Exchanges of AWS credentials for a token.", ["outcome"])
REQUESTS = Counter("agentgateway_rest_requests", "REST requests that were forwarded.", ["route", "status"])
SECONDS = Histogram(
    "agentgateway_rest_request_seconds",
    "How long the application took to begin its answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120),
)
IN_PROGRESS = Gauge("agentgateway_rest_requests_in_progress", "REST requests that are being forwarded.")

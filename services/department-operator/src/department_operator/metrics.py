"""What the operator tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

API_CALLS = Counter(
    "department_operator_api_calls_total",
    "Calls to the API server beside watches.",
    ["method", "resource", "status"],
)
DEPARTMENTS = Gauge("department_operator_departments", "Departments by the status of Ready.", ["ready"])
RECONCILE_SECONDS = Histogram(
    "department_operator_reconcile_seconds",
    "Time that one look at one department takes.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
)
RETRIES = Counter("department_operator_retries_total", "Looks that did not work and are repeated.", ["queue"])
REPAIRS = Counter("department_operator_repairs_total", "Objects that somebody else changed or deleted.", ["kind"])

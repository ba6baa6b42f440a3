"""What Prometheus is told."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

_LONG = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)

REQUESTS = Histogram("application_request_seconds", "Requests to the API.", ["method", "route", "status"])
UPLOADED_BYTES = Counter("application_uploaded_bytes_total", "Bytes of files taken in through the API.")
DOWNLOADED_BYTES = Counter("application_downloaded_bytes_total", "Bytes of results given out.")
JOBS_SUBMITTED = Counter("application_jobs_submitted_total", "Jobs submitted, retries included.", ["kind"])
DEPARTMENT_CALLS = Histogram(
    "application_department_call_seconds", "Calls of departments' tools.", ["department", "outcome"]
)
DEPARTMENT_RETRIES = Counter("application_department_retries_total", "Calls that were tried again.", ["department"])
ATTEMPTS = Histogram("application_job_attempt_seconds", "Attempts at jobs.", ["outcome"], buckets=_LONG)
ROWS = Counter("application_rows_total", "Rows enriched and published.")
RESULTS = Counter(
    "application_results_total", "Jobs with a result, or without for no fault of the caller.", ["department"]
)
RESULTS_LATE = Counter("application_results_late_total", "Those of them without a result in time.", ["department"])
RUNNING = Gauge("application_jobs_running", "Jobs that this worker runs now.")
RESENT = Counter("application_jobs_resent_total", "Jobs that had gone silent, and were sent to the queue again.")
ENGINE_KILLED = Counter(
    "application_engine_killed_total", "Engine processes that ended without an answer.", ["operation", "reason"]
)


def count_result(departments: Iterable[str], *, late: bool) -> None:
    """Count a job that ended, for each of these departments."""
    for department in departments:
        RESULTS.labels(department).inc()
        # Also where it is in time: CloudWatch's agent sees how a counter grows, and not with what it began.
        RESULTS_LATE.labels(department).inc(late)

"""What the API and the worker are told by their environment."""

from pydantic import Field

from common.department_source import DepartmentSettings
from common.settings import ServiceSettings

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


class ApplicationSettings(ServiceSettings, DepartmentSettings):
    """What both processes need to know."""

    port: int = Field(default=8000, ge=0, le=65535, description="Port of the API; of the worker's health checks.")
    files_bucket: str = Field(description="Bucket with `uploads/<file>` and `results/<job>/<attempt>`.")
    jobs_queue_url: str = Field(description="SQS queue that tells workers of jobs.")
    jobs_table: str = Field(description="DynamoDB table of files and jobs.")
    aws_region: str = Field(description="Region of bucket, queue and table.")
    max_attempts: int = Field(default=5, ge=1, description="Attempts at a job before it has failed.")


class ApiSettings(ApplicationSettings):
    """Settings of the API."""

    allowed_callers: frozenset[str] = Field(
        default=frozenset({"agentgateway"}), description="ServiceAccounts that may call, as a JSON list."
    )
    max_file_bytes: int = Field(default=20 * GIBIBYTE, gt=0, description="Largest file that is taken in.")
    max_body_bytes: int = Field(default=MEBIBYTE, gt=0, description="Largest JSON body.")
    upload_window_seconds: float = Field(
        default=30, gt=0, description="An upload must bring UPLOAD_WINDOW_BYTES in each period of this many seconds."
    )
    upload_window_bytes: int = Field(
        default=65536, gt=0, description="Least bytes of an upload in UPLOAD_WINDOW_SECONDS; slower ones are ended."
    )
    max_active_jobs: int = Field(
        default=50, ge=1, description="Jobs of one subject that may be queued or running at the same time."
    )
    max_uploads: int = Field(
        default=20, ge=1, description="Presigned uploads of one subject that may be on their way at the same time."
    )
    max_stored_bytes: int = Field(
        default=200 * GIBIBYTE,
        gt=0,
        description="Bytes that one subject may keep: files, and of each job as many as its file has.",
    )
    upload_url_seconds: int = Field(default=21600, gt=0, description="Life of the URLs of a presigned upload.")
    retention_days: float = Field(default=7, gt=0, description="Days until files, jobs and results are gone.")
    department_seconds: float = Field(
        default=10, gt=0, description="Longest that a request waits for one department, retries included."
    )
    listing_seconds: float = Field(
        default=2, gt=0, description="Longest that a list of departments waits for one of them, retries included."
    )
    events_poll_seconds: float = Field(default=1, gt=0, description="Seconds between looks at a job that is followed.")
    shutdown_seconds: int = Field(default=20, gt=0, description="How long requests may go on after the signal to stop.")
    previews_at_once: int = Field(default=4, ge=1, description="Files that are looked into at the same time.")
    preview_memory_bytes: int = Field(
        default=112 * MEBIBYTE, gt=0, description="Memory that looking into one file may take; times PREVIEWS_AT_ONCE."
    )
    preview_cpu_seconds: int = Field(
        default=10, ge=1, description="Processor time that looking into one file may take."
    )
    preview_seconds: float = Field(default=30, gt=0, description="Longest that looking into one file may take.")


class WorkerSettings(ApplicationSettings):
    """Settings of the worker."""

    jobs_at_once: int = Field(default=2, ge=1, description="Jobs that one worker runs at the same time.")
    job_memory_bytes: int = Field(
        default=352 * MEBIBYTE, gt=0, description="Memory that one job's engine may take; times JOBS_AT_ONCE."
    )
    job_cpu_seconds: int = Field(
        default=900, ge=1, description="Processor time of one job's engine, besides JOB_CPU_SECONDS_PER_MEBIBYTE."
    )
    job_cpu_seconds_per_mebibyte: float = Field(
        default=5, ge=0, description="Processor time of one job's engine for each MiB of its file."
    )
    receive_seconds: int = Field(default=10, ge=0, le=20, description="Length of one long poll of the queue.")
    visibility_seconds: int = Field(
        default=90, ge=2, description="A message of a dead worker is seen by another after this; above SILENT_SECONDS."
    )
    heartbeat_seconds: float = Field(
        default=1, gt=0, description="Seconds between writes of a job's progress, which also notice a cancellation."
    )
    silent_seconds: float = Field(
        default=45, gt=0, description="A running job without a heartbeat for this long may be taken by another worker."
    )
    sweep_seconds: float = Field(default=30, gt=0, description="Seconds between looks for jobs that went silent.")
    retry_seconds: float = Field(default=2, gt=0, description="Least wait after an attempt failed; doubles each time.")
    department_seconds: float = Field(
        default=120, gt=0, description="Longest that a job waits for an answer of one department, retries included."
    )

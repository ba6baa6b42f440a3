"""Files, uploads and jobs as they are kept in the table."""

from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter

from application.aws.table import Item, Key, Value
from application.engine import ColumnInfo, ColumnMapping, DatasetInfo, Format, Mapping
from common.caller import Caller
from common.file_options import DETECT_ALL, FileOptions

CALLER_SECONDS = 24 * 3600
"""How long a job may act for the caller who was verified when it was submitted."""

RESULT_SECONDS, RESULT_SECONDS_A_MEBIBYTE = 60, 1
"""How soon a job is to have its result: the objective of docs/slo.md."""

MEBIBYTE = 1 << 20

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ACTIVE: frozenset[Status] = frozenset({"queued", "running"})

_ID = re.compile(r"[0-9a-f]{32}")


def is_id(text: str) -> bool:
    """Whether ``new_id`` may have made it."""
    return _ID.fullmatch(text) is not None


def new_id() -> str:
    """An identifier that cannot be guessed."""
    return uuid.uuid4().hex


def iso(seconds: float) -> str:
    """A time since the epoch as ISO 8601 UTC, in microseconds, so that texts sort as times do."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Record(BaseModel):
    """A record whose simple fields are attributes of an item, and whose other fields are JSON in one attribute each."""

    model_config = ConfigDict(frozen=True)

    structured: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def of_item(cls, item: Item) -> Self:
        """Read what ``attributes`` wrote."""
        parsed: dict[str, Any] = dict(item)
        for name in cls.structured & parsed.keys():
            parsed[name] = _JSON.validate_json(parsed[name])
        return cls.model_validate(parsed)

    def attributes(self, *names: str) -> dict[str, Value | None]:
        """The fields (all without ``names``) as attributes of an item; None where there is nothing to keep."""
        dumped = self.model_dump(mode="json", include=set(names) if names else None)
        for name in self.structured & dumped.keys():
            dumped[name] = None if dumped[name] is None else _JSON.dump_json(dumped[name]).decode()
        return dumped


class Expiring(Record):
    """A record that DynamoDB deletes when its time is over."""

    expires_at: int

    @property
    def is_expired(self) -> bool:
        """Whether it counts as gone, deleted yet or not."""
        return self.expires_at <= time.time()


_JSON: TypeAdapter[Any] = TypeAdapter(Any)


class File(Expiring):
    """A file that was taken in; ``jobs`` counts the jobs that were ever started on it."""

    id: str
    owner: str
    name: str
    size: int
    format: Format
    created_at: str
    jobs: int = 0
    deleting: bool = False

    @property
    def key(self) -> Key:
        """Where it is in the table."""
        return file_key(self.id)


class Upload(Expiring):
    """A presigned multipart upload on its way; its file will have the same identifier."""

    id: str
    owner: str
    name: str
    size: int
    upload_id: str
    created_at: str

    @property
    def key(self) -> Key:
        """Where it is in the table."""
        return upload_key(self.id)


class JobProgress(BaseModel):
    """How far a job is; what is not known is None."""

    model_config = ConfigDict(frozen=True)

    rows: int = 0
    total_rows: int | None = None
    bytes: int = 0
    total_bytes: int
    rows_per_second: float | None = None
    seconds_left: float | None = None


class JobResult(BaseModel):
    """The one result of a job: the object that the attempt of that number wrote; ``charset`` is that of text.

    ``found`` of ``keys`` cells had a key that is there; not known of a job of before, nor to who may not see all of it.
    """

    model_config = ConfigDict(frozen=True)

    attempt: int
    size: int
    etag: str
    charset: str | None = None
    found: int | None = None
    keys: int | None = None


class MappedDataset(BaseModel):
    """One entry of a job's mapping, with as much of the data set as the engine needs to know.

    ``is_chosen`` says that the caller chose the columns; otherwise they are all that the caller could see.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    dataset: DatasetInfo
    columns: tuple[ColumnInfo, ...]
    evidence: tuple[str, ...]
    confidence: float
    is_chosen: bool = False

    @classmethod
    def of(cls, entry: ColumnMapping, *, is_chosen: bool) -> Self:
        """Keep an entry of the engine's mapping; of the data set's own columns only those that are added."""
        ref, key = entry.dataset.ref, entry.dataset.key
        dataset = DatasetInfo(ref, key, entry.columns, (), entry.dataset.pattern)
        return cls(
            column=entry.column,
            dataset=dataset,
            columns=entry.columns,
            evidence=entry.evidence,
            confidence=entry.confidence,
            is_chosen=is_chosen,
        )


class UsedRecipe(BaseModel):
    """The version of a recipe that a job uses."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    version: int


class Job(Expiring):
    """A job. Whoever runs it owns it by ``fence``, which grows with each attempt and is never used twice.

    ``holder`` is a name that one claim gave itself; ``heartbeat`` is in milliseconds;
    ``caller`` is the header that the caller had at submission, valid until ``caller_until``; ``traceparent`` is the
    trace of that request, if it was traced. ``left_out`` has a sentence for each column that may be a key and is not
    in the mapping. ``approve`` are causes of keys that are not found; ``repairs`` is how many keys are replaced;
    ``review_of`` is the job that this one repairs, and ``reviewed`` are the causes that reviews approved so far.
    """

    structured: ClassVar[frozenset[str]] = frozenset(
        {
            "departments",
            "mapping",
            "left_out",
            "options",
            "approve",
            "reviewed",
            "recipe",
            "progress",
            "error",
            "result",
        }
    )

    id: str
    owner: str
    caller: str
    caller_until: int
    file_id: str
    file_name: str
    file_size: int
    file_format: Format
    departments: tuple[str, ...]
    mapping: tuple[MappedDataset, ...]
    left_out: tuple[str, ...] = ()
    options: FileOptions = DETECT_ALL
    approve: tuple[str, ...] = ()
    repairs: int = 0
    review_of: str | None = None
    reviewed: tuple[str, ...] = ()
    recipe: UsedRecipe | None = None
    status: Status = "queued"
    fence: int = 0
    holder: str | None = None
    attempts: int = 0
    heartbeat: int
    resends: int = 0
    traceparent: str | None = None
    cancel_requested: bool = False
    progress: JobProgress
    error: dict[str, Any] | None = None
    retryable: bool = False
    result: JobResult | None = None
    created_at: str
    updated_at: str
    finished_at: str | None = None

    @property
    def key(self) -> Key:
        """Where it is in the table."""
        return job_key(self.id)

    @property
    def is_active(self) -> bool:
        """Whether it is still to be done."""
        return self.status in ACTIVE

    def may_begin(self, silent_ms: int) -> bool:
        """Whether an attempt may begin now: it is queued and due, or running without a heartbeat for ``silent_ms``."""
        since = time.time() * 1000 - self.heartbeat
        return (self.status == "queued" and since >= 0) or (self.status == "running" and since > silent_ms)

    @property
    def is_late(self) -> bool:
        """Whether now is later than its result is to be there, reckoned from its submission or last retry."""
        submitted = self.caller_until - CALLER_SECONDS
        return time.time() - submitted > RESULT_SECONDS + RESULT_SECONDS_A_MEBIBYTE * self.file_size / MEBIBYTE

    @property
    def on_behalf_of(self) -> Caller:
        """The caller who was verified at submission."""
        return Caller.from_header(self.caller)

    @property
    def engine_mapping(self) -> Mapping:
        """The mapping as the engine takes it."""
        return tuple(
            ColumnMapping(entry.column, entry.dataset, entry.columns, entry.evidence, entry.confidence)
            for entry in self.mapping
        )


def file_key(file: str) -> Key:
    """The key of a file's item."""
    return f"FILE#{file}", "FILE"


def upload_key(upload: str) -> Key:
    """The key of an upload's item."""
    return f"UPLOAD#{upload}", "UPLOAD"


def job_key(job: str) -> Key:
    """The key of a job's item."""
    return f"JOB#{job}", "JOB"

"""What the service's REST interface answers, typed.

Members that this version does not know are ignored, so that a newer service can be used.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

Cell = str | int | float | bool | None

FILE_OPTIONS: Final = (
    "sheet", "header_row", "no_header", "delimiter", "quote", "decimal", "encoding", "add_only", "raw"
)  # fmt: skip
"""The names of the options of a file, which `submit` and `preview` take."""


class Model(BaseModel):
    """An answer, or a part of one."""

    # Built when first needed: each run of the command needs a few of these models.
    model_config = ConfigDict(frozen=True, defer_build=True)


class File(Model):
    """An uploaded file; `size` is in bytes."""

    id: str
    name: str
    size: int
    format: str
    created_at: datetime
    expires_at: datetime


class FilePage(Model):
    """Some of the caller's files, newest first; `next` is the cursor of the following page."""

    files: tuple[File, ...]
    next: str | None = None


class UnfinishedUpload(Model):
    """An upload that is neither complete nor aborted; `size` is what was announced, in bytes."""

    id: str
    name: str
    size: int
    created_at: datetime
    expires_at: datetime


class UploadPage(Model):
    """Some of the caller's unfinished uploads, newest first; `next` is the cursor of the following page."""

    uploads: tuple[UnfinishedUpload, ...]
    next: str | None = None


class Part(Model):
    """A part of a large upload, and the presigned address it goes to."""

    number: int
    url: str


class Upload(Model):
    """A large upload that has begun; every part but the last has `part_size` bytes."""

    id: str
    part_size: int
    parts: tuple[Part, ...]
    expires_at: datetime


class Question(Model):
    """What the caller must decide: which of `candidates` (`finance.vendors`) the column means, if any."""

    column: str
    candidates: tuple[str, ...]
    detail: str


class Proposal(Model):
    """A key of the data set that may have been meant; `score` is 0 to 100."""

    key: str
    score: float
    reason: str


class UnmatchedKey(Model):
    """A key that the data set does not have, and the row where it was first seen.

    Attributes:
        cause: Why it was not found, in a word for programs (`CauseCount` has one for people).
        dataset: The other data set that has it.
    """

    key: str
    row: int | None = None
    cause: str | None = None
    dataset: str | None = None
    proposals: tuple[Proposal, ...] = ()


class PreviewMapping(Model):
    """A column that was taken for a key, and why; `matched` of `values` filled cells were found, `missed` were not."""

    column: str
    dataset: str
    evidence: tuple[str, ...] = ()
    matched: int
    values: int
    missed: tuple[UnmatchedKey, ...] = ()


class UsedRecipe(Model):
    """The version of a recipe that was used."""

    id: str
    name: str
    version: int


class Detection(Model):
    """How a file was read in one respect, and why."""

    value: str | int
    reason: str = ""


class DetectedSheet(Model):
    """A sheet; `used` says that it gets columns."""

    name: str
    header_row: int | None = None
    has_keys: bool
    used: bool


class Detected(Model):
    """How a file was read; `options` are those that its format takes.

    `converted` is the format that the file has, where the result is of another one, and what that means.
    """

    format: str
    encoding: Detection | None = None
    delimiter: Detection | None = None
    quote: Detection | None = None
    header_row: Detection | None = None
    decimal: Detection | None = None
    converted: Detection | None = None
    sheets: tuple[DetectedSheet, ...] = ()
    options: tuple[str, ...] = ()


class Preview(Model):
    """The first rows, enriched: the input's columns, then the added ones; `warnings` are about the recipe."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    mapping: tuple[PreviewMapping, ...]
    unmapped: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    detected: Detected | None = None
    recipe: UsedRecipe | None = None
    warnings: tuple[str, ...] = ()


class JobFile(Model):
    """The input of a job; `size` is in bytes."""

    id: str
    name: str
    size: int
    format: str


class JobMapping(Model):
    """A column that is a key into `dataset`; `columns` of the data set are added."""

    column: str
    dataset: str
    columns: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


class Progress(Model):
    """How far a job is; the total of rows is known only where the format says it."""

    rows: int = 0
    total_rows: int | None = None
    bytes: int = 0
    total_bytes: int = 0
    rows_per_second: float | None = None
    seconds_left: float | None = None


class JobError(Model):
    """Why a job failed; members beyond these (row, column, …) are kept."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue]

    type: str
    title: str
    detail: str
    department: str | None = None


class Result(Model):
    """What a job made; `size` is in bytes. `found` of `keys` cells had a key that is there."""

    name: str
    size: int
    found: int | None = None
    keys: int | None = None


Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Job(Model):
    """An enrichment of one file."""

    id: str
    file: JobFile
    status: Status
    departments: tuple[str, ...] = ()
    mapping: tuple[JobMapping, ...] = ()
    approve: tuple[str, ...] = ()
    review_of: str | None = None
    recipe: UsedRecipe | None = None
    attempts: int = 0
    progress: Progress = Progress()
    error: JobError | None = None
    retryable: bool = False
    result: Result | None = None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    expires_at: datetime

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change any more, unless it is retried."""
        return self.status in {"succeeded", "failed", "cancelled"}


class JobPage(Model):
    """Some of the caller's jobs, newest first; `next` is the cursor of the following page."""

    jobs: tuple[Job, ...]
    next: str | None = None


class RecipeSummary(Model):
    """A recipe; `owner` is a name for people, and `groups` are those that may use it, as far as you may know."""

    id: str
    name: str
    owner: str
    own: bool
    groups: tuple[str, ...] = ()
    version: int
    saved_at: datetime


class RecipeList(Model):
    """The recipes that the caller may use."""

    recipes: tuple[RecipeSummary, ...]


class Choices(Model):
    """What is to be done with a file, as `submit` takes it."""

    departments: tuple[str, ...] | None = None
    mapping: dict[str, tuple[str, ...]] | None = None
    columns: dict[str, tuple[str, ...]] | None = None
    options: dict[str, JsonValue] = {}
    approve: tuple[str, ...] = ()
    keys: dict[str, dict[str, str]] = {}


class RecipeVersion(Model):
    """A version of a recipe."""

    version: int
    saved_at: datetime


class Recipe(RecipeSummary):
    """A version of a recipe; `held_back` says that `choices` lack what the caller may not use."""

    versions: tuple[RecipeVersion, ...]
    choices: Choices
    held_back: bool


class DatasetColumn(Model):
    """A column that the caller may see; `type` is an Arrow type's name."""

    name: str
    type: str


class Dataset(Model):
    """A data set that the caller may use."""

    name: str
    key: str
    aliases: tuple[str, ...] = ()
    pattern: str | None = None
    columns: tuple[DatasetColumn, ...] = ()
    rows: int | None = None
    version: str | None = None


class Department(Model):
    """A department that the caller may use; `error` says why it is not available."""

    name: str
    display_name: str
    available: bool
    error: str | None = None
    datasets: tuple[Dataset, ...] = ()


class Departments(Model):
    """All departments that the caller may use."""

    departments: tuple[Department, ...]


class Misses(Model):
    """The keys of one column that its data set does not have."""

    column: str
    dataset: str
    keys: tuple[UnmatchedKey, ...]


class MissesList(Model):
    """All keys that a job did not find."""

    misses: tuple[Misses, ...]


class CauseCount(Model):
    """Why some keys were not found, and how many different keys."""

    cause: str
    description: str
    keys: int


class MappingReport(Model):
    """What became of one column and one data set; counts are of cells."""

    column: str
    dataset: str
    versions: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    matched: int
    unmatched: int
    empty: int
    unmatched_distinct: int
    unmatched_distinct_is_exact: bool = True
    unmatched_sample: tuple[UnmatchedKey, ...] = ()
    causes: tuple[CauseCount, ...] = ()
    repaired: int = 0


class Report(Model):
    """What an enrichment did."""

    report_version: int = 1
    format: str
    rows: int
    bytes_read: int
    bytes_written: int
    duration_seconds: float
    mappings: tuple[MappingReport, ...] = ()
    columns_added: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

"""What callers see, as models: the schemas of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from application.engine import UnmatchedKey
from application.jobs.repairs import Misses
from application.jobs.requests import Choices
from application.recipes.records import Version
from application.records import JobProgress
from common.file_options import FileOptions


class ProblemDocument(BaseModel):
    """Why a request was refused (RFC 9457); some kinds have further members, such as `row` and `column`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


class FileDocument(BaseModel):
    """A file; `size` is in bytes."""

    id: str
    name: str
    size: int
    format: str
    created_at: str
    expires_at: str


class FilePage(BaseModel):
    """Some of the caller's files, newest first; `next` is the cursor of the following page."""

    files: list[FileDocument]
    next: str | None


class UploadDocument(BaseModel):
    """An upload that is neither complete nor aborted; `size` is what was announced, in bytes."""

    id: str
    name: str
    size: int
    created_at: str
    expires_at: str


class UploadPage(BaseModel):
    """Some of the caller's uploads, newest first; `next` is the cursor of the following page."""

    uploads: list[UploadDocument]
    next: str | None


class UploadPart(BaseModel):
    """Where to PUT one part, without any other authorization."""

    number: int
    url: str


class BegunUpload(BaseModel):
    """An upload that has begun: PUT `part_size` bytes to each address, to the last one what is left."""

    id: str
    part_size: int
    parts: list[UploadPart]
    expires_at: str


class JobFile(BaseModel):
    """The file of a job."""

    id: str
    name: str
    size: int
    format: str


class JobMapping(BaseModel):
    """A column whose values are keys of `dataset`; `columns` are added, `evidence` says why it was taken for a key."""

    column: str
    dataset: str
    columns: list[str]
    evidence: list[str]


class JobResultDocument(BaseModel):
    """The enriched file; `size` is in bytes. `found` of `keys` cells had a key that is there."""

    name: str
    size: int
    found: int | None
    keys: int | None


class JobErrorDocument(BaseModel):
    """Why a job failed, as a problem says it; some kinds have further members, such as `row` and `column`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    detail: str
    department: str | None = Field(default=None, exclude_if=lambda name: name is None)


class UsedRecipeDocument(BaseModel):
    """The version of a recipe that was used."""

    id: str
    name: str
    version: int


class JobDocument(BaseModel):
    """An enrichment of one file."""

    id: str
    file: JobFile
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    departments: list[str]
    mapping: list[JobMapping]
    options: FileOptions
    approve: list[str]
    review_of: str | None
    recipe: UsedRecipeDocument | None
    attempts: int
    progress: JobProgress
    error: JobErrorDocument | None
    retryable: bool
    result: JobResultDocument | None
    created_at: str
    updated_at: str
    finished_at: str | None
    expires_at: str


class JobPage(BaseModel):
    """Some of the caller's jobs, newest first; `next` is the cursor of the following page."""

    jobs: list[JobDocument]
    next: str | None


class MissesDocument(BaseModel):
    """The keys that a job did not find, by column and data set."""

    misses: list[Misses]


class PreviewMapping(BaseModel):
    """A column that was taken for a key: why, and which of its values were found among the rows shown."""

    column: str
    dataset: str
    evidence: list[str]
    matched: int
    values: int
    missed: list[UnmatchedKey]


class QuestionDocument(BaseModel):
    """What the caller must decide: which data set, if any, a column's values are keys of."""

    column: str
    candidates: list[str]
    detail: str


class DetectionDocument(BaseModel):
    """How a file is read in one respect, and why; an option of the same name says something else."""

    value: str | int
    reason: str


class DetectedSheetDocument(BaseModel):
    """A visible sheet; `used` says that it gets columns, `header_row` is missing where it has no table."""

    name: str
    header_row: int | None
    has_keys: bool
    used: bool


class DetectedDocument(BaseModel):
    """How the file is read; what its format does not have is missing. `options` are those that its format takes.

    `converted` is the format that the file has, where the result is of another one, and what that means.
    """

    format: str
    encoding: DetectionDocument | None
    delimiter: DetectionDocument | None
    quote: DetectionDocument | None
    header_row: DetectionDocument | None
    decimal: DetectionDocument | None
    converted: DetectionDocument | None
    sheets: list[DetectedSheetDocument]
    options: list[str]


class PreviewDocument(BaseModel):
    """The first rows, enriched, and how the file was read; `warnings` say where the file does not fit the recipe."""

    columns: list[str]
    rows: list[list[Any]]
    mapping: list[PreviewMapping]
    unmapped: list[str]
    questions: list[QuestionDocument]
    detected: DetectedDocument
    recipe: UsedRecipeDocument | None
    warnings: list[str]


class RecipeSummary(BaseModel):
    """A recipe; `owner` is a name for people, and `groups` are those of the caller that may use it (all, if `own`)."""

    id: str
    name: str
    owner: str
    own: bool
    groups: list[str]
    version: int
    saved_at: str


class RecipeList(BaseModel):
    """The recipes that the caller may use."""

    recipes: list[RecipeSummary]


class RecipeDocument(RecipeSummary):
    """A version of a recipe; `held_back` says that `choices` lack what the caller may not use."""

    versions: list[Version]
    choices: Choices
    held_back: bool


class DatasetColumn(BaseModel):
    """A column that the caller may see; `type` is an Arrow type's name."""

    name: str
    type: str


class DatasetDocument(BaseModel):
    """A data set as the caller may see it; `rows` and `version` are missing while it is not loaded."""

    name: str
    key: str
    aliases: list[str]
    pattern: str | None
    columns: list[DatasetColumn]
    rows: int | None
    version: str | None


class DepartmentDocument(BaseModel):
    """A department that the caller may use; one that does not answer says why in `error`."""

    name: str
    display_name: str
    available: bool
    error: str | None
    datasets: list[DatasetDocument]


class DepartmentList(BaseModel):
    """The departments that the caller may use."""

    departments: list[DepartmentDocument]

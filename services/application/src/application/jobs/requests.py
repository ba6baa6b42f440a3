"""What callers ask for: a job, or a preview of one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from common.causes import Approvable
from common.file_options import DETECT_ALL, FileOptions


class Review(BaseModel):
    """What a person approves for keys that are not found.

    ``approve`` takes the best proposal of every key with such a cause, where there is one best. ``keys`` has by data
    set the key to use for a key as it stands in the file; in a review, an empty one takes a repair back.
    """

    model_config = ConfigDict(extra="forbid")

    approve: tuple[Approvable, ...] = ()
    keys: dict[str, dict[str, str]] = Field(default_factory=dict, max_length=1000)


class Choices(Review):
    """What is to be done with a file: by default, all that can be found in all departments that the caller may use."""

    departments: list[str] | None = Field(default=None, max_length=100)
    mapping: dict[str, list[str]] | None = Field(default=None, max_length=1000)
    columns: dict[str, list[str]] | None = Field(default=None, max_length=1000)
    options: FileOptions = DETECT_ALL

    def named(self) -> set[str]:
        """The departments that it names."""
        datasets = [name for names in (self.mapping or {}).values() for name in names] + list(self.columns or {})
        return {*(self.departments or ()), *(name.partition(".")[0] for name in datasets)}


class JobRequest(Choices):
    """What is to be done with a file, with the choices of a recipe where there are none in the request.

    ``recipe`` is its name or id; ``recipe_version`` is the newest by default. ``anyway`` runs a recipe that does not
    fit the file.
    """

    file: str = Field(max_length=64)
    recipe: str | None = Field(default=None, max_length=64)
    recipe_version: int | None = Field(default=None, strict=True, ge=1, le=1_000_000)
    anyway: bool = Field(default=False, strict=True)


class PreviewRequest(JobRequest):
    """As for a job, and how many rows to show."""

    rows: int = Field(default=10, strict=True, ge=1, le=100)

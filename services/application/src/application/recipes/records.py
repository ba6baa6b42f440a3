"""Recipes as they are kept in the table, and as callers ask for them."""

from __future__ import annotations

import re
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from application.aws.table import Key
from application.engine import Report
from application.jobs.requests import Choices
from application.records import Record, is_id

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

Found = dict[str, tuple[int, int]]
"""By data set, how many cells had a key that was found, and how many one that was not."""


def is_name(text: str) -> bool:
    """Whether a recipe can be called so: not as an identifier, by which it is found as well."""
    return _NAME.fullmatch(text) is not None and not is_id(text)


def found_of(report: Report) -> Found:
    """What a job found."""
    found: Found = {}
    for entry in report.mappings:
        matched, unmatched = found.get(entry.dataset, (0, 0))
        found[entry.dataset] = (matched + entry.matched, unmatched + entry.unmatched)
    return found


class Version(BaseModel):
    """A version of a recipe; its choices are kept beside it."""

    model_config = ConfigDict(frozen=True)

    version: int
    saved_at: str


class Recipe(Record):
    """A recipe: whose it is, who may use it, and its versions, the newest last.

    ``owner_name`` is for people to read. ``groups`` may read and use it. ``last_run`` is what its last job found.
    """

    structured: ClassVar[frozenset[str]] = frozenset({"groups", "versions", "last_run"})

    id: str
    owner: str
    owner_name: str
    name: str
    groups: tuple[str, ...] = ()
    version: int
    versions: tuple[Version, ...]
    last_run: Found | None = None

    @property
    def key(self) -> Key:
        """Where it is in the table."""
        return recipe_key(self.id)

    @property
    def etag(self) -> str:
        """The entity tag of its newest version."""
        return f'"{self.id}-{self.version}"'


def recipe_key(recipe: str) -> Key:
    """The key of a recipe's item."""
    return f"RECIPE#{recipe}", "RECIPE"


class SavedRecipe(BaseModel):
    """What a new version has: the choices of a finished job, those of an earlier version, or those given here."""

    model_config = ConfigDict(extra="forbid")

    from_job: str | None = Field(default=None, max_length=64)
    from_version: int | None = Field(default=None, strict=True, ge=1, le=1_000_000)
    choices: Choices | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.from_job, self.from_version, self.choices)) != 1:
            raise ValueError("give one of from_job, from_version and choices")
        return self


class Sharing(BaseModel):
    """The groups whose members may read and use a recipe."""

    model_config = ConfigDict(extra="forbid")

    groups: list[str] = Field(max_length=10)

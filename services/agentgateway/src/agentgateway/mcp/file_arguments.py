"""What the file tools are called with. The models are the tools' input schemas, so their texts are for agents."""

import base64
import binascii
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.causes import Approvable, Cause
from common.file_options import DETECT_ALL, FileOptions

MAX_INLINE_BYTES = 1_000_000
MAX_WAIT_SECONDS = 25

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
RecipeName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
FileName = Annotated[str, Field(min_length=1, max_length=255)]


class Arguments(BaseModel):
    """Arguments of one tool; a name that is not known is an error rather than a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoArguments(Arguments):
    """For tools that need nothing."""


class CreateUpload(Arguments):
    """Of `files_create_upload`."""

    name: FileName = Field(description="Name of the file; its extension tells the format.")
    size: int = Field(strict=True, ge=1, description="Size in bytes.")


class Part(Arguments):
    """One part of an upload."""

    number: int = Field(strict=True, ge=1, le=10_000)
    etag: str = Field(min_length=1, max_length=128, description="The ETag header of the part's PUT response.")


class CompleteUpload(Arguments):
    """Of `files_complete_upload`."""

    upload: Id = Field(description="The upload's id.")
    parts: tuple[Part, ...] = Field(min_length=1, max_length=10_000, description="Every part that was put.")


class Source(Arguments):
    """A file: one that was uploaded before, or up to 1 MB of content right here."""

    file: Id | None = Field(default=None, description="Id of an uploaded file. Instead of name and text or base64.")
    name: FileName | None = Field(default=None, description="Name of a file given inline, such as invoices.csv.")
    text: str | None = Field(default=None, description="Content of a text file given inline, at most 1 MB.")
    base64: str | None = Field(default=None, description="Content of a binary file given inline, at most 1 MB decoded.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        inline = [given for given in (self.text, self.base64) if given is not None]
        if self.file is not None:
            if inline or self.name is not None:
                raise ValueError("give either file, or name with text or base64, not both")
        elif self.name is None or len(inline) != 1:
            raise ValueError("give file (an uploaded file's id), or name with one of text and base64")
        return self

    def content(self) -> bytes:
        """The inline content.

        Raises:
            ValueError: Too large, or not base64; says what would be right.
        """
        if self.base64 is not None:
            try:
                content = base64.b64decode(self.base64, validate=True)
            except binascii.Error:
                raise ValueError("field 'base64': is not base64 (RFC 4648, section 4)") from None
        else:
            content = (self.text or "").encode()
        if len(content) > MAX_INLINE_BYTES:
            raise ValueError(
                f"the content has {len(content)} bytes, and {MAX_INLINE_BYTES} can be given inline: "
                "use files_create_upload"
            )
        return content


class _Approved(Arguments):
    approve: tuple[Approvable, ...] = Field(
        default=(), description="Causes: of every key with one of them, the best proposal is used."
    )
    keys: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="The key to use for a key that was not found, by data set, such as "
        "{'department.dataset': {'key in the file': 'key to use'}}.",
    )


class _Choices(_Approved):
    departments: tuple[str, ...] | None = Field(
        default=None, description="Departments whose data to add; without it, all that match and are yours."
    )
    mapping: dict[str, tuple[str, ...]] | None = Field(
        default=None,
        description="Which column holds keys of which data sets, such as {'column': ['department.dataset']}; "
        "without it, it is found from names and values.",
    )
    columns: dict[str, tuple[str, ...]] | None = Field(
        default=None, description="Which columns to add for a data set, such as {'department.dataset': ['column']}."
    )
    options: FileOptions = Field(
        default=DETECT_ALL,
        description="How the file is read, where files_preview shows under `detected` that a guess is wrong.",
    )


class _Enrichment(Source, _Choices):
    recipe: RecipeName | None = Field(
        default=None, description="Recipe whose choices to use where none are given here; see files_list_recipes."
    )
    recipe_version: int | None = Field(
        default=None, strict=True, ge=1, le=1_000_000, description="Version of the recipe; without it, the newest."
    )
    anyway: bool = Field(
        default=False,
        strict=True,
        description="Use a recipe that does not fit the file: without the columns that are gone. Ask the user first.",
    )

    def choices(self) -> dict[str, object]:
        """What was chosen, as the application takes it."""
        return self.model_dump(exclude={*Source.model_fields, "rows"}, exclude_defaults=True)


class Preview(_Enrichment):
    """Of `files_preview`."""

    rows: int = Field(default=10, strict=True, ge=1, le=100, description="How many rows to show.")


class SubmitJob(_Enrichment):
    """Of `files_submit_job`."""


class OneJob(Arguments):
    """Of tools about one job."""

    job: Id = Field(description="The job's id.")


class JobStatus(OneJob):
    """Of `files_job_status`."""

    wait_seconds: float = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Wait as long as this for the job to end, and report progress meanwhile.",
    )


class JobMisses(OneJob):
    """Of `files_list_misses`."""

    cause: Cause | None = Field(default=None, description="Only keys with this cause.")
    limit: int = Field(default=100, strict=True, ge=1, le=1000, description="The maximum number to list of a column.")


class ReviewJob(OneJob, _Approved):
    """Of `files_review_job`."""


class OneRecipe(Arguments):
    """Of tools about one recipe."""

    name: RecipeName = Field(description="The recipe's name, or its id.")


class ShowRecipe(OneRecipe):
    """Of `files_show_recipe`."""

    version: int | None = Field(default=None, strict=True, ge=1, le=1_000_000, description="Without it, the newest.")


class SaveRecipe(OneRecipe):
    """Of `files_save_recipe`."""

    from_job: Id | None = Field(
        default=None, description="Keep the choices of this finished job, and what was approved for its keys."
    )
    from_version: int | None = Field(
        default=None, strict=True, ge=1, le=1_000_000, description="Restore this version of the recipe."
    )
    choices: _Choices | None = Field(default=None, description="Keep these choices.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.from_job, self.from_version, self.choices)) != 1:
            raise ValueError("give one of from_job, from_version and choices")
        return self


class ShareRecipe(OneRecipe):
    """Of `files_share_recipe`."""

    groups: tuple[str, ...] = Field(max_length=10, description="All groups that it is shared with from now on.")


class OneFile(Arguments):
    """Of tools about one file."""

    file: Id = Field(description="The file's id.")


class OneUpload(Arguments):
    """Of tools about one upload."""

    upload: Id = Field(description="The upload's id.")


class Page(Arguments):
    """Of tools that list."""

    limit: int = Field(default=50, strict=True, ge=1, le=100, description="The maximum number to list.")
    cursor: str | None = Field(default=None, max_length=2048, description="`next` of the page before.")

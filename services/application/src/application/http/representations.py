"""Records as the JSON that callers see."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from application.files.names import result_name
from application.files.uploads import Begun
from application.http.questions import question_document
from application.http.schemas import (
    BegunUpload,
    DetectedDocument,
    FileDocument,
    JobDocument,
    JobErrorDocument,
    JobFile,
    JobMapping,
    JobResultDocument,
    PreviewDocument,
    PreviewMapping,
    RecipeDocument,
    RecipeSummary,
    UploadDocument,
    UploadPart,
    UsedRecipeDocument,
)
from application.jobs.planning import Previewed
from application.recipes.records import Recipe
from application.recipes.service import Shown
from application.records import File, Job, JobResult, Upload, UsedRecipe, iso
from common.caller import Caller
from common.file_options import FORMATS


def file_document(file: File) -> dict[str, Any]:
    """A file."""
    return FileDocument(
        id=file.id,
        name=file.name,
        size=file.size,
        format=file.format.value,
        created_at=file.created_at,
        expires_at=iso(file.expires_at),
    ).model_dump()


def upload_document(upload: Upload) -> dict[str, Any]:
    """An upload on its way."""
    return UploadDocument(
        id=upload.id,
        name=upload.name,
        size=upload.size,
        created_at=upload.created_at,
        expires_at=iso(upload.expires_at),
    ).model_dump()


def begun_upload(begun: Begun) -> dict[str, Any]:
    """An upload that was just begun."""
    parts = [UploadPart(number=number, url=url) for number, url in enumerate(begun.urls, 1)]
    expires_at = iso(begun.upload.expires_at)
    return BegunUpload(id=begun.upload.id, part_size=begun.part_size, parts=parts, expires_at=expires_at).model_dump()


def job_document(job: Job) -> dict[str, Any]:
    """A job, of which the caller may see all: see ``Access.redacted``."""
    return JobDocument(
        id=job.id,
        file=JobFile(id=job.file_id, name=job.file_name, size=job.file_size, format=job.file_format.value),
        status=job.status,
        departments=list(job.departments),
        mapping=[
            JobMapping(
                column=entry.column,
                dataset=str(entry.dataset.ref),
                columns=[column.name for column in entry.columns],
                evidence=list(entry.evidence),
            )
            for entry in job.mapping
        ],
        options=job.options,
        approve=list(job.approve),
        review_of=job.review_of,
        recipe=_used(job.recipe),
        attempts=job.attempts,
        progress=job.progress,
        error=None if job.error is None else JobErrorDocument.model_validate(job.error),
        retryable=job.retryable,
        result=None if job.result is None else _result(job.file_name, job.result),
        created_at=job.created_at,
        updated_at=job.updated_at,
        finished_at=job.finished_at,
        expires_at=iso(job.expires_at),
    ).model_dump()


def _result(name: str, result: JobResult) -> JobResultDocument:
    return JobResultDocument(name=result_name(name), size=result.size, found=result.found, keys=result.keys)


def preview_document(previewed: Previewed) -> dict[str, Any]:
    """The first rows, enriched."""
    preview = previewed.preview
    return PreviewDocument(
        columns=list(preview.columns),
        rows=[list(row) for row in preview.rows],
        mapping=[
            PreviewMapping(
                column=entry.column,
                dataset=entry.dataset,
                evidence=list(entry.evidence),
                matched=entry.matched,
                values=entry.values,
                missed=list(entry.missed),
            )
            for entry in preview.mapping
        ],
        unmapped=list(preview.unmapped),
        questions=[question_document(question) for question in preview.questions],
        detected=DetectedDocument(
            **asdict(preview.detected),
            options=[name for name, formats in FORMATS.items() if preview.detected.format in formats],
        ),
        recipe=_used(previewed.recipe),
        warnings=list(previewed.warnings),
    ).model_dump()


def recipe_summary(recipe: Recipe, caller: Caller) -> dict[str, Any]:
    """A recipe as it stands in a list."""
    own = recipe.owner == caller.subject
    return RecipeSummary(
        id=recipe.id,
        name=recipe.name,
        owner=recipe.owner_name,
        own=own,
        groups=[group for group in recipe.groups if own or group in caller.groups],
        version=recipe.version,
        saved_at=recipe.versions[-1].saved_at,
    ).model_dump()


def recipe_document(shown: Shown, caller: Caller) -> dict[str, Any]:
    """A version of a recipe, as its reader may see it."""
    return RecipeDocument(
        **recipe_summary(shown.recipe, caller)
        | {"version": shown.version, "versions": list(shown.recipe.versions), "choices": shown.part.choices},
        held_back=not shown.part.is_whole,
    ).model_dump(mode="json")


def _used(recipe: UsedRecipe | None) -> UsedRecipeDocument | None:
    return None if recipe is None else UsedRecipeDocument.model_validate(recipe.model_dump())

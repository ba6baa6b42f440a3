"""Records as the JSON that callers see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from application.api.schemas import (
    FileDocument,
    JobDocument,
    JobFile,
    JobMapping,
    JobResultDocument,
    PreviewDocument,
    PreviewMapping,
    QuestionDocument,
    UploadDocument,
)
from application.engine import Preview, Question
from application.names import result_name
from application.records import File, Job, Upload, iso


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
        attempts=job.attempts,
        progress=job.progress,
        error=job.error,
        retryable=job.retryable,
        result=None if job.result is None else JobResultDocument(name=result_name(job.file_name), size=job.result.size),
        created_at=job.created_at,
        updated_at=job.updated_at,
        finished_at=job.finished_at,
        expires_at=iso(job.expires_at),
    ).model_dump()


def question_documents(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """What the caller must decide."""
    return [_question(question).model_dump() for question in questions]


def _question(question: Question) -> QuestionDocument:
    return QuestionDocument(column=question.column, candidates=list(question.candidates), detail=question.detail)


def preview_document(preview: Preview) -> dict[str, Any]:
    """The first rows, enriched."""
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
            )
            for entry in preview.mapping
        ],
        unmapped=list(preview.unmapped),
        questions=[_question(question) for question in preview.questions],
    ).model_dump()

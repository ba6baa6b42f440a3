"""Records as the JSON that callers see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from application.engine import Preview, Question
from application.names import result_name
from application.records import File, Job, Upload, iso


def file_document(file: File) -> dict[str, Any]:
    """A file."""
    return {
        "id": file.id,
        "name": file.name,
        "size": file.size,
        "format": file.format.value,
        "created_at": file.created_at,
        "expires_at": iso(file.expires_at),
    }


def upload_document(upload: Upload) -> dict[str, Any]:
    """An upload on its way."""
    return {
        "id": upload.id,
        "name": upload.name,
        "size": upload.size,
        "created_at": upload.created_at,
        "expires_at": iso(upload.expires_at),
    }


def job_document(job: Job) -> dict[str, Any]:
    """A job, of which the caller may see all: see ``Access.redacted``."""
    result = None if job.result is None else {"name": result_name(job.file_name), "size": job.result.size}
    return {
        "id": job.id,
        "file": {"id": job.file_id, "name": job.file_name, "size": job.file_size, "format": job.file_format.value},
        "status": job.status,
        "departments": list(job.departments),
        "mapping": [
            {
                "column": entry.column,
                "dataset": str(entry.dataset.ref),
                "columns": [column.name for column in entry.columns],
                "evidence": list(entry.evidence),
            }
            for entry in job.mapping
        ],
        "attempts": job.attempts,
        "progress": job.progress.model_dump(),
        "error": job.error,
        "retryable": job.retryable,
        "result": result,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "finished_at": job.finished_at,
        "expires_at": iso(job.expires_at),
    }


def question_documents(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """What the caller must decide."""
    return [
        {"column": question.column, "candidates": list(question.candidates), "detail": question.detail}
        for question in questions
    ]


def preview_document(preview: Preview) -> dict[str, Any]:
    """The first rows, enriched."""
    return {
        "columns": list(preview.columns),
        "rows": [list(row) for row in preview.rows],
        "mapping": [
            {
                "column": entry.column,
                "dataset": entry.dataset,
                "evidence": list(entry.evidence),
                "matched": entry.matched,
                "values": entry.values,
            }
            for entry in preview.mapping
        ],
        "unmapped": list(preview.unmapped),
        "questions": question_documents(preview.questions),
    }

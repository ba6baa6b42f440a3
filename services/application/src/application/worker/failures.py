"""Why a job failed, as its owner is told."""

from __future__ import annotations

from typing import Any

from application.engine import DepartmentUnavailable, InputError
from application.errors import DepartmentRefused, ObjectGone


def failure_of(error: Exception) -> dict[str, Any]:
    """The error of an attempt as the job's ``error``."""
    match error:
        case InputError():
            return _failure(error.slug, error.title, error.detail, **error.extra())
        case DepartmentRefused():
            title = "A department refuses"
            return _failure("access-withdrawn", title, f"{error}.", department=error.department)
        case DepartmentUnavailable():
            title = "A department is not available"
            detail = f"{error}. Nothing is wrong with the file: retry the job later."
            return _failure("department-unavailable", title, detail, department=error.department)
        case ObjectGone():
            detail = "The file's content does not exist any more. Upload it again."
            return _failure("file-gone", "The file is gone", detail)
        case _:
            detail = "This is our fault, not yours. Retry the job; if it fails again, tell the platform team."
            return _failure("internal-error", "Something went wrong here", detail)


def too_many_attempts(attempts: int) -> dict[str, Any]:
    """The job's workers vanished again and again."""
    detail = (
        f"All of {attempts} attempts ended without a result. Retry the job; if it fails again, tell the platform team."
    )
    return _failure("too-many-attempts", "The job could not be finished", detail)


def caller_expired() -> dict[str, Any]:
    """The job acts for somebody who was verified too long ago."""
    detail = "The job took longer than the 24 hours for which it may act for you. Retry it."
    return _failure("caller-expired", "The job waited too long", detail)


def _failure(slug: str, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    return {"type": f"urn:fileproc:problem:{slug}", "title": title, "detail": detail, **extra}

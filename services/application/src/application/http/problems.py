"""Every error that can reach a caller, as a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from application.aws.clients import AwsError, is_transient
from application.engine import DepartmentUnavailable, InputError, Question
from application.errors import CannotRepair, DepartmentRefused, ObjectGone, TooSlow
from application.http.questions import question_documents
from application.sandbox import EngineFailed
from application.usage import StorageFull, TooManyJobs, TooManyUploads
from common.problem import Problem, install_problem_handlers, invalid_request, problem_response

log = structlog.get_logger()

_STATUS = {"unsupported-format": 415, "wrong-format": 415, "file-too-large": 413, "record-too-long": 413}


def of_input(error: InputError) -> Problem:
    """What is wrong with a file or with what was asked to be done with it."""
    return Problem(_STATUS.get(error.slug, 422), error.slug, error.title, error.detail, None, **error.extra())


def of_proposal(error: InputError, questions: Sequence[Question]) -> Problem:
    """Why a mapping cannot be used, with the questions that are open."""
    problem = of_input(error)
    if questions:
        problem.extra["questions"] = question_documents(questions)
    return problem


def no_such(thing: str) -> Problem:
    """A file, upload or job that does not exist, or is another's."""
    return Problem(
        404, f"{thing}-not-found", f"There is no such {thing}", f"There is no such {thing}, or it has expired."
    )


def access_withdrawn() -> Problem:
    """The caller may not see all that the job adds, at present."""
    return Problem(
        403,
        "access-withdrawn",
        "You may not see all of this any more",
        "The result holds data of a department or a column that you may not use at present.",
    )


def department_unavailable(error: DepartmentUnavailable) -> Problem:
    """A department that does not answer now, or does not let the caller in."""
    if isinstance(error, DepartmentRefused):
        title = "A department refuses"
        return Problem(403, "department-refused", title, f"{error}.", department=error.department)
    detail = f"{error}. Retry, or name the departments that you need without it."
    headers = {"retry-after": "5"}
    title = "A department is not available"
    return Problem(503, "department-unavailable", title, detail, headers, department=error.department)


def cannot_repair(error: Exception) -> Problem:
    """What was approved for keys that are not found."""
    return Problem(422, "cannot-repair", "The keys cannot be repaired", str(error))


def file_gone() -> Problem:
    """The file's content is not in the bucket any more."""
    return Problem(410, "file-gone", "The file is gone", "The file's content no longer exists. Upload it again.")


def result_gone() -> Problem:
    """A result's content is not in the bucket any more."""
    detail = "The result's content no longer exists. Start a new job on the file to get it again."
    return Problem(410, "result-gone", "The result is gone", detail)


def no_departments() -> Problem:
    """The caller may use no department at all, so there is nothing to add to any file."""
    detail = "None of your groups has access to a department. Ask the department's owner to give your group access."
    return Problem(403, "no-departments", "You have no access to a department", detail)


def storage_unavailable() -> Problem:
    """AWS fails or throttles."""
    detail = "The storage of files and jobs does not answer. Nothing was lost. Retry in a moment."
    return Problem(503, "storage-unavailable", "The storage does not answer", detail, {"retry-after": "5"})


def too_large(limit: int) -> Problem:
    """A body or file that is larger than it may be."""
    detail = f"The maximum size is {limit} bytes."
    return Problem(413, "too-large", "This is too large", detail, expected=f"at most {limit} bytes")


def too_many_jobs(error: TooManyJobs) -> Problem:
    """One more job than a caller may have under way."""
    detail = (
        f"You have {error.limit} jobs queued or running, which is the maximum. Wait for one to finish, or cancel one."
    )
    return Problem(429, "too-many-jobs", "Too many jobs at the same time", detail, {"retry-after": "10"})


def too_many_uploads(error: TooManyUploads) -> Problem:
    """One more upload than a caller may have on its way."""
    detail = (
        f"You have {error.limit} uploads that are not complete; the maximum is {error.limit}. Complete or abort one."
    )
    return Problem(429, "too-many-uploads", "Too many uploads at the same time", detail, {"retry-after": "10"})


def storage_full(error: StorageFull) -> Problem:
    """More bytes than a caller may keep."""
    detail = (
        f"You use {error.used} of {error.limit} bytes (a result counts as much as its file), and this needs "
        f"{error.needed} more. Delete files that you no longer need; they also expire by themselves."
    )
    return Problem(413, "storage-full", "Your storage is full", detail, expected=f"at most {error.limit} bytes in all")


def invalid_json() -> Problem:
    """A body that cannot be parsed."""
    return Problem(422, "invalid-request", "The request is not valid", "The body is not JSON (RFC 8259).")


def busy() -> Problem:
    """No process was free to look into the file."""
    detail = "Other files are being read. Retry in a moment."
    return Problem(503, "busy", "Too many files are being read", detail, {"retry-after": "5"})


def engine_failed() -> Problem:
    """An error of ours while a file was read."""
    detail = "Reading this file failed. Retry; if it fails again, contact the platform team."
    return Problem(500, "internal-error", "Something went wrong here", detail)


def too_slow() -> Problem:
    """A body that does not come."""
    detail = "The request's body arrived too slowly, or stopped."
    return Problem(408, "too-slow", "The upload is too slow", detail, {"connection": "close"})


def install(app: FastAPI) -> None:
    """Answer every error of ``app`` as a problem."""
    install_problem_handlers(app)

    def answer(kind: type[Exception], problem_of: Callable[[Exception], Problem]) -> None:
        async def handle(_: Request, error: Exception) -> Response:
            return problem_response(problem_of(error))

        app.add_exception_handler(kind, handle)

    def of_validation(error: Exception) -> Problem:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for no other
        return invalid_request(error.errors())

    def of_input_error(error: Exception) -> Problem:
        assert isinstance(error, InputError)  # noqa: S101 - registered for no other
        return of_input(error)

    def of_department(error: Exception) -> Problem:
        assert isinstance(error, DepartmentUnavailable)  # noqa: S101 - registered for no other
        return department_unavailable(error)

    answer(RequestValidationError, of_validation)
    answer(InputError, of_input_error)
    answer(DepartmentUnavailable, of_department)
    answer(CannotRepair, cannot_repair)
    answer(ObjectGone, lambda _: file_gone())
    answer(TooManyJobs, lambda error: too_many_jobs(cast("TooManyJobs", error)))
    answer(TooManyUploads, lambda error: too_many_uploads(cast("TooManyUploads", error)))
    answer(StorageFull, lambda error: storage_full(cast("StorageFull", error)))
    answer(TooSlow, lambda _: too_slow())
    app.add_exception_handler(EngineFailed, _on_engine_failed)
    for kind in AwsError:
        app.add_exception_handler(kind, _on_aws_error)


async def _on_engine_failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, EngineFailed)  # noqa: S101 - registered for no other
    log.error("request.engine_failed", path=request.url.path, error=error.kind, places=error.places)
    return problem_response(engine_failed())


async def _on_aws_error(request: Request, error: Exception) -> Response:
    if not is_transient(error):
        # Nothing that trying again would mend: handled as what is unforeseen.
        raise error
    log.warning("storage.unavailable", path=request.url.path, error=str(error))
    return problem_response(storage_unavailable())

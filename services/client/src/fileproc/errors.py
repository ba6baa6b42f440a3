"""What can go wrong, as one hierarchy.

FileprocError
├── Refused              not logged in, or not allowed (401, 403)
├── InvalidRequest       what was asked is wrong: the file, a column, an identifier (other 4xx)
│   ├── NotFound         no such file or job, or another's (404)
│   ├── Conflict         not in the state that this needs (409)
│   └── UnclearMapping   which columns are keys must be said; `questions` tells which
├── JobFailed            the job ended without a result
├── Unavailable          not reached, overloaded or out of order (429, 5xx); the same call may work later
│   └── Unintelligible   the answer is not one of this service
├── FileChanged          the input changed while it was being sent
├── ResultChanged        the result changed while it was being fetched
└── OutputExists         the file to write is there already

Each message is a sentence for people. `exit_code` is what the command `fileproc` ends with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fileproc.models import Job, Question

_QUESTIONS = TypeAdapter(tuple[Question, ...])


class FileprocError(Exception):
    """The base of all errors that this package raises on purpose.

    Attributes:
        problem: The members of the service's RFC 9457 problem, empty where the error did not come from there.
    """

    exit_code = 1

    def __init__(self, message: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problem = dict(problem or {})


class Refused(FileprocError):
    """Not logged in, the login has ended, or this caller may not do this."""

    exit_code = 3


class InvalidRequest(FileprocError):
    """What was asked for is wrong; the message says where, and what would be right."""

    exit_code = 4


class NotFound(InvalidRequest):
    """There is no such file or job for this caller."""


class Conflict(InvalidRequest):
    """The file or job is not in the state that this needs."""


class UnclearMapping(InvalidRequest):
    """Which columns are keys into which data sets has to be said by the caller."""

    def __init__(self, message: str, problem: Mapping[str, Any]) -> None:
        super().__init__(message, problem)
        self.questions: tuple[Question, ...] = ()
        with suppress(ValidationError):  # the message has to do, then
            self.questions = _QUESTIONS.validate_python(problem.get("questions", ()))


class JobFailed(FileprocError):
    """The job ended without a result; `job` says why, and whether a retry makes sense.

    Ends the command with 5 where a retry may work, and with 4 where the file, or what was asked, has to change first.
    """

    def __init__(self, message: str, job: Job) -> None:
        super().__init__(message, job.error.model_dump(exclude_none=True) if job.error else None)
        self.job = job
        self.exit_code = 5 if job.retryable else InvalidRequest.exit_code


class Unavailable(FileprocError):
    """The service was not reached, is overloaded or out of order."""

    exit_code = 6


class Unintelligible(Unavailable):
    """What answered does not speak this service's language."""


class FileChanged(FileprocError):
    """The input changed while it was being sent, so what arrived is neither its old nor its new content."""

    exit_code = 4


class ResultChanged(FileprocError):
    """The result changed while it was being fetched, so that the parts do not belong together."""

    exit_code = 6


class OutputExists(FileprocError):
    """The file to write is there already, and overwriting it was not asked for."""

    exit_code = 2


def sentence(problem: Mapping[str, Any]) -> str:
    """A problem in one sentence: what is wrong, where, and what would be right.

    The place and the expectation are added only where `detail` does not name them itself. The field of the request is
    left out: people wrote no request.
    """
    detail = str(problem.get("detail") or problem.get("title") or "The request was refused").strip()
    places = [
        f"{name} {problem[name]!r}" if isinstance(problem[name], str) else f"{name} {problem[name]}"
        for name in ("row", "line", "column")
        if problem.get(name) is not None and not _names(detail, problem[name])
    ]
    where = ", ".join(places)
    text = f"{where[0].upper()}{where[1:]}: {detail}" if where else detail
    text = _ended(text)
    expected = problem.get("expected")
    listed = ", ".join(map(str, expected)) if isinstance(expected, list) else str(expected or "")
    if listed and not _names(detail, listed.removeprefix("one of: ")):
        text = f"{text} Expected: {_ended(listed)}"
    return text


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _names(detail: str, value: object) -> bool:
    return re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", detail) is not None


def from_problem(status: int, problem: Mapping[str, Any]) -> FileprocError:
    """The error for an answer of `status` >= 400 whose body was `problem`."""
    text = sentence(problem)
    if status in {401, 403}:
        return Refused(text, problem)
    if status == 404:
        return NotFound(text, problem)
    if status == 409:
        return Conflict(text, problem)
    if status == 429 or status >= 500:
        return Unavailable(text, problem)
    if str(problem.get("type", "")).endswith(":unclear-mapping"):
        return UnclearMapping(text, problem)
    return InvalidRequest(text, problem)

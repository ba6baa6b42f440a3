"""Errors of a REST interface as RFC 9457 `application/problem+json`."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.status import HTTP_404_NOT_FOUND

log = structlog.get_logger()


class Problem(Exception):
    """An error that the caller is told of in full.

    Attributes:
        status: The HTTP status code.
        slug: Names the kind of problem; `type` becomes `urn:fileproc:problem:<slug>`.
        title: The kind of problem, in the same words each time.
        detail: What was wrong here, where, and what would be right.
        extra: Members for machines, such as `row`, `column`, `field`.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = {name: value for name, value in extra.items() if value is not None}

    def document(self) -> dict[str, Any]:
        """The problem as the JSON object of RFC 9457, section 3."""
        return {
            "type": f"urn:fileproc:problem:{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


def problem_response(problem: Problem) -> Response:
    """The HTTP response that carries `problem`."""
    return Response(
        orjson.dumps(problem.document()),
        problem.status,
        problem.headers,
        media_type="application/problem+json",
    )


def invalid_request(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """The problem for a request that pydantic refused: the first field's error in words, all of them as a list."""
    fields = [
        {
            "field": ".".join(str(part) for part in error["loc"] if part != "body"),
            "detail": str(error["msg"]).removeprefix("Value error, "),
        }
        for error in errors
    ]
    first = fields[0]
    where = f"field '{first['field']}': " if first["field"] else ""
    detail = f"{where}{first['detail']}"
    return Problem(422, "invalid-request", "The request is not valid", detail, errors=fields)


def install_problem_handlers(app: Starlette) -> None:
    """Answer every error of `app` as a problem; what is unforeseen is logged and told without details."""

    async def on_problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - Starlette calls it for no other
        return problem_response(error)

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - Starlette calls it for no other
        slug = error.detail.lower().replace(" ", "-")
        detail = "There is nothing at this path." if error.status_code == HTTP_404_NOT_FOUND else error.detail
        headers = dict(error.headers or {})
        return problem_response(Problem(error.status_code, slug, error.detail, detail, headers))

    async def on_client_gone(_: Request, __: Exception) -> Response:
        return Response(status_code=499)  # read by nobody; counted apart from errors of ours

    async def on_unforeseen(request: Request, error: Exception) -> Response:
        log.error("request.failed", method=request.method, path=request.url.path, exc_info=error)
        detail = "This is our fault, not yours. Try again; if this keeps happening, contact the platform team."
        # uvicorn closes the connection after this; who keeps it in a pool must know, or its next request is lost.
        headers = {"connection": "close"}
        return problem_response(Problem(500, "internal-error", "Something went wrong here", detail, headers))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_client_gone)
    app.add_exception_handler(Exception, on_unforeseen)

"""The application's REST interface, as the file tools use it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson
import structlog

from agentgateway.mcp.access import CallerAccess
from agentgateway.rest.application import Application
from common.problem import Problem

log = structlog.get_logger()

BROKE_OFF = "The file service stopped in the middle of its answer. Retry in a few seconds."
FAULTY = "The file service returned an invalid answer. Retry; if this keeps happening, contact the platform team."


class ApplicationError(Exception):
    """The application did not do what was asked; the message says why, in words for the caller.

    Attributes:
        problem: The problem document (RFC 9457) that the application answered, if it did.
        file: The file that it is about, if it is kept.
    """

    def __init__(self, message: str, problem: Mapping[str, Any] | None = None, file: str | None = None) -> None:
        super().__init__(message)
        self.problem = problem
        self.file = file


class FileService:
    """Calls the application on behalf of a caller."""

    def __init__(self, application: Application) -> None:
        """Requests go through `application`, whose connections are shared with the REST endpoint."""
        self._application = application

    @asynccontextmanager
    async def open(
        self,
        access: CallerAccess,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request; the response, which is a success, is closed with the context.

        Raises:
            ApplicationError: The application refused, did not answer, or broke off.
        """
        headers = {} if body is None else {"content-type": content_type}
        query = urlencode(params or {}, quote_via=quote).encode()
        try:
            async with await self._application.begin(method, path, query, headers, body, access.caller) as response:
                if not response.ok:
                    raise _refusal(response.status, await response.read())
                yield response
        except Problem as error:
            raise ApplicationError(error.detail) from None
        except (aiohttp.ClientError, OSError) as error:
            log.warning("application.failed", method=method, error=type(error).__name__)
            raise ApplicationError(BROKE_OFF) from None

    async def json(
        self,
        access: CallerAccess,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        document: Any = None,
    ) -> dict[str, Any]:
        """The JSON object that the application answers.

        Raises:
            ApplicationError: As `open`, or the answer is no JSON object.
        """
        body = None if document is None else orjson.dumps(document)
        async with self.open(access, method, path, params=params, body=body) as response:
            return as_object(await response.read())


def as_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises:
        ApplicationError: It is none.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise ApplicationError(FAULTY)
    return document


def _refusal(status: int, body: bytes) -> ApplicationError:
    """What the application said against it, where that is for the caller."""
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        problem = None
    if not isinstance(problem, dict) or not isinstance(problem.get("detail"), str):
        log.error("application.refused", status=status)
        return ApplicationError(FAULTY)
    title = problem.get("title")
    return ApplicationError(f"{title}: {problem['detail']}" if isinstance(title, str) else problem["detail"], problem)

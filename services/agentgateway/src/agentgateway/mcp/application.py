"""The application's REST interface, as the file tools use it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import orjson
import structlog
from yarl import URL

from agentgateway.application import AUDIENCE
from agentgateway.mcp.backends import ServiceTokens
from agentgateway.mcp.pool import KEEP_ALIVE_SECONDS
from agentgateway.mcp.reach import Reach
from agentgateway.mcp.settings import McpSettings
from common.caller import CALLER_HEADER
from common.service_tokens import ServiceTokenUnavailable
from common.telemetry import trace_headers

log = structlog.get_logger()

UNAVAILABLE = "The file service does not answer at the moment. Try again in a few seconds."
FAULTY = "The file service gave no valid answer. Try again; if it stays, tell the platform team."


class ApplicationError(Exception):
    """The application did not do what was asked; the message says why, in words for the caller.

    Attributes:
        problem: The problem document (RFC 9457) that the application answered, if it did.
    """

    def __init__(self, message: str, problem: Mapping[str, Any] | None = None) -> None:
        """Keep what the caller will be told."""
        super().__init__(message)
        self.problem = problem


class Application:
    """Calls the application on behalf of a caller. Use as an asynchronous context."""

    def __init__(self, url: str, tokens: ServiceTokens, settings: McpSettings) -> None:
        """Nothing is sent yet."""
        self._url = url.rstrip("/")
        self._tokens = tokens
        self._settings = settings

    async def __aenter__(self) -> Self:
        """Open the pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.mcp_connect_seconds),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._session.close()

    @asynccontextmanager
    async def open(
        self,
        reach: Reach,
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
        try:
            headers = {
                "authorization": f"Bearer {await self._tokens.token(AUDIENCE)}",
                CALLER_HEADER: reach.caller_header,
                **trace_headers(),
            }
            if body is not None:
                headers["content-type"] = content_type
            url = URL(self._url + path)
            async with self._session.request(
                method, url, params=params, data=body, headers=headers, allow_redirects=False
            ) as response:
                if not response.ok:
                    raise _refusal(response.status, await response.read())
                yield response
        except ServiceTokenUnavailable as error:
            log.error("application.no_token", error=str(error))
            raise ApplicationError(UNAVAILABLE) from None
        except (aiohttp.ClientError, OSError) as error:
            log.warning("application.failed", method=method, error=type(error).__name__)
            raise ApplicationError(UNAVAILABLE) from None

    async def json(
        self,
        reach: Reach,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        document: Any = None,
    ) -> dict[str, Any]:
        """The JSON object that the application answers; an empty one for an empty answer.

        Raises:
            ApplicationError: As `open`, or the answer is no JSON object.
        """
        body = None if document is None else orjson.dumps(document)
        async with self.open(reach, method, path, params=params, body=body) as response:
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
    # 401 is about this service's own token.
    if status == 401 or not isinstance(problem, dict) or not isinstance(problem.get("detail"), str):
        log.error("application.refused", status=status)
        return ApplicationError(FAULTY)
    title = problem.get("title")
    return ApplicationError(f"{title}: {problem['detail']}" if isinstance(title, str) else problem["detail"], problem)

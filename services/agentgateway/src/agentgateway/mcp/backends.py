"""The departments' servers: pooled connections, service tokens, one circuit each."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Protocol

import aiohttp
import structlog
from yarl import URL

from agentgateway.mcp.breaker import CircuitBreaker, State
from agentgateway.mcp.errors import faulty, timed_out, too_large, unavailable
from agentgateway.mcp.metrics import circuit_is, circuit_is_gone
from agentgateway.mcp.reach import Reach
from agentgateway.mcp.settings import McpSettings
from common.caller import CALLER_HEADER
from common.departments import Department
from common.service_tokens import ServiceTokenUnavailable
from common.telemetry import trace_headers

log = structlog.get_logger()

KEEP_ALIVE_SECONDS = 4
"""Below the five seconds after which uvicorn closes an idle connection, so that no request meets that moment."""

TOKEN_RETRY_SECONDS = 5


class ServiceTokens(Protocol):
    """The part of `ServiceTokenSource` that is needed here."""

    async def token(self, audience: str) -> str:
        """A token that only `audience` accepts."""
        ...


class Backend:
    """One department's server."""

    def __init__(
        self, department: Department, session: aiohttp.ClientSession, tokens: ServiceTokens, settings: McpSettings
    ) -> None:
        """Nothing is sent yet."""
        self.name = department.name
        self.endpoint = department.endpoint
        self.tools: set[str] = set()
        """Names that are known to be tools; only they become labels of metrics, so that callers cannot add any."""
        self.breaker = CircuitBreaker(
            department.name, settings.mcp_breaker_failures, settings.mcp_breaker_seconds, self._circuit_changed
        )
        self._audience = department.audience
        self._url = URL(department.endpoint)
        self._session = session
        self._tokens = tokens
        self._settings = settings
        circuit_is(self.name, "closed")

    def _circuit_changed(self, state: State) -> None:
        log.warning("department.circuit", department=self.name, state=state)
        circuit_is(self.name, state)

    @asynccontextmanager
    async def post(
        self, reach: Reach, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request; the response is closed with the context.

        Raises:
            DepartmentFailure: Not reached, no answer in time, or the connection broke. Whatever breaks while the
                context lasts is told in the same way.
        """
        with self.breaker:
            try:
                async with await self._send(reach, body, headers, seconds) as response:
                    yield response
            except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
                raise unavailable(self.name, self._settings.mcp_breaker_seconds) from None
            except TimeoutError:
                raise timed_out(self.name, seconds) from None
            except (aiohttp.ClientError, OSError) as error:
                log.warning("department.broke_off", department=self.name, error=type(error).__name__)
                raise faulty(self.name, "the connection broke off before the end") from None

    async def _send(
        self, reach: Reach, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> aiohttp.ClientResponse:
        try:
            token = await self._tokens.token(self._audience)
        except ServiceTokenUnavailable as error:
            log.error("department.no_token", department=self.name, error=str(error))
            raise unavailable(self.name, TOKEN_RETRY_SECONDS) from None
        sent = {
            "authorization": f"Bearer {token}",
            CALLER_HEADER: reach.caller_header,
            "content-type": "application/json",
            **headers,
            **trace_headers(),
        }
        timeout = _timeout(seconds, self._settings.mcp_connect_seconds)
        try:
            return await self._session.post(self._url, data=body, headers=sent, timeout=timeout, allow_redirects=False)
        except aiohttp.ClientConnectorError:
            # Refused before anything was sent, as when a pod has just gone: the next connection meets another one.
            return await self._session.post(self._url, data=body, headers=sent, timeout=timeout, allow_redirects=False)

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body.

        Raises:
            RpcError: It is larger than `mcp_response_limit`; no more than that is ever held.
        """
        if response.content_length is not None:
            self.check_size(response.content_length)
            return await response.read()
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            self.check_size(len(body))
        return bytes(body)

    def check_size(self, size: int) -> None:
        """Refuse to hold an answer of `size` bytes, where that is more than passes at once."""
        if size > self._settings.mcp_response_limit:
            raise too_large(self.name, self._settings.mcp_response_limit)


@lru_cache(maxsize=1024)
def _timeout(seconds: float, connect_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, connect_seconds))


class Backends:
    """The departments' servers by name, each made when it is first called."""

    def __init__(self, tokens: ServiceTokens, settings: McpSettings) -> None:
        """Use as an asynchronous context: the connections live as long as it lasts."""
        self._tokens = tokens
        self._settings = settings
        self._backends: dict[str, Backend] = {}

    async def __aenter__(self) -> "Backends":
        """Open the pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("user-agent", "accept-encoding"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._session.close()

    def of(self, department: Department) -> Backend:
        """The server of `department`; a new endpoint begins with a closed circuit."""
        backend = self._backends.get(department.name)
        if backend is None or backend.endpoint != department.endpoint:
            backend = Backend(department, self._session, self._tokens, self._settings)
            self._backends[department.name] = backend
        return backend

    def keep_only(self, names: Mapping[str, Department]) -> None:
        """Forget departments that are gone, and their metrics."""
        for name in self._backends.keys() - names.keys():
            del self._backends[name]
            circuit_is_gone(name)

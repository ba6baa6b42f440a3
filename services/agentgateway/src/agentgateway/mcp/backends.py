"""The departments' servers: pooled connections, service tokens, one circuit each."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import structlog
from opentelemetry.trace import SpanKind
from yarl import URL

from agentgateway.http.rate_limit import BUSY_SECONDS
from agentgateway.http.upstream import ServiceTokens
from agentgateway.mcp.access import CallerAccess
from agentgateway.mcp.breaker import CircuitBreaker, State
from agentgateway.mcp.connection import ConnectionBroken, Response
from agentgateway.mcp.errors import (
    DepartmentFailure,
    Disconnected,
    faulty,
    rate_limited,
    timed_out,
    too_large,
    unavailable,
)
from agentgateway.mcp.metrics import circuit_is, circuit_is_gone
from agentgateway.mcp.pool import NotConnected, Pool
from agentgateway.mcp.settings import McpSettings
from common.caller import CALLER_HEADER
from common.departments import Department
from common.fair_queue import FairQueue, Turn
from common.service_tokens import ServiceTokenUnavailable
from common.telemetry import span, trace_headers

log = structlog.get_logger()

TOKEN_RETRY_SECONDS = 5
ALL_CALLS_AT_ONCE = 256
"""Calls of all callers that are under way at one department, so that connections have a limit too."""

WAITING_SHARE = 0.5
"""Part of its time that a call may wait for its turn. One sent with no time left would only look like a department that
does not answer.
"""

_ILLEGAL = re.compile("[\r\n\0]")


class Backend:
    """One department's server."""

    def __init__(self, department: Department, tokens: ServiceTokens, settings: McpSettings) -> None:
        self.name = department.name
        self.endpoint = department.endpoint
        self.tools: set[str] = set()
        """Names that are known to be tools; only they become labels of metrics, so that callers cannot add any."""
        self.breaker = CircuitBreaker(
            department.name, settings.mcp_breaker_failures, settings.mcp_breaker_seconds, self._circuit_changed
        )
        self._turns = FairQueue(ALL_CALLS_AT_ONCE, settings.mcp_calls_at_once)
        self._audience = department.audience
        self._tokens = tokens
        self._settings = settings
        url = URL(department.endpoint)
        self.pool = Pool(url, settings.mcp_connect_seconds)
        self._head = (
            f"POST {url.raw_path_qs} HTTP/1.1\r\nhost: {url.host_port_subcomponent}\r\n"
            "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
        )
        circuit_is(self.name, "closed")

    def _circuit_changed(self, state: State) -> None:
        log.warning("department.circuit", department=self.name, state=state)
        circuit_is(self.name, state)

    @asynccontextmanager
    async def post(
        self, access: CallerAccess, body: bytes, headers: Mapping[str, str], seconds: float, tool: str
    ) -> AsyncIterator[tuple[Response, asyncio.Timeout]]:
        """Send one request for `tool`; the response ends with the context, and at the deadline that comes with it.

        It is sent when it is the caller's turn: a caller has `mcp_calls_at_once` under way at a department.

        Raises:
            DepartmentFailure: Not reached, no answer in time, or the connection broke. Whatever breaks while the
                context lasts is told in the same way.
            RpcError: The caller's turn did not come in time.
        """
        subject, breaker = access.caller.subject, self.breaker
        now = asyncio.get_running_loop().time()
        due = now + seconds
        with (
            await self._turn(subject, now + seconds * WAITING_SHARE),
            span("department.call", SpanKind.CLIENT, department=self.name),
        ):
            breaker.enter()
            try:
                async with asyncio.timeout_at(due) as deadline:
                    response = await self.pool.send(await self._request(access, body, headers))
                    try:
                        await response.begin()
                        yield response, deadline
                    finally:
                        response.release()
            except NotConnected:
                failure = unavailable(self.name, self._settings.mcp_breaker_seconds)
            except TimeoutError:
                failure = timed_out(self.name, seconds)
            except ConnectionBroken as error:
                log.warning("department.broke_off", department=self.name, error=str(error))
                failure = faulty(self.name, str(error), Disconnected)
            except DepartmentFailure as error:
                failure = error
            except asyncio.CancelledError:
                breaker.abandoned()
                raise
            except Exception:
                # The department answered; the caller's own mistake is none of the department's.
                breaker.succeeded()
                raise
            else:
                breaker.succeeded()
                return
        breaker.failed(failure, subject, tool)
        raise failure from None

    async def _turn(self, subject: str, until: float) -> Turn:
        try:
            async with asyncio.timeout_at(until):
                return await self._turns.turn(subject)
        except TimeoutError:
            raise rate_limited(f"Too many of your calls of department '{self.name}' wait.", BUSY_SECONDS) from None

    async def _request(self, access: CallerAccess, body: bytes, headers: Mapping[str, str]) -> bytes:
        try:
            token = await self._tokens.token(self._audience)
        except ServiceTokenUnavailable as error:
            log.error("department.no_token", department=self.name, error=str(error))
            raise unavailable(self.name, TOKEN_RETRY_SECONDS) from None
        more = {**headers, **trace_headers()}
        lines = "".join([f"{name}: {value}\r\n" for name, value in more.items() if not _ILLEGAL.search(value)])
        head = (
            f"{self._head}authorization: Bearer {token}\r\n{CALLER_HEADER}: {access.caller_header}\r\n"
            f"content-length: {len(body)}\r\n{lines}\r\n"
        )
        return head.encode("latin-1") + body

    async def read(self, response: Response) -> bytes:
        """The whole body.

        Raises:
            RpcError: It is larger than `mcp_response_limit`; no more than that is ever held.
            ConnectionBroken: It does not come to its end.
        """
        self.check_size(response.content_length or 0)
        parts: list[bytes] = []
        size = 0
        async for part in response.chunks():
            size += len(part)
            self.check_size(size)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def check_size(self, size: int) -> None:
        """Refuse to hold an answer of `size` bytes, where that is more than passes at once."""
        if size > self._settings.mcp_response_limit:
            raise too_large(self.name, self._settings.mcp_response_limit)


class Backends:
    """The departments' servers by name, each made when it is first called."""

    def __init__(self, tokens: ServiceTokens, settings: McpSettings) -> None:
        """Use as an asynchronous context: the connections live as long as it lasts."""
        self._tokens = tokens
        self._settings = settings
        self._backends: dict[str, Backend] = {}

    async def __aenter__(self) -> Self:
        """Nothing is connected before it is needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        for backend in self._backends.values():
            backend.pool.abort()

    def of(self, department: Department) -> Backend:
        """The server of `department`; a new endpoint begins with a closed circuit."""
        backend = self._backends.get(department.name)
        if backend is None or backend.endpoint != department.endpoint:
            if backend is not None:
                backend.pool.close()
            backend = self._backends[department.name] = Backend(department, self._tokens, self._settings)
        return backend

    def keep_only(self, names: Mapping[str, Department]) -> None:
        """Forget departments that are gone, and their metrics."""
        for name in self._backends.keys() - names.keys():
            self._backends.pop(name).pool.close()
            circuit_is_gone(name)

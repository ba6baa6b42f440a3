"""The ASGI application of `/mcp` and `/mcp/{department}`."""

import asyncio
import math
import time
from collections.abc import Container, Mapping
from contextlib import AbstractContextManager, AsyncExitStack
from functools import lru_cache
from types import TracebackType
from typing import Protocol, Self

import structlog
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import INTERNAL_ERROR
from starlette.types import Receive, Scope, Send

from agentgateway.http.errors import ClientGone, Unauthenticated
from agentgateway.http.rate_limit import BUSY_SECONDS
from agentgateway.http.upstream import ServiceTokens
from agentgateway.mcp.access import AccessCache
from agentgateway.mcp.backends import Backends
from agentgateway.mcp.body_budget import BodyBudget
from agentgateway.mcp.call import CALL, FAILED, METHODS, Audit, Call, legal
from agentgateway.mcp.catalog import Catalog
from agentgateway.mcp.client import Client, ClientConnected
from agentgateway.mcp.errors import RpcError, http_refusal, rate_limited
from agentgateway.mcp.file_service import FileService
from agentgateway.mcp.file_tools import FileTools
from agentgateway.mcp.message import (
    Message,
    RawHeaders,
    as_request,
    clean_headers,
    parse,
    read_body,
    replayed,
    request_id_of,
    text_headers,
)
from agentgateway.mcp.relay import AccessWithdrawn, Relay
from agentgateway.mcp.routing import department_for
from agentgateway.mcp.server import create_server
from agentgateway.mcp.settings import McpSettings
from agentgateway.rest.application import Application
from common.accept import media_ranges, quality
from common.caller import Caller
from common.departments import Department, Departments
from common.fair_queue import FairQueue
from common.telemetry import link_caller, name_request

log = structlog.get_logger()

PATH = "/mcp"
ANSWERS_AT_ONCE, ANSWERS_OF_ONE = 64, 2
"""Lists and the like that the SDK's server answers at the same time, of all callers and of one: each takes milliseconds
of the event loop, and one that waits for a department that does not answer takes seconds.
"""

PAUSE_SECONDS = 0.04
"""How long a caller keeps the turn after such an answer, which costs three times as much processor time here as a call
that is passed on (measured: 4.6 and 1.8 ms): a caller who sends as many as the rate limit allows would take half of the
event loop. A few at a time wait for nothing.
"""

SMALL_BYTES = 64 * 1024
"""Up to this size, a request that is refused is read and parsed all the same, for its id."""

METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
"""Where the metadata of the resource `/mcp` is (RFC 9728, section 3.1)."""


class Authenticator(Protocol):
    """Tells who sent a request."""

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        """The verified caller; raises `Unauthenticated` without one."""
        ...


class RateLimiter(Protocol):
    """Bounds how much one caller may ask."""

    def check(self, caller: Caller) -> float | None:
        """Seconds to wait, or None where the request is allowed."""
        ...

    def check_size(self, caller: Caller, size: int) -> float | None:
        """The same for a request that `check` let through, by its size in bytes."""
        ...

    def under_way(self, caller: Caller) -> AbstractContextManager[bool]:
        """Whether one more request of the caller may be under way, while the block runs."""
        ...


class McpEndpoint:
    """Authenticates each request, passes it on to the one department it is for, or answers it.

    Use as an asynchronous context: connections and lists live as long as it lasts.
    """

    def __init__(
        self,
        settings: McpSettings,
        *,
        departments: Departments,
        tokens: ServiceTokens,
        authenticator: Authenticator,
        rate_limiter: RateLimiter,
        audit: Audit,
        application: Application,
        public_api_url: str,
        origins: Container[str],
        scope: str,
    ) -> None:
        """Nothing is opened yet.

        Args:
            settings: Limits and timeouts.
            departments: Who has which server, and who may use it.
            tokens: What this service proves itself by.
            authenticator: Tells who calls.
            rate_limiter: Bounds how much one caller may ask.
            audit: Keeps a record of each call.
            application: Where the file tools' work is done.
            public_api_url: This gateway's address, for clients.
            origins: Web pages of these origins may call.
            scope: What clients are to ask the authorization server for.
        """
        self._settings = settings
        self._departments = departments
        self._authenticator = authenticator
        self._limiter = rate_limiter
        self._audit = audit
        self._access = AccessCache(departments)
        self._backends = Backends(tokens, settings)
        self._catalog = Catalog(self._backends, settings)
        self._files = FileTools(FileService(application), settings, public_api_url)
        self._server = create_server(self._catalog, self._files, settings.mcp_list_ttl_seconds)
        self._origins = origins
        self._challenge = {"resource_metadata": f"{public_api_url}{METADATA_PATH}", "scope": scope}
        self._pruned = departments.version
        self._held = BodyBudget(settings.mcp_bodies_limit)
        self._turns = FairQueue(ANSWERS_AT_ONCE, ANSWERS_OF_ONE)

    async def __aenter__(self) -> Self:
        """Open the pools."""
        self._stack = AsyncExitStack()
        for pool in (self._backends, self._catalog):
            await self._stack.enter_async_context(pool)
        self._sdk = StreamableHTTPSessionManager(
            self._server, stateless=True, max_request_body_size=self._settings.mcp_body_limit
        )
        await self._stack.enter_async_context(self._sdk.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close them."""
        await self._stack.__aexit__(kind, error, traceback)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started = time.perf_counter()
        client = Client(receive, send, self._settings.mcp_send_seconds)
        call: Call | None = None
        try:
            headers = self._admitted(scope["headers"])
            call = Call(self._access.of(await self._caller(headers)))
            with self._limiter.under_way(call.access.caller) as allowed:
                if not allowed:
                    raise _rate_limited(BUSY_SECONDS)
                await self._serve(call, scope, headers, client)
        except RpcError as error:
            request_id = None
            if call is not None:
                call.outcome, request_id = error.outcome, call.request_id
            await client.respond(error.status, error.body(request_id), error.headers)
        except ClientGone:
            if call is not None:
                call.outcome = "cancelled"
        except Exception as error:
            log.exception("mcp.failed", exc_info=error)
            if client.status:
                raise
            fault = RpcError(500, INTERNAL_ERROR, "Something went wrong here; this is our fault, not yours.")
            await client.respond(fault.status, fault.body(call.request_id if call is not None else None))
        finally:
            if call is not None:
                call.record(self._audit, time.perf_counter() - started)

    def _admitted(self, raw: RawHeaders) -> Mapping[str, str]:
        """The headers as text, where they come from no foreign web page."""
        headers = text_headers(raw)
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            raise http_refusal(403, "Web pages of this origin may not call.")
        return headers

    async def _caller(self, headers: Mapping[str, str]) -> Caller:
        try:
            return await self._authenticator.caller(headers)
        except Unauthenticated as error:
            headers = {"www-authenticate": error.challenge(self._challenge)}
            raise http_refusal(401, error.description, headers) from None

    async def _serve(self, call: Call, scope: Scope, headers: Mapping[str, str], client: Client) -> None:
        access = call.access
        if self._pruned != access.version:
            self._pruned = access.version
            self._backends.keep_only(self._departments.current)
        only, refusal = self._admission(call, scope["path"])
        _check_post(scope["method"], headers)
        if refusal is not None and not _is_small(headers):
            raise refusal
        limit, seconds = self._settings.mcp_body_limit, self._settings.mcp_body_seconds
        with self._held.share() as grown:
            body = await read_body(client.receive, headers, limit, seconds, grown)
            if refusal is None and (wait := self._limiter.check_size(access.caller, len(body))) is not None:
                refusal = _rate_limited(wait)
                if len(body) > SMALL_BYTES:
                    raise refusal
            document = parse(body)
            call.request_id = request_id_of(document)
            if refusal is not None:
                raise refusal
            message = as_request(document, body, headers, scope["headers"])
            if message is not None:
                call.asks(message.method, message.params.get("name"))
                _trace(message)
                if await self._relayed(call, message, only, headers, client):
                    return
            await self._answer(call, scope, body, client)

    def _admission(self, call: Call, path: str) -> tuple[Department | None, RpcError | None]:
        """The department that is addressed, and why the request is refused, if it is.

        A refusal waits for the request's id, without which many clients cannot tell whose error it is.
        """
        if (wait := self._limiter.check(call.access.caller)) is not None:
            return None, _rate_limited(wait)
        try:
            return self._addressed(call, path), None
        except RpcError as refusal:
            return None, refusal

    def _addressed(self, call: Call, path: str) -> Department | None:
        """The department of `/mcp/{department}`, or None at `/mcp`.

        Raises:
            RpcError: Unknown, or not the caller's; which of the two is not told.
        """
        name = path.removeprefix(PATH).strip("/")
        if not name:
            return None
        call.department = legal(name)
        department = call.access.departments.get(name)
        if department is None:
            raise http_refusal(404, f"There is no department '{name[:64]}', or you may not use it.")
        return department

    async def _relayed(
        self, call: Call, message: Message, only: Department | None, headers: Mapping[str, str], client: Client
    ) -> bool:
        """Pass the request on, where it is for a department."""
        department = only
        if only is None:
            department = await department_for(message, call.access, self._catalog, self._files.names)
        if department is None:
            return False
        call.department = department.name
        backend = self._backends.of(department)
        tool = call.tool if message.method == "tools/call" else ""
        call.known = call.known or tool in backend.tools
        seconds = self._settings.mcp_tool_timeouts.get(tool, self._settings.mcp_timeout_seconds)
        try:
            call.outcome = await Relay(backend, message, headers, client).run(call.access, seconds)
        except AccessWithdrawn:
            if only is not None:
                raise http_refusal(404, f"There is no department '{only.name}', or you may not use it.") from None
            return False
        if tool and call.outcome == "ok":
            backend.tools.add(tool)
        return True

    async def _answer(self, call: Call, scope: Scope, body: bytes, client: Client) -> None:
        """Let the SDK's server answer.

        Raises:
            ClientGone: The client left before its turn came.
        """
        inner = {**scope, "headers": clean_headers(scope["headers"]), CALL: call}
        receive = replayed(body, client.receive)
        if call.tool in self._files.names:
            # It may wait for a job.
            await self._sdk.handle_request(inner, receive, client.send)
        else:
            async with ClientConnected(client):
                turn = await self._turns.turn(call.access.caller.subject)
            try:
                await self._sdk.handle_request(inner, receive, client.send)
            finally:
                # The refusal of a tool takes as long for one that does not exist as for another department's.
                pause = PAUSE_SECONDS if call.tool in METHODS else 0.0
                asyncio.get_running_loop().call_later(pause, turn.release)
        if call.outcome == FAILED:
            # No handler said what became of it.
            call.outcome = "refused" if client.status >= 400 else "ok"


def _trace(message: Message) -> None:
    """Name the request's span by a method that exists, and link it to the trace of the caller (SEP-414)."""
    if message.method in METHODS:
        name_request(message.method)
    meta = message.params.get("_meta")
    if isinstance(meta, dict):
        link_caller(meta.get("traceparent"))


def _is_small(headers: Mapping[str, str]) -> bool:
    length = headers.get("content-length", "")
    return length.isdigit() and int(length) <= SMALL_BYTES


def _check_post(method: str, headers: Mapping[str, str]) -> None:
    if method != "POST":
        raise http_refusal(405, "Send each message by POST; there is no stream to GET.", {"allow": "POST"})
    if not headers.get("content-type", "").lower().startswith("application/json"):
        raise http_refusal(415, "The body must be application/json, and the Content-Type header must say so.")
    if not _accepts_both(headers.get("accept", "")):
        raise http_refusal(406, "The Accept header must list application/json and text/event-stream.")


@lru_cache(maxsize=256)
def _accepts_both(accept: str) -> bool:
    ranges = media_ranges(accept)
    return quality(ranges, "application/json") > 0 and quality(ranges, "text/event-stream") > 0


def _rate_limited(wait: float) -> RpcError:
    return rate_limited("Too many requests.", max(1, math.ceil(wait)))

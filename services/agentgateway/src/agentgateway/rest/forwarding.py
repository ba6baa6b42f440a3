"""The REST endpoint: `/api/…` for programs and `/gateway/api/…` for the browser, both forwarded to the application."""

import time
from collections.abc import Awaitable, Callable

import aiohttp
import structlog
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from agentgateway import audit
from agentgateway.http.errors import (
    ClientGone,
    Unauthenticated,
    bad_gateway,
    cross_site,
    internal_error,
    rate_limited,
    request_timeout,
    too_many_at_once,
    unauthenticated,
)
from agentgateway.http.rate_limit import BUSY_SECONDS, RateLimiter
from agentgateway.http.server import abort
from agentgateway.http.transfer import ClientStalled, ClientTransfer
from agentgateway.identity.authentication import Authenticator
from agentgateway.metrics import IN_PROGRESS, REQUESTS, SECONDS
from agentgateway.oauth.metadata import resource_metadata_url
from agentgateway.rest.application import Application, pass_on
from agentgateway.rest.paths import route_of
from agentgateway.settings import Settings
from common.caller import Caller
from common.problem import Problem, problem_response
from common.telemetry import name_request

log = structlog.get_logger()

BROWSER_TOKEN_HEADER = "x-amzn-oidc-accesstoken"  # noqa: S105 - the name of a header
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Admit = Callable[[str, Headers], Awaitable[Caller]]


def programs(authenticator: Authenticator) -> Admit:
    """Admit who sends a bearer token."""

    async def admit(_: str, headers: Headers) -> Caller:
        return await authenticator.caller(headers)

    return admit


def browsers(authenticator: Authenticator, origin: str) -> Admit:
    """Admit who has logged in at the load balancer, and writes from pages of `origin` only.

    The load balancer knows the browser by a cookie, which the browser also sends when another site makes it write.
    """

    async def admit(method: str, headers: Headers) -> Caller:
        caller = await authenticator.verify(headers.get(BROWSER_TOKEN_HEADER, ""))
        if method not in SAFE_METHODS and not _is_same_origin(headers, origin):
            raise cross_site(origin)
        return caller

    return admit


def _is_same_origin(headers: Headers, origin: str) -> bool:
    site, sent = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and sent is None:
        return False
    return site in (None, "same-origin") and sent in (None, origin)


class RestEndpoint:
    """An ASGI application that forwards what is on the list of paths."""

    def __init__(
        self, application: Application, limiter: RateLimiter, admit: Admit, *, prefix: str, settings: Settings
    ) -> None:
        """`prefix` is what stands in front of the application's own paths."""
        self._application = application
        self._limiter = limiter
        self._admit = admit
        self._prefix = prefix
        self._resource_metadata = resource_metadata_url(settings.public_api_url)
        self._client_seconds = settings.client_timeout_seconds
        self._client_min_rate = settings.client_min_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        transfer = ClientTransfer(receive, send, seconds=self._client_seconds, min_rate=self._client_min_rate)
        try:
            await self._answer(scope, transfer)
            return
        except Problem as error:
            problem = error
        except Exception as error:
            log.exception("rest.failed", method=scope["method"], exc_info=error)
            problem = internal_error()
        if transfer.started:
            await abort(scope)
        else:
            await problem_response(problem)(scope, receive, send)

    async def _answer(self, scope: Scope, transfer: ClientTransfer) -> None:
        method, headers = scope["method"], Headers(scope=scope)
        try:
            caller = await self._admit(method, headers)
        except Unauthenticated as error:
            raise unauthenticated(error, self._resource_metadata) from None
        if (wait := self._limiter.check(caller)) is not None:
            raise rate_limited(wait)
        with self._limiter.under_way(caller) as allowed:
            if not allowed:
                raise too_many_at_once(BUSY_SECONDS)
            await self._pass(scope, method, headers, transfer, caller)

    async def _pass(
        self, scope: Scope, method: str, headers: Headers, transfer: ClientTransfer, caller: Caller
    ) -> None:
        started = time.perf_counter()
        # Undecoded: an escaped character is in none of the paths.
        path = scope["raw_path"].decode("ascii").removeprefix(self._prefix)
        route = route_of(method, path)
        name_request(route)
        outcome = "failed"
        try:
            with IN_PROGRESS.track_inprogress():
                outcome = await self._forward(scope, path, headers, transfer, caller, route)
        except Problem as problem:
            outcome = str(problem.status)
            raise
        except ClientGone:
            outcome = "client_gone"
        finally:
            REQUESTS.labels(route, outcome).inc()
            audit.record(caller, None, route, outcome, time.perf_counter() - started)

    async def _forward(
        self, scope: Scope, path: str, headers: Headers, transfer: ClientTransfer, caller: Caller, route: str
    ) -> str:
        try:
            async with transfer:
                body = transfer.body() if _has_body(headers) else None
                if body is None:
                    transfer.skip_body()
                with SECONDS.labels(route).time():
                    response = await self._application.begin(
                        scope["method"], path, scope["query_string"], headers, body, caller
                    )
                try:
                    await pass_on(response, transfer, self._prefix)
                finally:
                    response.close()
        except ClientStalled:
            log.info("rest.client_stalled", route=route)
            raise request_timeout(self._client_seconds) from None
        except (aiohttp.ClientError, OSError) as error:
            log.warning("rest.broke_off", route=route, error=type(error).__name__)
            raise bad_gateway("broke off in the middle of its answer") from None
        return str(response.status)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"

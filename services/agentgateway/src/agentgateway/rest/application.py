"""The application behind the gateway: requests and answers pass as streams, with constant memory."""

from asyncio import sleep
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from agentgateway.http.errors import bad_gateway, gateway_timeout, unavailable
from agentgateway.http.transfer import ClientTransfer
from agentgateway.http.upstream import KEEP_ALIVE_SECONDS, ServiceTokens
from common.caller import CALLER_HEADER, Caller
from common.service_tokens import ServiceTokenUnavailable
from common.telemetry import trace_headers

log = structlog.get_logger()

AUDIENCE = "application"
CONNECT_SECONDS = 3
CONNECT_AGAIN_SECONDS = 0.5
"""Until a connection is tried once more: in a roll-out, a node may still lead to a pod that has just ended."""
UNREACHABLE = (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError)
"""No connection, so that nothing of the request was sent."""
BUFFER_BYTES = 256 * 1024

REQUEST_HEADERS = frozenset(
    {
        "accept",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "last-event-id",
        "range",
    }
)
"""What goes on. All else stays here: tokens, cookies, hop-by-hop headers, and whatever looks like our own."""

DROPPED_RESPONSE_HEADERS = frozenset(
    {
        b"connection",
        b"content-security-policy",
        b"cross-origin-resource-policy",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"referrer-policy",
        b"server",
        b"set-cookie",
        b"strict-transport-security",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-content-type-options",
    }
)
"""Hop-by-hop headers, and those that the gateway itself decides."""


class Application:
    """The pool of connections to the application. Use as an asynchronous context."""

    def __init__(self, url: str, tokens: ServiceTokens, timeout_seconds: float) -> None:
        """Nothing is opened yet; `timeout_seconds` is the longest silence once it has the whole request."""
        self._url = url
        self._tokens = tokens
        self._seconds = timeout_seconds

    async def __aenter__(self) -> Self:
        """Open the pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
            read_bufsize=BUFFER_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._seconds),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._session.close()

    async def alive(self) -> bool:
        """Whether it answers at all."""
        try:
            timeout = aiohttp.ClientTimeout(total=CONNECT_SECONDS)
            async with self._session.get(f"{self._url}/healthz", timeout=timeout, allow_redirects=False) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def begin(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Mapping[str, str],
        body: AsyncIterator[bytes] | bytes | None,
        caller: Caller,
    ) -> aiohttp.ClientResponse:
        """Send a request of `caller`, and return the response as soon as it begins.

        Raises:
            Problem: 502, 503 or 504: no response, and the reason in words.
        """
        target = quote(query, safe="!$%&'()*+,;=:@/?-._~")
        url = URL(f"{self._url}{path}?{target}" if target else f"{self._url}{path}", encoded=True)
        try:
            sent = {
                **{name: value for name, value in headers.items() if name in REQUEST_HEADERS},
                "authorization": f"Bearer {await self._tokens.token(AUDIENCE)}",
                CALLER_HEADER: caller.to_header(),
                **trace_headers(),
            }
            response = await self._request(method, url, data=body, headers=sent, allow_redirects=False)
        except ServiceTokenUnavailable as error:
            log.error("application.no_token", error=str(error))
            raise unavailable("The file service") from None
        except UNREACHABLE as error:
            log.warning("application.unreachable", error=type(error).__name__)
            raise unavailable("The file service") from None
        except TimeoutError:
            raise gateway_timeout(self._seconds) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("application.broke_off", error=type(error).__name__)
            raise bad_gateway("closed the connection before it answered") from None
        if response.status == 401:
            # The user is known by now; it is this service that the application does not accept.
            log.error("application.refused_this_service")
            response.close()
            raise bad_gateway("did not accept this gateway")
        return response

    async def _request(self, method: str, url: URL, **options: Any) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(method, url, **options)
        except UNREACHABLE:
            await sleep(CONNECT_AGAIN_SECONDS)
            return await self._session.request(method, url, **options)


async def pass_on(response: aiohttp.ClientResponse, transfer: ClientTransfer, prefix: str) -> None:
    """Send `response` to the client, part by part; `prefix` goes in front of a path in `Location`.

    Raises:
        aiohttp.ClientError: The application broke off in the middle.
        TimeoutError: It fell silent in the middle.
    """
    headers: list[tuple[bytes, bytes]] = []
    for raw_name, value in response.raw_headers:
        name = raw_name.lower()
        if name == b"location" and value.startswith(b"/"):
            headers.append((name, prefix.encode() + value))
        elif name not in DROPPED_RESPONSE_HEADERS:
            headers.append((name, value))
    if "cache-control" not in response.headers:
        headers.append((b"cache-control", b"no-store"))
    await transfer.start(response.status, headers)
    async for chunk in response.content.iter_any():
        await transfer.write(chunk)
    await transfer.finish()

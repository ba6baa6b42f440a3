"""What a load balancer does with a request: hands it on as it comes, piece by piece, and the answer likewise."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

# RFC 9110, section 7.6.1; Expect is answered here, by aiohttp.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
IDLE_SECONDS = 120
PIECE = 1 << 18


def open_session() -> aiohttp.ClientSession:
    """Connections to what is behind: any number, nothing decoded, no end but silence."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=PIECE,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=IDLE_SECONDS),
        max_line_size=1 << 16,
        max_field_size=1 << 16,
    )


def end_to_end(headers: Mapping[str, str], without: Iterable[str] = ()) -> CIMultiDict[str]:
    """Those headers that are meant for the other side; a header may be there several times."""
    named = {name.strip().lower() for name in headers.get("connection", "").split(",")}
    dropped = HOP_BY_HOP | named | set(without)
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


class Proxy:
    """Hands requests on to one address."""

    def __init__(self, session: aiohttp.ClientSession, target: str) -> None:
        """`target` has no path."""
        self._session = session
        self._target = target

    async def forward(self, request: web.Request, headers: CIMultiDict[str]) -> web.StreamResponse:
        """Answer `request` by what the target answers to it, with `headers` in place of its own."""
        return await self.forward_if_up(request, headers) or _bad_gateway()

    async def forward_if_up(self, request: web.Request, headers: CIMultiDict[str]) -> web.StreamResponse | None:
        """The same; None where nobody listens there, so that nothing was sent."""
        if not request.raw_path.startswith("/"):
            return web.Response(status=400, text="400 Bad Request\n")
        _add_forwarding(headers, request)
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._web_socket(request, headers)
        body = request.content if request.body_exists else None
        try:
            async with self._session.request(
                request.method,
                URL(f"{self._target}{request.raw_path}", encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
            ) as answer:
                return await _relay(request, answer)
        except aiohttp.ClientConnectorError:
            return None
        except aiohttp.ClientConnectionError:
            return _bad_gateway()
        except TimeoutError:
            return web.Response(status=504, text="504 Gateway Timeout\n")

    async def _web_socket(self, request: web.Request, headers: CIMultiDict[str]) -> web.StreamResponse | None:
        """Join two WebSockets, until one of them ends."""
        # The handshake's own headers are made anew for each side.
        own = {name: value for name, value in headers.items() if not name.lower().startswith("sec-websocket-")}
        protocols = [name.strip() for name in request.headers.get("sec-websocket-protocol", "").split(",") if name]
        url = URL(f"{self._target}{request.raw_path}", encoded=True)
        try:
            behind = await self._session.ws_connect(url, headers=own, protocols=protocols, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status, text=f"{error.status}\n")
        except aiohttp.ClientConnectorError:
            return None
        except aiohttp.ClientError:
            return _bad_gateway()
        async with behind:
            before = web.WebSocketResponse(protocols=[behind.protocol] if behind.protocol else (), max_msg_size=0)
            await before.prepare(request)
            pumps = [asyncio.create_task(_pump(before, behind)), asyncio.create_task(_pump(behind, before))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await before.close()
        return before


def _bad_gateway() -> web.Response:
    return web.Response(status=502, text="502 Bad Gateway: the service behind does not answer\n")


WebSocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: WebSocket, target: WebSocket) -> None:
    async for message in source:
        if message.type is aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=end_to_end(answer.headers))
    await response.prepare(request)
    try:
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
    except (aiohttp.ClientError, TimeoutError):
        # Half an answer must not look like a whole one.
        if request.transport is not None:
            request.transport.abort()
    return response


def _add_forwarding(headers: CIMultiDict[str], request: web.Request) -> None:
    peer = request.remote or "unknown"
    before = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{before}, {peer}" if before else peer
    headers["x-forwarded-proto"] = request.scheme
    headers["x-forwarded-port"] = str(request.url.port)
    headers.setdefault("x-amzn-trace-id", f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}")

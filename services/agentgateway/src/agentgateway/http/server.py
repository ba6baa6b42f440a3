"""The HTTP server's limits that uvicorn does not have: the size of a request's head, and the time for it."""

import asyncio
from typing import Any

import orjson
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from common.http_protocol import HttpProtocol
from common.problem import Problem

ABORT = "agentgateway.abort"
"""ASGI extension of our server: closes the connection at once, so that a client sees that a response is not whole."""

LINGER_SECONDS = 2
"""How long what an oversized request still sends is read and thrown away, so that the client gets to read why."""

KEEP_ALIVE_SECONDS = 330
"""Above the 300 s after which a load balancer closes an idle connection, so that it never sends into a closed one."""

SECURITY_HEADERS = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    # A report may be a page: it may have style, and nothing that runs.
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("strict-transport-security", "max-age=31536000"),
]
"""On every response, whichever endpoint gives it."""


MALFORMED = Problem(400, "malformed-request", "The request is not valid", "This is not an HTTP/1.1 request (RFC 9112).")
"""The answer to what the parser cannot read, an address that is none among it."""


class HeadTooLarge(Exception):
    """The request line and the headers are larger than allowed."""


def bounded_http(max_head_bytes: int, head_seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol with these limits."""

    class Bounded(BoundedHttp):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self.max_head_bytes = max_head_bytes
            self.head_seconds = head_seconds

    return Bounded


class BoundedHttp(HttpProtocol):
    """Refuse a head that is too large by 431, and close a connection on which nothing useful comes in time.

    That is a head that does not come to an end, and the rest of a body whose request was answered already (401, 413):
    it is thrown away, because many clients read the answer only when they have sent everything. A chunked body whose
    trailers or chunk extensions are larger than a head may be ends the connection: the parser would collect them.

    A request whose head arrives at once costs one comparison: sizes are added up only where they could matter.
    """

    max_head_bytes: int
    head_seconds: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's has it too
        """Wait for the first request's head."""
        super().connection_made(transport)
        self._in_head = True
        self._in_body = False
        self._refused = False
        self._oversized = False
        self._received = 0
        self._progressed = False
        self._timer: asyncio.TimerHandle | None = None
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not complete."""
        if self._refused:
            return
        self._received += len(data)
        self._progressed = False
        super().data_received(data)
        if self._in_head:
            if self._received > self.max_head_bytes:
                self._refuse_head()
            else:
                self._start_timer()
        elif self._in_body:
            if self._progressed:
                self._received = 0
            elif self._received > self.max_head_bytes:
                self.transport.abort()
                return
            if self.cycle.response_complete:
                self._start_timer()
        else:
            self._received = 0

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]  # our own, for this process alone

    def on_headers_complete(self) -> None:
        """A head is complete.

        Raises:
            HeadTooLarge: It is too large; uvicorn answers what the parser cannot read by `send_400_response`.
        """
        if self._received > self.max_head_bytes:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > self.max_head_bytes:
                self._oversized = True
                raise HeadTooLarge
        super().on_headers_complete()
        self._in_head = False
        self._in_body = True
        self._progressed = True
        self._stop_timer()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, which does not count as part of a head."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A body is complete."""
        self._in_body = False
        self._stop_timer()
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            # What came of the body since the answer has stopped the timer of idle connections.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or too large."""
        if self._oversized:
            self._refuse_head()
        elif not self._refused:
            self._refused = True
            if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
                self.transport.abort()
            else:
                self._write(MALFORMED)
                self.transport.close()

    def _refuse_head(self) -> None:
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._stop_timer()
        if self.cycle is not None and not self.cycle.response_complete:
            # In the middle of another response no other one can be sent.
            self.transport.abort()
            return
        detail = f"The maximum size of the request line and the headers together is {self.max_head_bytes} bytes."
        self._write(Problem(431, "head-too-large", "The head of the request is too large", detail))
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _write(self, problem: Problem) -> None:
        body = orjson.dumps(problem.document())
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + body)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def abort(scope: Scope) -> None:
    """Close the connection of a response that cannot be completed."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    if ABORT in extensions:
        extensions[ABORT]()
        # One turn of the loop, in which the server notices: else it would report an incomplete response as our fault.
        await asyncio.sleep(0)

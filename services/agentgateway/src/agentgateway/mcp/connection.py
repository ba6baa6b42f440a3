"""Connections to the departments' servers: HTTP/1.1, and nothing that a relay does not need.

A general client spends four times as much on a request, which was more than all the rest of a relayed call costs. The
parser is httptools, as in uvicorn; what is added is when to wait, what to keep, and when to give up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

HIGH_WATER_BYTES = 256 * 1024
"""Reading pauses while so much of a response waits to be taken."""

MAX_HEAD_BYTES = 64 * 1024
FIRST_FINAL_STATUS = 200


class ConnectionBroken(Exception):
    """The connection ended before the response did, or what came is not HTTP."""


class Response:
    """One response as it comes.

    Attributes:
        status: 0 before `begin` has returned.
        headers: By name in lower case; of one that came twice, the last.
        complete: Whether its end has come.
        held: Bytes of the body that came and were not taken.
    """

    def __init__(self, connection: "Connection") -> None:
        """Nothing has come yet."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self.held = 0
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._begun = False
        self._error: ConnectionBroken | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether the headers have come."""
        return self._begun

    @property
    def content_type(self) -> str:
        """The media type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """The size of the body, where it was announced."""
        value = self.headers.get("content-length", "")
        return int(value) if value.isdecimal() else None

    async def begin(self) -> None:
        """Wait for the headers.

        Raises:
            ConnectionBroken: They do not come.
        """
        while not self._begun:
            await self._wait()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, part by part as it comes.

        Raises:
            ConnectionBroken: It does not come to its end.
        """
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self.held -= len(chunk)
                yield chunk
            if self.complete:
                return
            self._connection.resume()
            await self._wait()

    def release(self) -> None:
        """Nobody takes the rest; a connection that is in the middle of it is of no use to others."""
        if not self.complete:
            self._connection.abort()

    def take_head(self, status: int) -> None:
        """The headers are there."""
        self.status = status
        self._begun = True

    def take(self, chunk: bytes) -> None:
        """A part of the body is there."""
        self._chunks.append(chunk)
        self.held += len(chunk)

    def fail(self, error: ConnectionBroken) -> None:
        """The rest will not come."""
        if not self.complete and self._error is None:
            self._error = error
            self.wake()

    def wake(self) -> None:
        """Something has come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


class Connection(asyncio.Protocol):
    """One connection, with at most one request on its way."""

    def __init__(self, on_free: Callable[["Connection"], None], on_lost: Callable[["Connection"], None]) -> None:
        """Not connected yet; `on_free` is called when another request may be sent."""
        self._on_free = on_free
        self._on_lost = on_lost
        self._head_bytes = 0
        self._keep_alive = True
        self._paused = False

    def send(self, request: bytes) -> Response:
        """Send one request; the last one's response has been taken."""
        self._response = Response(self)
        self._parser = HttpResponseParser(self)
        self._head_bytes = 0
        self._transport.write(request)
        return self._response

    @property
    def closing(self) -> bool:
        """Whether it is of no use any more."""
        return self._transport.is_closing()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """End it at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._response = Response(self)
        self._response.complete = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._response.fail(ConnectionBroken("the connection broke off before the end"))
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        response = self._response
        if response.complete:
            # Nothing was asked.
            self.abort()
            return
        if not response.begun:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            response.fail(ConnectionBroken("it is not HTTP"))
            self.abort()
        else:
            if not response.begun and self._head_bytes > MAX_HEAD_BYTES:
                response.fail(ConnectionBroken(f"its headers are larger than {MAX_HEAD_BYTES} bytes"))
                self.abort()
        if response.complete:
            if self._keep_alive and not self._transport.is_closing():
                self._on_free(self)
            else:
                self.abort()
        elif response.held > HIGH_WATER_BYTES:
            self._paused = True
            self._transport.pause_reading()
        response.wake()

    def on_message_begin(self) -> None:
        """Called by the parser.

        Raises:
            ConnectionBroken: There is more than one response to one request.
        """
        if self._response.complete:
            raise ConnectionBroken

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._response.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        status = self._parser.get_status_code()
        if status >= FIRST_FINAL_STATUS:
            self._response.take_head(status)
        else:
            self._response.headers.clear()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._response.take(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._response.complete = self._response.begun
        self._keep_alive = self._parser.should_keep_alive()

"""The client's side of a request that is forwarded as a stream."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from types import TracebackType
from typing import Self

from starlette.types import Message, Receive, Send

from agentgateway.http.errors import ClientGone

CHECKS_IN_A_PERIOD = 4


class ClientStalled(Exception):
    """The client neither sends nor reads fast enough to be waited for."""


class ClientTransfer:
    """Passes the request's body and the response, and ends the block when the client does not do its part.

    While the block runs, a client that closes the connection ends it with `ClientGone`, and one that keeps it waiting
    for `seconds` in all, for less than `min_rate` bytes a second, with `ClientStalled`. Only time spent waiting for
    the client counts, so that a slow application is not held against it.

    Two clock readings a chunk are all that this costs, however long the stream is.
    """

    def __init__(self, receive: Receive, send: Send, *, seconds: float, min_rate: int) -> None:
        """`receive` and `send` are those of the request, nothing of which has been read or answered."""
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._min_rate = min_rate
        self._bytes = 0
        self._waited = 0.0
        self._waiting_since = 0.0
        self._body_ended = asyncio.Event()
        self._verdict: ClientGone | ClientStalled | None = None
        self._started = False
        self._finished = False

    @property
    def started(self) -> bool:
        """Whether the response has begun, so that no other one can be sent."""
        return self._started

    async def __aenter__(self) -> Self:
        """Begin to watch."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._task = task
        self._watchers = [asyncio.create_task(self._watch_connection()), asyncio.create_task(self._watch_progress())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the watch."""
        for watcher in self._watchers:
            watcher.cancel()
        if self._verdict is not None:
            self._task.uncancel()
            raise self._verdict from None

    def skip_body(self) -> None:
        """The request has no body."""
        self._body_ended.set()

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body, as it comes.

        Raises:
            ClientGone: The connection ended before the body did.
        """
        more = True
        while more:
            self._waiting_since = since = monotonic()
            event = await self._receive()
            self._waited += monotonic() - since
            self._waiting_since = 0.0
            if event["type"] == "http.disconnect":
                self._end(ClientGone())
                raise ClientGone
            more = event.get("more_body", False)
            if chunk := event.get("body", b""):
                self._bytes += len(chunk)
                yield chunk
        self._body_ended.set()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Begin the response."""
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes) -> None:
        """A part of the response; waits while the client does not read."""
        self._waiting_since = since = monotonic()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._waited += monotonic() - since
        self._waiting_since = 0.0
        self._bytes += len(chunk)

    async def finish(self) -> None:
        """End the response."""
        # From here on the server reports every connection as closed.
        self._finished = True
        await self._send({"type": "http.response.body", "body": b""})

    async def _watch_connection(self) -> None:
        await self._body_ended.wait()
        event: Message = {"type": ""}
        while event["type"] != "http.disconnect":
            event = await self._receive()
        self._end(ClientGone())

    async def _watch_progress(self) -> None:
        waited, moved = 0.0, 0
        while True:
            await asyncio.sleep(self._seconds / CHECKS_IN_A_PERIOD)
            now_waited = self._waited + (monotonic() - self._waiting_since if self._waiting_since else 0.0)
            if now_waited - waited < self._seconds:
                continue
            if self._bytes - moved < self._min_rate * (now_waited - waited):
                self._end(ClientStalled())
                return
            waited, moved = now_waited, self._bytes

    def _end(self, verdict: ClientGone | ClientStalled) -> None:
        if self._verdict is None and not self._finished:
            self._verdict = verdict
            self._task.cancel()

"""The client's end of one request: what is sent to it, how long it may dawdle, and whether it is still there."""

import asyncio
from collections.abc import Mapping
from types import TracebackType

from starlette.types import Message, Receive, Send

from agentgateway.http.errors import ClientGone


class Client:
    """One request's connection to the client.

    Attributes:
        receive: What the client sends.
        status: Of the response that has begun, so that there can be no other; 0 before.
    """

    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        """A client that leaves an answer unread for `seconds` counts as gone."""
        self.receive = receive
        self.status = 0
        self._send = send
        self._seconds = seconds

    async def send(self, event: Message) -> None:
        """Send one part of the response.

        Raises:
            ClientGone: The client does not read.
        """
        await self._send_all(event)

    async def respond(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON response.

        Raises:
            ClientGone: The client does not read.
        """
        raw = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if headers:
            raw.extend((name.encode(), value.encode()) for name, value in headers.items())
        start = {"type": "http.response.start", "status": status, "headers": raw}
        await self._send_all(start, {"type": "http.response.body", "body": body})

    async def _send_all(self, *events: Message) -> None:
        if events[0]["type"] == "http.response.start":
            self.status = events[0]["status"]
        try:
            async with asyncio.timeout(self._seconds):
                for event in events:
                    await self._send(event)
        except TimeoutError:
            raise ClientGone from None


UNWATCHED_SECONDS = 0.02
"""Most calls are over sooner than it would be worth while to watch for the client's leaving."""


class ClientConnected:
    """While the block runs, a client that closes the connection ends it with `ClientGone`.

    On the stateless protocol, closing the connection is how a client cancels its request. The block must not outlive
    the last part of the response, after which the server reports every connection as closed.
    """

    def __init__(self, client: Client) -> None:
        """The request's body has been read."""
        self._receive = client.receive
        self._gone = False
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        """Begin to watch in a moment."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._task = task
        self._begin = task.get_loop().call_later(UNWATCHED_SECONDS, self._begin_watch)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the watch."""
        self._begin.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError) and self._task.uncancel() == 0:
            raise ClientGone from None

    def _begin_watch(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()

"""Callers take turns: one caller's many or expensive calls do not hold up another caller's.

A request waits with its body read, and holds its turn only while the answer is worked out, not while it is sent. The
work of a request whose client has closed the connection ends, whether it waits or runs.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.fair_queue import FairQueue, Turn

SUBJECT: Final = "mcp_server.subject"
"""Where the subject of the caller is in the scope of a request that passed."""

AT_ONCE: Final = 4
OF_ONE: Final = 2
"""Two, so that a caller's next request is read while the last one is answered: more would make nothing faster."""


class Turns:
    """Lets each request reach `app` when it is its caller's turn."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        """Guard `app`, which refuses a body of more than `max_body_bytes`."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._queue = FairQueue(AT_ONCE, OF_ONE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = await _body(receive, self._max_body_bytes)
        if begun[-1]["type"] == "http.disconnect":
            return
        if begun[-1].get("more_body", False):
            # Too large: nothing is worked out.
            await self._app(scope, _again(begun, receive), send)
            return
        gone = asyncio.create_task(_disconnected(receive))
        answered = False

        async def until_gone() -> Message:
            await asyncio.shield(gone)
            return {"type": "http.disconnect"}

        async def work() -> None:
            with await self._queue.turn(scope[SUBJECT]) as turn:
                await self._app(scope, _again(begun, until_gone), _releasing(turn, noticing))

        async def noticing(message: Message) -> None:
            nonlocal answered
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        working = asyncio.create_task(work())
        try:
            await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
            if not answered and not working.done():
                working.cancel()
                await asyncio.wait((working,))
                return
            await working
        finally:
            working.cancel()
            gone.cancel()


async def _body(receive: Receive, most: int) -> list[Message]:
    """The events of the whole body, or of as much of it as is too much; the last one may be the client's leaving."""
    events: list[Message] = []
    size = 0
    while True:
        event = await receive()
        events.append(event)
        size += len(event.get("body", b""))
        if size > most or not event.get("more_body", False):
            return events


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _again(events: Iterable[Message], then: Receive) -> Receive:
    """A `receive` that gives `events`, which were received, once more."""
    first = iter(events)

    async def again() -> Message:
        for event in first:
            return event
        return await then()

    return again


def _releasing(turn: Turn, send: Send) -> Send:
    async def release_first(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            turn.release()
        await send(message)

    return release_first

"""Bodies of requests: read at a pace, up to a size; clients that are slow or never end are let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.errors import TooLarge, TooSlow
from application.http import problems
from common.problem import Problem, problem_response

_DRAIN_BYTES = 16 << 20
_DRAIN_SECONDS = 5


async def paced(stream: AsyncIterator[bytes], seconds: float, least: int, most: int) -> AsyncIterator[bytes]:
    """The stream's chunks, while each period of so many ``seconds`` brings at least ``least`` bytes or the end.

    Raises:
        TooSlow: It does not.
        TooLarge: There are more than ``most`` bytes.
    """
    total = window = 0
    clock = asyncio.get_running_loop()
    deadline = clock.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(stream)
        except TimeoutError as error:
            raise TooSlow from error
        except StopAsyncIteration:
            return
        total += len(chunk)
        window += len(chunk)
        if total > most:
            raise TooLarge
        if window >= least:
            window, deadline = 0, clock.time() + seconds
        yield chunk


class Body:
    """A request's body as it comes, of which it is known whether all has come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The chunks. Raises ``ClientDisconnect``."""
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._ended = not message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk

    async def refused(self, problem: Problem) -> Problem:
        """The problem to answer a refused body with, once its sender is ready to hear it.

        Who still sends when the connection is closed never reads the answer.
        """
        if not await self._drain():
            problem.headers["connection"] = "close"
        return problem

    async def _drain(self) -> bool:
        """Read what is left; False if it is too much."""
        left = _DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_SECONDS), aclosing(aiter(self)) as chunks:
                async for chunk in chunks:
                    left -= len(chunk)
                    if left < 0:
                        return False
        except TimeoutError:
            return False
        return True


def _is_json(body: bytearray) -> bool:
    """Whether it is JSON by the letter: Python's own parser also takes NaN, and halves of characters."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


class WholeBodies:
    """Reads each request's body, which is JSON, before it is handled; up to a size, within a time."""

    def __init__(self, app: ASGIApp, *, streamed: tuple[str, str], most: int, seconds: float) -> None:
        """``streamed``: method and path whose handler reads the body itself; others must come within ``seconds``."""
        self._app = app
        self._streamed = streamed
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) == self._streamed:
            await self._app(scope, receive, send)
            return
        body, given = bytearray(), Body(receive)
        try:
            async with aclosing(aiter(given)) as stream:
                # As many bytes as may come are asked for: what matters is that all are there after `seconds`.
                async for chunk in paced(stream, self._seconds, self._most + 1, self._most):
                    body += chunk
        except TooLarge:
            problem = await given.refused(problems.too_large(self._most))
            await problem_response(problem)(scope, receive, send)
            return
        except TooSlow:
            await problem_response(problems.too_slow())(scope, receive, send)
            return
        except ClientDisconnect:
            return
        if body and not _is_json(body):
            await problem_response(problems.invalid_json())(scope, receive, send)
            return
        messages: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, again, send)

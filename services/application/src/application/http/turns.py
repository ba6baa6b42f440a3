"""Callers' turns in threads: to wait for AWS, or for the engine's processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import ClientDisconnect, Request

from application.engine import Cancelled
from application.sandbox import Cancellation
from common.fair_queue import FairQueue

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_CALLS, _CALLS_OF_ONE = 64, 16
_WORK, _WORK_OF_ONE = 8, 3


class Turns:
    """The threads, and who is next.

    Calls and work are apart so that requests that only wait do not wait for large files, and a caller has at most a
    part of each so that nobody waits for another's requests.
    """

    def __init__(self) -> None:
        self.calls = FairQueue(_CALLS, _CALLS_OF_ONE)
        self.work = FairQueue(_WORK, _WORK_OF_ONE)
        self.threads = CapacityLimiter(_CALLS + _WORK)


class CallerTurns:
    """The turns of the caller of one request."""

    def __init__(self, turns: Turns, subject: str) -> None:
        """``subject`` is the caller's."""
        self._turns = turns
        self._subject = subject

    async def call(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run a blocking call of AWS in a thread when it is the caller's turn."""
        with await self._turns.calls.turn(self._subject):
            return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._turns.threads)

    async def compute(
        self,
        request: Request,
        function: Callable[Concatenate[Cancellation, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run the engine from a thread when it is the caller's turn.

        Raises:
            ClientDisconnect: The client left, and the work was ended.
        """
        cancellation = Cancellation()
        watching = asyncio.ensure_future(_cancel_when_gone(request, cancellation))
        try:
            with await self._turns.work.turn(self._subject):
                work = partial(function, cancellation, *args, **kwargs)
                return await anyio.to_thread.run_sync(work, limiter=self._turns.threads)
        except Cancelled as error:
            raise ClientDisconnect from error
        finally:
            watching.cancel()


async def _cancel_when_gone(request: Request, cancellation: Cancellation) -> None:
    """Wait until the client of a request, whose body has been read, leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    cancellation.cancel()

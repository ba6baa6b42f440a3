"""What the routes work with, made once when the API starts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Concatenate, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from cachetools import TTLCache
from fastapi import Depends
from starlette.requests import ClientDisconnect, Request

from application.access import Access
from application.api import problems
from application.api.authentication import CallerDep
from application.api.looking import Looking
from application.department_client import DepartmentClient
from application.engine import Cancelled
from application.file_store import FileStore
from application.job_store import JobStore
from application.lookup import DepartmentLookup
from application.objects import Objects
from application.queue import JobQueue
from application.records import File, Job
from application.sandbox import Cancellation
from application.settings import ApiSettings
from application.usage import Usage
from common.caller import Caller
from common.fair_queue import FairQueue

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_ID = re.compile(r"[0-9a-f]{32}")
_CALL_SECONDS = 5.0
OUTAGE_SECONDS = 5.0
_MOST_OUTAGES = 1000
_CALLS, _CALLS_OF_ONE = 64, 16
_WORK, _WORK_OF_ONE = 8, 3


@dataclass(frozen=True, slots=True)
class Context:
    """Stores, and callers' turns in threads: in ``calls`` they wait for AWS, in ``work`` for the engine's processes.

    Both are apart so that requests that only wait do not wait for large files, and a caller has at most a part of each
    so that nobody waits for another's requests. ``subject`` is the caller of the request. ``outages`` are the
    departments that did not answer a moment ago, with what was said of them.
    """

    settings: ApiSettings
    files: FileStore
    jobs: JobStore
    objects: Objects
    queue: JobQueue
    usage: Usage
    access: Access
    departments: DepartmentClient
    loop: asyncio.AbstractEventLoop
    looking: Looking
    subject: str = ""
    calls: FairQueue = field(default_factory=lambda: FairQueue(_CALLS, _CALLS_OF_ONE))
    work: FairQueue = field(default_factory=lambda: FairQueue(_WORK, _WORK_OF_ONE))
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_CALLS + _WORK))
    outages: TTLCache[str, str] = field(default_factory=lambda: TTLCache(_MOST_OUTAGES, OUTAGE_SECONDS))

    async def call(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run a blocking call of AWS in a thread when it is the caller's turn."""
        with await self.calls.turn(self.subject):
            return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self.threads)

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
            with await self.work.turn(self.subject):
                work = partial(function, cancellation, *args, **kwargs)
                return await anyio.to_thread.run_sync(work, limiter=self.threads)
        except Cancelled as error:
            raise ClientDisconnect from error
        finally:
            watching.cancel()

    def lookup(
        self, caller: Caller, departments: Sequence[str], needed: Sequence[str] = (), *, seconds: float | None = None
    ) -> DepartmentLookup:
        """The caller's look-ups in departments, of which ``needed`` must have data; an answer may take ``seconds``."""
        total = seconds or self.settings.department_seconds
        call = min(_CALL_SECONDS, total)
        return DepartmentLookup(
            self.departments, self.loop, caller, departments, call_seconds=call, total_seconds=total, needed=needed
        )

    async def file(self, file: str, caller: Caller) -> File:
        """The caller's file; raises a ``Problem`` otherwise."""
        found = await self.call(self.files.get, file, caller.subject) if _ID.fullmatch(file) else None
        if found is None:
            raise problems.no_such("file")
        return found

    async def job(self, job: str, caller: Caller) -> Job:
        """The caller's job; raises a ``Problem`` otherwise."""
        found = await self.call(self.jobs.get, job) if _ID.fullmatch(job) else None
        if found is None or found.owner != caller.subject:
            raise problems.no_such("job")
        return found


async def _cancel_when_gone(request: Request, cancellation: Cancellation) -> None:
    """Wait until the client of a request, whose body has been read, leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    cancellation.cancel()


def _context(request: Request, caller: CallerDep) -> Context:
    context: Context = request.app.state.context
    return replace(context, subject=caller.subject)


ContextDep = Annotated[Context, Depends(_context)]

"""A bounded load: what some people do again and again, and what came back that is not an answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from tests.helpers.rest import Rest

from local.kubernetes.kubectl import KubectlError, NotYet

ANSWER_SECONDS = 60
# Wrong, refused, cut off, or no answer: what a person would see as a failure.
FAILURES = (AssertionError, aiohttp.ClientError, TimeoutError, KubectlError, NotYet)


@dataclass
class Load:
    """What was done so far.

    Attributes:
        every: Seconds from one beginning to the next, of each client; may be changed while it runs.
        done: How often.
        slowest: Seconds.
    """

    every: float
    done: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0

    async def count(self, what: Awaitable[None]) -> None:
        """Await one of them."""
        begin = time.monotonic()
        try:
            await what
        except FAILURES as error:
            self.failures.append(f"{error!r:.500}")
        self.done += 1
        self.slowest = max(self.slowest, time.monotonic() - begin)


@asynccontextmanager
async def load(*clients: Callable[[], Awaitable[None]], every: float = 0.1) -> AsyncIterator[Load]:
    """Each client does what it does again and again while the context lasts; nothing is cut off at its end."""
    total, ended = Load(every), asyncio.Event()

    async def run(client: Callable[[], Awaitable[None]]) -> None:
        while not ended.is_set():
            next_one = time.monotonic() + total.every
            await total.count(client())
            await asyncio.sleep(next_one - time.monotonic())

    running = [asyncio.create_task(run(client)) for client in clients]
    try:
        yield total
    finally:
        ended.set()
        await asyncio.gather(*running)


@asynccontextmanager
async def visitor(url: str, headers: dict[str, str], *, keep: bool = False) -> AsyncIterator[Rest]:
    """Someone new: each request by a connection of its own, as those behind a load balancer are, or all by one."""
    connector = aiohttp.TCPConnector(force_close=not keep, limit=1 if keep else 10)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Rest(session, url, headers)


def asking(url: str, headers: dict[str, str], *paths: str) -> Callable[[], Awaitable[None]]:
    """A client that asks for each of the paths."""

    async def ask() -> None:
        async with visitor(url, headers) as rest:
            for path in paths:
                await rest.good("GET", path)

    return ask

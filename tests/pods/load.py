"""A bounded load on the gateway, each request by a connection of its own, as those behind a load balancer are."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Load:
    """What was asked so far, and what came back that is not an answer."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


@asynccontextmanager
async def load(
    url: str, paths: Sequence[str], headers: dict[str, str], *, clients: int = 3, pause: float = 0.1
) -> AsyncIterator[Load]:
    """Ask for `paths` in turn, for as long as the context lasts.

    Args:
        url: The Service.
        paths: What each of the clients asks for.
        headers: Who asks.
        clients: How many ask at once.
        pause: Seconds that each waits between two requests.
    """
    done, ended = Load(), asyncio.Event()

    async def client(session: aiohttp.ClientSession) -> None:
        while not ended.is_set():
            for path in paths:
                begin = time.monotonic()
                try:
                    async with session.get(f"{url}{path}", headers=headers) as answer:
                        await answer.read()
                        if answer.status != 200:
                            done.failures.append(f"{path}: {answer.status} {(await answer.text())[:300]}")
                except (aiohttp.ClientError, TimeoutError) as error:
                    done.failures.append(f"{path}: {error!r}")
                done.requests += 1
                done.slowest = max(done.slowest, time.monotonic() - begin)
                await asyncio.sleep(pause)

    connector = aiohttp.TCPConnector(force_close=True, limit=clients)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        running = [asyncio.create_task(client(session)) for _ in range(clients)]
        try:
            yield done
        finally:
            ended.set()
            await asyncio.gather(*running)

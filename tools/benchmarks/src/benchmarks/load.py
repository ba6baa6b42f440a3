"""A bounded load of one repeated POST, to loopback only, and what it costs the processes that answer it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil

MAX_CALLS = 200_000


@dataclass(frozen=True)
class Cost:
    """What one run of the load showed.

    Attributes:
        cpu_seconds: User and system time of the watched processes, per call.
        p50, p99: Seconds from request to whole answer.
        calls_per_second: Over the whole run.
    """

    calls: int
    cpu_seconds: float
    p50: float
    p99: float
    calls_per_second: float


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time that these processes have used so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(each.user + each.system for each in times)


def peak_megabytes(pid: int) -> float:
    """The most memory that a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


async def measure(
    url: str, bodies: Sequence[bytes], headers: dict[str, str], *, calls: int, connections: int, pids: Sequence[int]
) -> Cost:
    """Send `calls` POSTs over `connections` connections, taking `bodies` in turn; two under way are never the same.

    Raises:
        ValueError: The address is not on this machine, or the load is not bounded.
        RuntimeError: An answer was not a success.
    """
    if urlsplit(url).hostname != "127.0.0.1" or calls > MAX_CALLS:
        raise ValueError("load goes to 127.0.0.1 only, and at most 200000 calls of it")
    latencies: list[float] = []
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def send(body: bytes) -> None:
            started = time.perf_counter()
            async with session.post(url, data=body) as response:
                text = await response.read()
            if response.status != 200 or b'"error"' in text:
                raise RuntimeError(f"{url} answered {response.status}: {text[:300]!r}")
            latencies.append(time.perf_counter() - started)

        async def work(worker: int, count: int) -> None:
            for number in range(count):
                await send(bodies[(worker + number * connections) % len(bodies)])

        await asyncio.gather(*(work(worker, 20) for worker in range(connections)))
        latencies.clear()
        before, started = cpu_seconds(pids), time.perf_counter()
        await asyncio.gather(*(work(worker, calls // connections) for worker in range(connections)))
        elapsed, used = time.perf_counter() - started, cpu_seconds(pids) - before
    latencies.sort()
    count = len(latencies)
    return Cost(
        calls=count,
        cpu_seconds=used / count,
        p50=latencies[count // 2],
        p99=latencies[int(count * 0.99)],
        calls_per_second=count / elapsed,
    )

"""How much longer a caller waits while another caller sends as much as the limits allow, for each kind of request.

Rounds without and with the greedy caller alternate, so that a slow moment of the machine meets both. The greedy caller
is a process of its own with the lowest priority: in production it is another machine.
"""

import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import orjson
from rich.console import Console

from benchmarks.calls import call_headers, modern_call
from benchmarks.figures import Figure
from benchmarks.invoices import write_invoices
from local.stack import Stack

ROUNDS = 4
RATE = 90
"""Requests a second of the greedy caller; one replica of the gateway lets 100 through."""
CONNECTIONS = 32
CALLS = 60
PAUSE_SECONDS = 0.03
FEW_CALLS = 4
"""Of what takes seconds beside a greedy caller, as both wait for AWS's stand-in."""
STREAMS = 150
UPLOAD = b"vendor_id,amount\n" + b"V-00001,12.50\n" * 5_000
STARTED_SECONDS = 30
MOST_KEYS = [f"V-{number:05}" for number in range(1, 5001)]
SOME_KEYS = MOST_KEYS[:10]
BOUND = 2

told = Console(stderr=True, highlight=False)
"""A run takes a quarter of an hour, so each kind's figure is printed as soon as it is measured."""


@dataclass(frozen=True)
class Person:
    """A user of the stack with what they uploaded.

    Attributes:
        headers: They authenticate the user.
        file: Identifier of their CSV file.
        job: Identifier of their job that no worker takes, for those who follow it.
    """

    url: str
    headers: Mapping[str, str]
    file: str = ""
    job: str = ""


Send = Callable[[aiohttp.ClientSession, Person], Awaitable[int]]
"""Sends one request, reads the whole answer, and returns its status."""


@dataclass(frozen=True)
class Kind:
    """One kind of request.

    Attributes:
        greedy: What the greedy caller sends, over so many `connections`.
        other: What the measured caller sends, one request after the other, `calls` of them in a round.
        has_worker: Whether the worker runs; without it, the greedy caller's job stays queued.
        bound: How many times longer the measured caller may wait, where that is a promise.
    """

    name: str
    greedy: Send
    other: Send
    connections: int = CONNECTIONS
    calls: int = CALLS
    has_worker: bool = True
    bound: float | None = None


@dataclass
class Latencies:
    """Seconds of the measured caller's requests, and what the greedy caller got."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    answered: int = 0
    refused: int = 0


async def _post(
    session: aiohttp.ClientSession, person: Person, path: str, body: bytes, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    sent = {"content-type": "application/json", **person.headers, **(headers or {})}
    async with session.post(person.url + path, data=body, headers=sent) as response:
        return response.status, await response.read()


def _tool(tool: str, arguments: Mapping[str, object]) -> Send:
    body = modern_call(tool, arguments, 1)
    headers = call_headers(tool, "")
    del headers["authorization"]

    async def send(session: aiohttp.ClientSession, person: Person) -> int:
        status, text = await _post(session, person, "/mcp", body, headers)
        return 500 if b'"error"' in text else status

    return send


async def _preview(session: aiohttp.ClientSession, person: Person) -> int:
    return (await _post(session, person, "/api/preview", orjson.dumps({"file": person.file})))[0]


async def _session(session: aiohttp.ClientSession, person: Person) -> int:
    """Begin a session of the older protocol and list all tools."""
    accept = {"accept": "application/json, text/event-stream"}
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "greedy", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    await _post(session, person, "/mcp", orjson.dumps(begin), accept)
    listing = orjson.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
    return (await _post(session, person, "/mcp", listing, {**accept, "mcp-protocol-version": "2025-11-25"}))[0]


async def _upload(session: aiohttp.ClientSession, person: Person) -> int:
    """Upload a file and delete it, so that neither the quota nor the memory of AWS's stand-in fills up."""
    status, text = await _post(session, person, "/api/files?name=a.csv", UPLOAD)
    if status != 201:
        return status
    file = orjson.loads(text)["id"]
    async with session.delete(f"{person.url}/api/files/{file}", headers=person.headers) as response:
        return response.status


async def _job(session: aiohttp.ClientSession, person: Person) -> int:
    """Submit a job and follow it to its end."""
    status, text = await _post(session, person, "/api/jobs", orjson.dumps({"file": person.file}))
    if status >= 300:
        return status
    job = orjson.loads(text)["id"]
    async with session.get(f"{person.url}/api/jobs/{job}/events", headers=person.headers) as response:
        ended = await response.read()
        return response.status if b"succeeded" in ended else 500


async def _follow(session: aiohttp.ClientSession, person: Person) -> int:
    async with session.get(f"{person.url}/api/jobs/{person.job}/events", headers=person.headers) as response:
        _started.value += 1
        await response.read()
        return response.status


async def _list(session: aiohttp.ClientSession, person: Person) -> int:
    async with session.get(f"{person.url}/api/jobs", headers=person.headers) as response:
        await response.read()
        return response.status


_fork = multiprocessing.get_context("fork")
_started, _answered, _refused = (_fork.Value("q", 0) for _ in range(3))


async def _send_all(kind: Kind, person: Person) -> None:
    """Send at most `RATE` requests a second over the kind's connections, until the process is ended."""
    os.nice(19)
    turn = time.monotonic()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=600)) as session:

        async def work() -> None:
            nonlocal turn
            while True:
                turn = max(turn + 1 / RATE, time.monotonic())
                await asyncio.sleep(turn - time.monotonic())
                counter = _answered if await kind.greedy(session, person) < 300 else _refused
                counter.value += 1
                _started.value += 1

        await asyncio.gather(*(work() for _ in range(kind.connections)))


@contextmanager
def _greedy(kind: Kind, person: Person) -> Iterator[None]:
    """Run the greedy caller; it is at its limit once as many requests as it has connections have begun."""
    _started.value = 0
    process = _fork.Process(target=lambda: asyncio.run(_send_all(kind, person)), daemon=True)
    process.start()
    try:
        deadline = time.monotonic() + STARTED_SECONDS
        while _started.value < kind.connections and time.monotonic() < deadline:
            if not process.is_alive():
                raise RuntimeError(f"the greedy caller of {kind.name} has ended")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.join()


async def _measured(kind: Kind, person: Person) -> list[float]:
    found = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as session:
        await kind.other(session, person)
        for _ in range(kind.calls):
            started = time.perf_counter()
            status = await kind.other(session, person)
            found.append(time.perf_counter() - started)
            # Stay far below the limit of requests.
            await asyncio.sleep(PAUSE_SECONDS)
            if status >= 300:
                raise RuntimeError(f"{kind.name}: the other caller got {status} after {found[-1]:.1f} s")
    return found


async def _prepared(stack: Stack, user: str, content: bytes) -> Person:
    headers = stack.authorization(user)
    person = Person(stack.addresses.gateway, headers)
    async with aiohttp.ClientSession() as session:
        status, text = await _post(session, person, "/api/files?name=a.csv", content)
    if status != 201:
        raise RuntimeError(f"the upload was answered with {status}: {text[:300]!r}")
    return replace(person, file=orjson.loads(text)["id"])


async def _cancel_all(person: Person) -> None:
    """Cancel the person's jobs and wait for their end, so that the next round has the workers to itself."""
    async with aiohttp.ClientSession(headers=dict(person.headers)) as session:
        while True:
            async with session.get(f"{person.url}/api/jobs?limit=100") as response:
                jobs = (await response.json())["jobs"]
            left = [job["id"] for job in jobs if job["status"] in {"queued", "running"}]
            if not left:
                return
            for job in left:
                async with session.delete(f"{person.url}/api/jobs/{job}") as response:
                    await response.read()
                await asyncio.sleep(2 / RATE)
            await asyncio.sleep(0.5)


def _kinds() -> list[Kind]:
    look_up = _tool("finance_lookup_vendors", {"keys": SOME_KEYS})
    return [
        Kind("searches", _tool("finance_search_vendors", {"query": "a " * 100, "limit": 50}), look_up, bound=BOUND),
        Kind("look-ups of 5,000 keys", _tool("finance_lookup_vendors", {"keys": MOST_KEYS}), look_up),
        Kind("previews", _preview, _preview),
        Kind("uploads", _upload, _upload, calls=FEW_CALLS),
        Kind("jobs", _job, _job, calls=FEW_CALLS),
        Kind("MCP sessions", _session, look_up),
        Kind(f"{STREAMS} event streams", _follow, _list, connections=STREAMS, has_worker=False),
    ]


NAMES = tuple(kind.name for kind in _kinds())


def run(names: Sequence[str] = NAMES) -> list[Figure]:
    """Measure each kind of those `names` in rounds without and with the greedy caller."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, Stack(Path(name) / "state") as stack:
        source = Path(name) / "invoices.csv"
        write_invoices(source, 20_000)
        greedy, other = (asyncio.run(_prepared(stack, user, source.read_bytes())) for user in ("frank", "alice"))
        figures = []
        for kind in _kinds():
            if kind.name in names:
                figures.append(_figure(kind, _compare(stack, kind, greedy, other)))
                told.print(f"{figures[-1].name}: {figures[-1].value:.2f} ({figures[-1].detail})")
        return figures


async def _with_job(person: Person) -> Person:
    """Submit a job."""
    async with aiohttp.ClientSession() as session:
        _, text = await _post(session, person, "/api/jobs", orjson.dumps({"file": person.file}))
    return replace(person, job=orjson.loads(text)["id"])


def _compare(stack: Stack, kind: Kind, greedy: Person, other: Person) -> Latencies:
    latencies = Latencies()
    _answered.value = _refused.value = 0
    if not kind.has_worker:
        stack.stop_service("worker")
    for _ in range(ROUNDS):
        latencies.alone += asyncio.run(_measured(kind, other))
        with _greedy(kind, greedy if kind.has_worker else asyncio.run(_with_job(greedy))):
            latencies.beside += asyncio.run(_measured(kind, other))
        asyncio.run(_cancel_all(greedy))
    if not kind.has_worker:
        stack.start_service("worker")
    latencies.answered, latencies.refused = _answered.value, _refused.value
    return latencies


def _figure(kind: Kind, latencies: Latencies) -> Figure:
    alone, beside = (_percentile(found) for found in (latencies.alone, latencies.beside))
    middles = [_percentile(found, 50) * 1000 for found in (latencies.alone, latencies.beside)]
    return Figure(
        f"{kind.name}: p99 of another caller, with / without",
        beside / alone,
        "x",
        bound=kind.bound,
        detail=(
            f"p99 {beside * 1000:,.0f} / {alone * 1000:,.0f} ms, median {middles[1]:,.0f} / {middles[0]:,.0f} ms; "
            f"the greedy caller got {latencies.answered:,} answers and {latencies.refused:,} refusals"
        ),
    )


def _percentile(values: list[float], percent: int = 99) -> float:
    return sorted(values)[len(values) * percent // 100]

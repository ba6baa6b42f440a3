"""What one `tools/call` costs on its way through the gateway.

Compared with a plain endpoint that parses and answers the same JSON, and with ContextForge before the same department.
The CPU is that of the one process in question: the departments' own is not counted.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import orjson

from benchmarks import contextforge
from benchmarks.figures import Figure
from benchmarks.gateway import Running, gateway, process, write_departments
from benchmarks.load import Cost, measure
from local.stack import Stack

MANY, FEW = 64, 3
KEYS = [f"K-{number}" for number in range(10)]
VERSION = "2026-07-28"
ROUNDS = 5
IDENTIFIERS = 320
TIMES = "x"


def modern_call(tool: str, arguments: Mapping[str, object], number: int) -> bytes:
    """A `tools/call` of the stateless protocol."""
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": VERSION, f"{prefix}clientCapabilities": {}}
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})


def legacy_call(tool: str, keys: list[str], number: int) -> bytes:
    """A `tools/call` within a session."""
    params = {"name": tool, "arguments": {"keys": keys}}
    return orjson.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})


def call_headers(tool: str, token: str) -> dict[str, str]:
    """The headers of a modern client."""
    return {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": VERSION,
        "mcp-method": "tools/call",
        "mcp-name": tool,
    }


def run() -> list[Figure]:
    """Measure in rounds, so that a slow moment of the machine meets everything alike; medians of the rounds."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        stack = opened.enter_context(Stack(folder / "state"))
        # The last ports of the stack's block of fifty, which it leaves free.
        ports = iter(range(stack.addresses.port(45), stack.addresses.port(50)))
        port = next(ports)
        backend = opened.enter_context(
            process(
                "benchmarks.backend",
                str(port),
                str(MANY),
                url=f"http://127.0.0.1:{port}",
                ready="/openapi.json",
                environment={},
            )
        )
        gateways: dict[int, Running] = {}
        for count in (FEW, MANY):
            departments = folder / f"departments-{count}"
            write_departments(departments, count, backend.url)
            gateways[count] = opened.enter_context(gateway(stack, departments, next(ports)))
        forge = opened.enter_context(contextforge.running(folder, next(ports), f"{backend.url}/bench-0/mcp"))
        token = stack.token("alice")
        found: dict[str, list[Cost]] = {}
        for _ in range(ROUNDS):
            for name, cost in asyncio.run(_round(backend, gateways, forge, token)).items():
                found.setdefault(name, []).append(cost)
    return _figures(found)


async def _round(
    backend: Running, gateways: dict[int, Running], forge: contextforge.ContextForge, token: str
) -> dict[str, Cost]:
    tool = "bench_0_lookup_items"
    modern = [modern_call(tool, {"keys": KEYS}, number) for number in range(IDENTIFIERS)]
    headers = call_headers(tool, token)
    few, many = gateways[FEW], gateways[MANY]
    return {
        "plain": await measure(f"{backend.url}/plain", modern, {}, calls=4000, connections=8, pids=[backend.pid]),
        "few": await measure(f"{few.url}/mcp", modern, headers, calls=4000, connections=8, pids=[few.pid]),
        "many": await measure(f"{many.url}/mcp", modern, headers, calls=4000, connections=8, pids=[many.pid]),
        "busy": await measure(f"{few.url}/mcp", modern, headers, calls=8000, connections=32, pids=[few.pid]),
        "contextforge": await measure(
            forge.url,
            [legacy_call(forge.tool, KEYS, number) for number in range(IDENTIFIERS)],
            forge.headers,
            calls=400,
            connections=8,
            pids=[forge.pid],
        ),
    }


def _figures(found: dict[str, list[Cost]]) -> list[Figure]:
    cpu = {name: statistics.median(cost.cpu_seconds for cost in costs) * 1e6 for name, costs in found.items()}
    tail = statistics.median(cost.p99 / cost.p50 for cost in found["busy"])
    rate = statistics.median(cost.calls_per_second for cost in found["busy"])
    return [
        Figure("CPU of a plain FastAPI endpoint", cpu["plain"], "µs a call"),
        Figure("CPU of a call through the gateway", cpu["few"], "µs a call"),
        Figure("CPU of a call through ContextForge", cpu["contextforge"], "µs a call"),
        Figure("gateway / plain endpoint", cpu["few"] / cpu["plain"], TIMES, bound=3),
        Figure("gateway / ContextForge", cpu["few"] / cpu["contextforge"], TIMES, bound=1 / 20),
        Figure(f"{MANY} departments / {FEW}", cpu["many"] / cpu["few"], TIMES, bound=1.1),
        Figure("p99 / p50 at 32 connections", tail, TIMES, bound=4, detail=f"{rate:,.0f} calls a second"),
    ]

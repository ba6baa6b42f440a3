"""Enriching a large CSV file as a user does it, against the same joins by Polars in one process.

A job's time runs from its submission to the published result: reading from and writing to S3's stand-in, the look-ups
over MCP, and the job's bookkeeping are all in it.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import fileproc
from benchmarks.calls import call_headers, modern_call
from benchmarks.figures import Figure
from benchmarks.invoices import MAPPING, write_invoices
from benchmarks.load import measure, peak_megabytes
from local.stack import Stack

MILLION = 1_000_000
ROUNDS = 3
SINGLE_CALLS = 600
SETTINGS = {"gateway": {"RATE_LIMIT": "1000000/second"}}


@dataclass(frozen=True)
class Enriched:
    """One job: its wall time in seconds, and the most memory that its worker ever held, in MB."""

    seconds: float
    peak_megabytes: float


def run(*, ten_millions: bool) -> list[Figure]:
    """Polars and the job in turn; medians of the rounds. `ten_millions` adds a file ten times as long."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as name,
        Stack(Path(name) / "state", settings=SETTINGS) as stack,
    ):
        folder = Path(name)
        source = folder / "invoices.csv"
        write_invoices(source, MILLION)
        polars, jobs = [], []
        for _ in range(ROUNDS):
            polars.append(_polars(stack.state.data, source, folder / "joined.csv"))
            jobs.append(_job(stack, source))
        joined, job = statistics.median(polars), statistics.median(each.seconds for each in jobs)
        single = asyncio.run(_single_call(stack))
        figures = [
            Figure("Polars, 1,000,000 rows, three joins", joined, "s"),
            Figure("the job, 1,000,000 rows, three data sets", job, "s"),
            Figure("job / Polars", job / joined, "x", bound=3),
            Figure(
                "a tools/call for each key / job",
                single * MILLION * len(MAPPING) / job,
                "x",
                bound=100,
                at_least=True,
                detail=f"one call of one key through the gateway takes {single * 1e3:.2f} ms",
            ),
        ]
        if ten_millions:
            peak = statistics.median(each.peak_megabytes for each in jobs)
            write_invoices(source, 10 * MILLION)
            large = _job(stack, source)
            figures += [
                Figure("time per row, 10,000,000 / 1,000,000 rows", large.seconds / 10 / job, "x", bound=1.2),
                Figure("worker's peak memory, 10,000,000 rows", large.peak_megabytes, "MB", bound=400),
                Figure("peak memory, 10,000,000 / 1,000,000 rows", large.peak_megabytes / peak, "x", bound=1.1),
            ]
    return figures


def _polars(data: Path, source: Path, target: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.polars_join", str(data), str(source), str(target)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _job(stack: Stack, source: Path) -> Enriched:
    """One job by a worker that has just started, so that its peak is this job's."""
    stack.stop_service("worker")
    stack.start_service("worker")
    with fileproc.Client(stack.addresses.api, stack.token("dana")) as client:
        file = client.upload(source)
        started = time.perf_counter()
        job = client.submit(file.id, mapping=MAPPING)
        done = client.wait(job.id)
        seconds = time.perf_counter() - started
        if done.status != "succeeded":
            raise RuntimeError(f"the job ended as {done.status}: {done.error}")
        client.delete_file(file.id)
    return Enriched(seconds, peak_megabytes(stack.pid("worker")))


async def _single_call(stack: Stack) -> float:
    """Seconds of one look-up of one key, one after the other."""
    tool = "finance_lookup_vendors"
    bodies = [modern_call(tool, {"keys": [f"V-{number:05}"]}, number) for number in range(1, 101)]
    headers = call_headers(tool, stack.token("dana"))
    cost = await measure(
        f"{stack.addresses.gateway}/mcp",
        bodies,
        headers,
        calls=SINGLE_CALLS,
        connections=1,
        pids=[stack.pid("gateway")],
    )
    return 1 / cost.calls_per_second

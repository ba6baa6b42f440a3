"""More gateways beside a local stack's own, before departments at their cheapest."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from local.stack import Stack

START_SECONDS = 60


@dataclass(frozen=True)
class Running:
    """A process that answers at `url`."""

    pid: int
    url: str


@contextmanager
def process(module: str, *arguments: str, url: str, ready: str, environment: Mapping[str, str]) -> Iterator[Running]:
    """Run `python -m module` until the context ends; it is given out once `url` + `ready` answers.

    Raises:
        RuntimeError: It did not come up.
    """
    started = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], env=os.environ | environment, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url + ready):
            if started.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{module} did not come up at {url}")
            time.sleep(0.1)
        yield Running(started.pid, url)
    finally:
        started.terminate()
        started.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).is_success
    except httpx2.TransportError:
        return False


def write_departments(folder: Path, count: int, backend: str) -> None:
    """`count` departments for the group `finance`, served by the benchmark's backend."""
    folder.mkdir()
    for number in range(count):
        name = f"bench-{number}"
        (folder / f"{name}.yaml").write_text(
            "apiVersion: fileprocessing.internal/v1alpha1\nkind: Department\n"
            f"metadata: {{name: {name}, namespace: file-processing}}\n"
            f"spec: {{displayName: {name}, access: {{groups: [finance]}}, "
            "datasets: [{name: items, object: items.csv, key: id}]}\n"
            f"status: {{endpoint: {backend}/{name}/mcp}}\n"
        )


@contextmanager
def gateway(stack: Stack, departments: Path, port: int) -> Iterator[Running]:
    """A gateway as `stack` has it, but for its departments and its rate limit."""
    environment = next(service.environment for service in stack.services if service.name == "gateway")
    changed = {
        "PORT": str(port),
        "METRICS_PORT": "0",
        "DEPARTMENTS_DIR": str(departments),
        "RATE_LIMIT": "1000000/second",
    }
    url = f"http://127.0.0.1:{port}"
    with process("agentgateway", url=url, ready="/readyz", environment={**environment, **changed}) as running:
        yield running

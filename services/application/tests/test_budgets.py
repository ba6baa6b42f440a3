"""Files that take very much to read, against a running API and worker: each costs nobody but its owner."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import orjson
import psutil
import pytest
import urllib3
from services.application.tests.support import bombs
from services.application.tests.support.client import Client
from services.application.tests.support.stack import Platform, Process, Stack, running_stack, wait_until

pytestmark = pytest.mark.slow

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Stack]:
    with running_stack(platform, "budgets") as running:
        running.start_worker()
        yield running


def processes(service: Process) -> list[psutil.Process]:
    """The processes of the engine that work for a service now."""
    zygotes = psutil.Process(service.popen.pid).children()
    return [child for zygote in zygotes for child in zygote.children()]


FILES = {
    "a.md": bombs.markdown("<!--"),
    "b.parquet": bombs.parquet(bombs.arrays()["dictionary"]),
    "c.pdf": bombs.pdf(512 * MEBIBYTE),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_takes_much_leaves_services_small_and_answering(stack: Stack, alice: Client, name: str) -> None:
    """The event loops are watched by the stack; that they are not blocked is judged at its end."""
    file = alice.upload(FILES[name], name)
    answer = alice.call("POST", "/api/preview", document={"file": file})
    assert answer.status in {200, 413}
    if answer.status == 200:
        column = "text" if name == "a.md" else "vendor_id"
        job = alice.submit(file, mapping={column: ["finance.vendors"]})
        assert alice.wait(job, seconds=120)["status"] == "succeeded"
    else:
        assert "Split it" in answer.json()["detail"]
    assert stack.api.memory() < 256 * MEBIBYTE
    assert stack.workers[0].memory() < 256 * MEBIBYTE
    assert not processes(stack.api)


def test_a_preview_ends_when_its_client_leaves(stack: Stack, alice: Client) -> None:
    """The file takes all of its ten seconds of processor time if it is let."""
    file = alice.upload(bombs.markdown("<a"), "a.md")
    body = orjson.dumps({"file": file})
    headers = {**alice.headers(), "host": "x", "content-type": "application/json", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((urlsplit(stack.url).hostname, stack.port)) as client:
        client.sendall(f"POST /api/preview HTTP/1.1\r\n{head}\r\n".encode() + body)
        (process,) = wait_until(lambda: processes(stack.api))
    spent = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            spent = process.cpu_times().user
            time.sleep(0.01)
    assert spent < 6


def test_the_metrics_count_work_that_was_ended(stack: Stack) -> None:
    text = urllib3.request("GET", f"http://127.0.0.1:{stack.metrics_port}/metrics").data.decode()
    assert 'application_engine_killed_total{operation="preview",reason="memory"} 1.0' in text

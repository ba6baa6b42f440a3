"""moto's server as a process of its own, empty."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from tests.helpers.stack import free_port

from infrastructure.terraform import ACCOUNT_ID
from local.kubernetes.kubectl import wait_for


@contextmanager
def moto_server(log: Path, program: tuple[str, ...] = ("-m", "moto.server"), **settings: str) -> Iterator[str]:
    """The server's URL, while the block runs.

    Args:
        log: What it prints.
        program: What Python is given; another program changes moto before it serves.
        settings: moto's environment variables, beside the account's number.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "MOTO_ACCOUNT_ID": ACCOUNT_ID, **settings}
    command = [sys.executable, *program, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            wait_for(lambda: _answers(url), 60, "moto's server answers")
            yield url
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).is_success
    except httpx2.TransportError:
        return False

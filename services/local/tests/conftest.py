import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import boto3
import pytest

from local import data, names

ROOT = Path(__file__).parents[3]
APP_URL = "http://127.0.0.1:8700"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, f"it ended with status {process.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310
                return
        except URLError:
            assert time.monotonic() < deadline, f"{url} was not ready in time"
            time.sleep(0.05)


@dataclass(frozen=True)
class Aws:
    url: str
    process: "subprocess.Popen[bytes]"

    def client(self, service: str, **credentials: str) -> Any:
        given = {"aws_access_key_id": "local", "aws_secret_access_key": "local"} | credentials
        return boto3.client(service, endpoint_url=self.url, region_name=names.REGION, **given)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    data.write(folder)
    return folder


@pytest.fixture(scope="session")
def aws(data_dir: Path) -> Iterator[Aws]:
    """The stand-in for AWS, as its own process, seeded."""
    port = free_port()
    environment = os.environ | {
        "AWS_PORT": str(port),
        "DEPARTMENTS_DIR": str(ROOT / "base" / "departments"),
        "DATA_DIR": str(data_dir),
        "APP_URL": APP_URL,
    }
    with subprocess.Popen([sys.executable, "-m", "local.aws"], env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(f"{url}/readyz", process)
            yield Aws(url, process)
        finally:
            process.kill()

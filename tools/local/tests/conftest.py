import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import boto3
import httpx2
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from tools.local.tests.stub_gateway import StubGateway

from local import data, names

ROOT = Path(__file__).parents[3]
API_URL = "http://127.0.0.1:51234"


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

    def client(self, service: str, **credentials: Any) -> Any:
        given = {"aws_access_key_id": "local", "aws_secret_access_key": "local"} | credentials
        return boto3.client(service, endpoint_url=self.url, region_name=names.REGION, **given)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    data.write(folder)
    return folder


@pytest.fixture(scope="session")
def app_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def aws(data_dir: Path, app_port: int) -> Iterator[Aws]:
    """The stand-in for AWS, as its own process, seeded."""
    port = free_port()
    environment = os.environ | {
        "AWS_PORT": str(port),
        "DEPARTMENTS_DIR": str(ROOT / "base" / "departments"),
        "DATA_DIR": str(data_dir),
        "APP_URL": f"http://127.0.0.1:{app_port}",
        "API_URL": API_URL,
    }
    with subprocess.Popen([sys.executable, "-m", "local.aws"], env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(f"{url}/readyz", process)
            yield Aws(url, process)
        finally:
            process.kill()


@dataclass(frozen=True)
class Edge:
    app: str
    api: str
    login: str
    process: "subprocess.Popen[bytes]"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway() -> AsyncIterator[StubGateway]:
    stub = StubGateway()
    server = TestServer(stub.app())
    await server.start_server(auto_decompress=False)
    try:
        stub.url = str(server.make_url("")).rstrip("/")
        yield stub
    finally:
        await server.close()


@pytest.fixture(scope="session")
def edge(aws: Aws, gateway: StubGateway, app_port: int) -> Iterator[Edge]:
    """The edge, as its own process, before a stub of the gateway."""
    ports = {"APP_PORT": app_port, "API_PORT": free_port(), "LOGIN_PORT": free_port()}
    environment = os.environ | {name: str(port) for name, port in ports.items()}
    environment |= {"GATEWAY_URL": gateway.url, "AWS_URL": aws.url}
    with subprocess.Popen([sys.executable, "-m", "local.edge"], env=environment) as process:
        try:
            app, api, login = (f"http://127.0.0.1:{port}" for port in ports.values())
            wait_until_ready(f"{login}/readyz", process)
            yield Edge(app, api, login, process)
            process.terminate()
            assert process.wait(10) == 0
        finally:
            process.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    """Keeps cookies, and follows no redirect by itself."""
    async with httpx2.AsyncClient(timeout=30) as client:
        yield client

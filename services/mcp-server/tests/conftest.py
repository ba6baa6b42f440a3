"""A department's real server on a port of its own, real S3 (moto) behind it, real service tokens in front."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import boto3
import httpx2
import pytest
import pytest_asyncio
import uvicorn
from aiohttp import web
from aiohttp.test_utils import TestServer
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from moto.server import ThreadedMotoServer
from services.common.tests.api_server import ISSUER, ApiServer

from common.caller import CALLER_HEADER, Caller
from mcp_server.main import create_app
from mcp_server.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "department-data"
Mode = Literal["auto", "legacy"]

FINANCE = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: finance}
spec:
  displayName: Finance
  toolset: finance
  access: {groups: [finance], restrictedGroups: [finance-leads]}
  datasets:
  - name: vendors
    object: vendors.csv
    key: vendor_id
    aliases: [vendor, supplier_id]
    pattern: "^V-[0-9]{5}$"
    search: [name, bank_account]
    restrictedColumns: [bank_account]
  - {name: rates, object: rates.csv, key: currency}
"""
VENDORS = """vendor_id,name,country,currency,status,bank_account
V-00001,Müller & Söhne GmbH,DE,EUR,active,DE00SECRET1
V-00002,Acme Industrial Supplies Ltd,GB,GBP,active,GB00SECRET2
V-00003,Nordwind Logistik AG,CH,CHF,blocked,CH00SECRET3
"""
RATES = "currency,rate_to_usd\nUSD,1\nEUR,1.10\nGBP,1.25\nCHF,broken\n"

HR = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: hr}
spec:
  displayName: Human Resources
  toolset: hr
  access: {groups: [hr], restrictedGroups: [hr-leads]}
  datasets:
  - name: employees
    object: employees.jsonl
    key: employee_id
    search: [name]
    restrictedColumns: [salary_band]
"""
EMPLOYEES = [
    {"employee_id": "E-00001", "name": "Ada Top", "manager_id": None, "salary_band": "S9"},
    {"employee_id": "E-00002", "name": "Ben Middle", "manager_id": "E-00001", "salary_band": "S5"},
    {"employee_id": "E-00003", "name": "Cem Low", "manager_id": "E-00002", "salary_band": "S1"},
    {"employee_id": "E-00004", "name": "Dee Round", "manager_id": "E-00005", "salary_band": "S2"},
    {"employee_id": "E-00005", "name": "Eva Round", "manager_id": "E-00004", "salary_band": "S2"},
    {"employee_id": "E-00006", "name": "Fay Lost", "manager_id": "E-99999", "salary_band": "S3"},
]


@dataclass
class Running:
    """A server that answers, and what a test does to it."""

    department: str
    url: str
    file: Path
    api: ApiServer
    s3: "S3Client"

    def headers(self, *groups: str, **claims: Any) -> dict[str, str]:
        """What an allowed service sends on behalf of a member of `groups`."""
        token = self.api.keys[0].sign(**{"aud": [f"mcp-{self.department}"]} | claims)
        caller = Caller("1", "someone", frozenset(groups), "cognito")
        return {"authorization": f"Bearer {token}", CALLER_HEADER: caller.to_header()}

    @asynccontextmanager
    async def client(self, *groups: str, mode: Mode = "auto") -> AsyncIterator[Client]:
        async with httpx2.AsyncClient(headers=self.headers(*groups), timeout=30) as http:
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                yield client

    def put(self, name: str, data: bytes | str) -> None:
        """Publish an object in the department's folder."""
        self.s3.put_object(Bucket=BUCKET, Key=f"departments/mcp-{self.department}/{name}", Body=data)

    async def readyz(self) -> tuple[int, dict[str, Any]]:
        async with httpx2.AsyncClient() as http:
            response = await http.get(f"{self.url}/readyz")
            return response.status_code, response.json()


class Serve(Protocol):
    async def __call__(
        self, department: str, objects: dict[str, bytes | str], ready: bool = True, **options: Any
    ) -> Running: ...


Until = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    async def poll(condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await condition():
                await asyncio.sleep(0.02)

    return poll


@pytest.fixture(scope="session")
def s3() -> Iterator["S3Client"]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        client = boto3.client("s3", region_name="eu-central-1")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client
        client.close()
    server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api_server() -> AsyncIterator[ApiServer]:
    api = ApiServer()
    app = web.Application()
    app.router.add_get("/openid/v1/jwks", api.jwks)
    async with TestServer(app) as server:
        api.url = str(server.make_url("")).rstrip("/")
        yield api


@pytest_asyncio.fixture(loop_scope="session")
async def serve(
    s3: "S3Client", api_server: ApiServer, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Serve]:
    """Starts servers that stop with the test; `options` are of `create_app`, upper-case ones are settings."""
    stops: list[Callable[[], Awaitable[None]]] = []
    token_file = tmp_path / "token"
    token_file.write_text("own-token")

    async def start(department: str, objects: dict[str, bytes | str], ready: bool = True, **options: Any) -> Running:
        name = json.loads(json.dumps(department.split("metadata: {name: ")[1].split("}")[0]))
        file = tmp_path / f"{name}.yaml"
        file.write_text(department)
        running = Running(name, "", file, api_server, s3)
        for old in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"departments/mcp-{name}/").get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=old["Key"])
        for key, data in objects.items():
            running.put(key, data)
        environment = {
            "DEPARTMENT": name,
            "DEPARTMENT_FILE": str(file),
            "DEPARTMENT_DATA_BUCKET": BUCKET,
            "AWS_REGION": "eu-central-1",
            "REFRESH_SECONDS": "0.05",
            "KUBERNETES_API_URL": api_server.url,
            "CLUSTER_ISSUER": ISSUER,
            "SERVICE_ACCOUNT": f"mcp-{name}",
            "SERVICE_ACCOUNT_TOKEN_FILE": str(token_file),
        }
        for setting, value in environment.items():
            monkeypatch.setenv(setting, value)
        listener = socket.create_server(("127.0.0.1", 0))
        running.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(Settings(), **options), log_config=None, lifespan="on", timeout_graceful_shutdown=5
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        async def stop() -> None:
            server.should_exit = True
            await asyncio.to_thread(thread.join)
            listener.close()

        stops.append(stop)

        async def answers() -> bool:
            return server.started and (not ready or (await running.readyz())[0] == 200)

        await until(answers)
        return running

    yield start
    for stop in reversed(stops):
        await stop()


@pytest_asyncio.fixture(loop_scope="session")
async def finance(serve: Serve) -> Running:
    return await serve(FINANCE, {"vendors.csv": VENDORS, "rates.csv": RATES})


@pytest.fixture
def finance_with(serve: Serve) -> Callable[..., Awaitable[Running]]:
    """Finance with other options of `create_app`."""
    return lambda **options: serve(FINANCE, {"vendors.csv": VENDORS, "rates.csv": RATES}, **options)


@pytest_asyncio.fixture(loop_scope="session")
async def hr(serve: Serve) -> Running:
    return await serve(HR, {"employees.jsonl": "\n".join(json.dumps(row) for row in EMPLOYEES)})

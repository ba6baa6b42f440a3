"""A department's real server on a port of its own, real S3 (moto) behind it, real service tokens in front."""

import asyncio
import io
import itertools
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import boto3
import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
import uvicorn
from aiohttp import web
from aiohttp.test_utils import TestServer
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent
from moto.server import ThreadedMotoServer
from services.common.tests.api_server import ISSUER, ApiServer

from common.caller import CALLER_HEADER, Caller
from mcp_server.main import create_app
from mcp_server.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Final = "eu-central-1"
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
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

LEGAL = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: legal}
spec:
  displayName: Legal
  toolset: legal
  access: {groups: [legal], restrictedGroups: [legal-leads]}
  datasets:
  - name: contracts
    object: contracts.parquet
    key: contract_id
    search: [title, counterparty]
    restrictedColumns: [value]
"""
CONTRACTS = {
    "contract_id": ["C-00001", "C-00002", "C-00003", "C-00004"],
    "title": ["Frame agreement", "Lease of offices", "Service contract", "NDA"],
    "counterparty": ["Müller GmbH", "City Estates", "Nordwind AG", None],
    "end_date": [date(2026, 12, 1), date(2027, 1, 31), date(2026, 11, 30), None],
    "clauses": [
        "Liability is limited to the fees paid. Either party may terminate with ninety days' notice.",
        "The rent is due on the first day of each month.",
        "Information stays confidential for five years; it is then deleted.",
        None,
    ],
    "value": [70001.5, 70002.5, 70003.5, 70004.5],
}


@dataclass
class Running:
    """A server that answers, and what a test does to it."""

    department: str
    url: str
    file: Path
    api: ApiServer
    s3: "S3Client"
    bucket: str
    settings: Settings

    def headers(self, *groups: str, **claims: Any) -> dict[str, str]:
        """What an allowed service sends on behalf of a member of `groups`."""
        token = self.api.keys[0].sign(**{"aud": [f"mcp-{self.department}"]} | claims)
        caller = Caller("1", "someone", frozenset(groups), "cognito")
        return {"authorization": f"Bearer {token}", CALLER_HEADER: caller.to_header()}

    @staticmethod
    def http(headers: dict[str, str] | None = None) -> httpx2.AsyncClient:
        """A plain client; nothing here is encrypted, and reading all certificate authorities takes long."""
        return httpx2.AsyncClient(headers=headers, timeout=30, verify=NO_AUTHORITIES)

    @asynccontextmanager
    async def client(self, *groups: str, mode: Mode = "auto") -> AsyncIterator[Client]:
        async with self.http(self.headers(*groups)) as http:
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                yield client

    async def call(self, tool: str, arguments: dict[str, Any], *groups: str) -> dict[str, Any]:
        """The structured content that a member of `groups` gets (of the department's own group where none is named)."""
        async with self.client(*groups or (self.department,)) as client:
            result = await client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        content: dict[str, Any] = result.structured_content
        return content

    async def refused(self, tool: str, arguments: dict[str, Any]) -> str:
        """What the tool says to arguments that it cannot answer."""
        async with self.client(self.department) as client:
            result = await client.call_tool(tool, arguments)
        assert result.is_error
        return "".join(block.text for block in result.content if isinstance(block, TextContent))

    def change(self, old: str, new: str) -> None:
        """Change the Department's file, as a cluster does: at once, by a new file."""
        text = self.file.read_text()
        assert old in text
        aside = self.file.with_suffix(".new")
        aside.write_text(text.replace(old, new))
        aside.replace(self.file)

    def put(self, name: str, data: bytes | str) -> None:
        """Publish an object in the department's folder."""
        self.s3.put_object(Bucket=self.bucket, Key=f"departments/mcp-{self.department}/{name}", Body=data)

    async def error_of(self, dataset: str) -> str | None:
        """Why the newest object of a data set is not served, as `/readyz` says."""
        error: str | None = (await self.readyz())[1]["datasets"][dataset]["error"]
        return error

    async def readyz(self) -> tuple[int, dict[str, Any]]:
        async with self.http() as http:
            response = await http.get(f"{self.url}/readyz")
            return response.status_code, response.json()


class Serve(Protocol):
    def __call__(
        self,
        department: str,
        objects: dict[str, bytes | str],
        *,
        ready: bool = True,
        settings: dict[str, Any] | None = None,
        **app: Any,
    ) -> AbstractAsyncContextManager[Running]: ...


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
        client = boto3.client("s3", region_name=REGION)
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


@pytest.fixture(scope="session")
def serve(s3: "S3Client", api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Starts a server with a bucket of its own; `settings` over the usual ones, `app` are options of `create_app`."""
    numbers = itertools.count()

    @asynccontextmanager
    async def start(
        department: str,
        objects: dict[str, bytes | str],
        *,
        ready: bool = True,
        settings: dict[str, Any] | None = None,
        **app: Any,
    ) -> AsyncIterator[Running]:
        name = department.split("metadata: {name: ")[1].split("}")[0]
        folder = tmp_path_factory.mktemp(name)
        bucket, file = f"data-{next(numbers)}", folder / "department.yaml"
        file.write_text(department)
        (folder / "token").write_text("own-token")
        values: dict[str, Any] = {
            "department": name,
            "department_file": file,
            "department_data_bucket": bucket,
            "aws_region": REGION,
            "refresh_seconds": 3600,
            "kubernetes_api_url": api_server.url,
            "cluster_issuer": ISSUER,
            "service_account": f"mcp-{name}",
            "service_account_token_file": folder / "token",
            "data_directory": folder / "data",
        }
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            running = Running(name, url, file, api_server, s3, bucket, Settings(**values | (settings or {})))
            for key, data in objects.items():
                running.put(key, data)
            config = uvicorn.Config(create_app(running.settings, **app), log_config=None, lifespan="on")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                async with asyncio.timeout(20):
                    while not server.started or (ready and (await running.readyz())[0] != 200):
                        await asyncio.sleep(0.01)
                yield running
            finally:
                server.should_exit = True
                await asyncio.to_thread(thread.join)

    return start


FINANCE_OBJECTS: dict[str, bytes | str] = {"vendors.csv": VENDORS, "rates.csv": RATES}
HR_OBJECTS: dict[str, bytes | str] = {"employees.jsonl": "\n".join(json.dumps(row) for row in EMPLOYEES)}


def legal_objects() -> dict[str, bytes | str]:
    sink = io.BytesIO()
    pq.write_table(pa.table(CONTRACTS), sink)
    return {"contracts.parquet": sink.getvalue()}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def finance(serve: Serve) -> AsyncIterator[Running]:
    """Finance, for tests that change nothing of it."""
    async with serve(FINANCE, FINANCE_OBJECTS) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hr(serve: Serve) -> AsyncIterator[Running]:
    """HR, for tests that change nothing of it."""
    async with serve(HR, HR_OBJECTS) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def legal(serve: Serve) -> AsyncIterator[Running]:
    """Legal, for tests that change nothing of it."""
    async with serve(LEGAL, legal_objects()) as running:
        yield running


@pytest.fixture
def own_finance(serve: Serve) -> Callable[..., AbstractAsyncContextManager[Running]]:
    """A finance of the test's own, to change; takes the options of `serve`."""
    return partial(serve, FINANCE, FINANCE_OBJECTS)


@pytest.fixture
def own_hr(serve: Serve) -> Callable[..., AbstractAsyncContextManager[Running]]:
    return partial(serve, HR, HR_OBJECTS)


@pytest.fixture
def own_legal(serve: Serve) -> Callable[..., AbstractAsyncContextManager[Running]]:
    return partial(serve, LEGAL, legal_objects())

"""A gateway with everything around it."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import orjson
import uvicorn
from aiohttp import web
from botocore.config import Config
from moto.server import ThreadedMotoServer
from services.agentgateway.tests.fakes import FakeApplication, Seen, Sts, UserPool, serving
from services.common.tests.api_server import ISSUER, ApiServer

from agentgateway.main import create_server
from agentgateway.settings import Settings
from common.service_tokens import ServiceIdentitySettings, ServiceTokenVerifier

REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/onprem/FinanceBatch"
APP_ORIGIN = "https://app.example.com"
FINANCE = """
apiVersion: fileprocessing.internal/v1alpha1
kind: Department
metadata: {name: finance, namespace: file-processing}
spec:
  displayName: Finance
  access: {groups: [finance]}
  datasets: [{name: vendors, object: vendors.csv, key: vendor_id}]
"""


@dataclass
class World:
    """What the gateway talks to; every part of it is a real server on loopback."""

    pool: UserPool
    pool_url: str
    cluster: ApiServer
    application: FakeApplication
    application_url: str
    sts: Sts
    sts_url: str
    aws_url: str
    key_id: str
    folder: Path

    def variables(self, port: int, **changes: Any) -> dict[str, str]:
        """The gateway's environment; a change to None leaves a variable out."""
        defaults: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "metrics_port": 0,
            "aws_region": REGION,
            "departments_dir": self.folder / "departments",
            "application_url": self.application_url,
            "public_api_url": f"http://127.0.0.1:{port}",
            "public_app_url": APP_ORIGIN,
            "cognito_issuer": self.pool.issuer,
            "cognito_jwks_url": f"{self.pool_url}/.well-known/jwks.json",
            "cognito_domain_url": self.pool_url,
            "cognito_client_ids": [self.pool.client_id, "cli-client"],
            "cognito_public_client_id": "cli-client",
            "iam_role_groups": {ROLE: ["finance"]},
            "sts_endpoint_url": self.sts_url,
            "gateway_signing_key_id": self.key_id,
            "exchanges_table": "exchanges",
            "rate_limit": "100000/second",
            "exchange_rate_limit": "100000/second",
            "kubernetes_api_url": self.cluster.url,
            "cluster_issuer": ISSUER,
            "service_account": "agentgateway",
            "service_account_token_file": self.folder / "token",
        }
        values = {name: value for name, value in (defaults | changes).items() if value is not None}
        return {
            name.upper(): value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
            for name, value in values.items()
            if not isinstance(value, Path)
        } | {name.upper(): str(value) for name, value in values.items() if isinstance(value, Path)}

    def settings(self, port: int, **changes: Any) -> Settings:
        """The gateway's settings, as it reads them itself."""
        return Settings(**_read(self.variables(port, **changes)))


def _read(variables: dict[str, str]) -> dict[str, Any]:
    texts = {"PUBLIC_API_URL", "RATE_LIMIT", "HOST"}
    found: dict[str, Any] = {}
    for name, value in variables.items():
        structured = value.startswith(("[", "{")) and name not in texts
        found[name.lower()] = orjson.loads(value) if structured else value
    return found


def authorization(world: World, **claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {world.pool.token(None, **claims)}"}


def last(application: FakeApplication) -> Seen:
    return application.seen[-1]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


def listening_socket() -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    return bound


@asynccontextmanager
async def running_gateway(world: World, **changes: Any) -> AsyncIterator[str]:
    """A gateway in this process; its address."""
    bound = listening_socket()
    port = bound.getsockname()[1]
    server = create_server(world.settings(port, **changes))
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await started(server, task)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
        bound.close()


async def started(server: uvicorn.Server, task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(20):
        while not server.started and not task.done():
            await asyncio.sleep(0.02)
    assert server.started


@dataclass
class Process:
    """A gateway in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def records(self, event: str) -> list[dict[str, Any]]:
        """What it logged under that name."""
        lines = (orjson.loads(line) for line in self.log.read_bytes().splitlines())
        return [line for line in lines if line.get("event") == event]


@asynccontextmanager
async def gateway_process(world: World, **changes: Any) -> AsyncIterator[Process]:
    """A gateway as it runs in production, ready to work."""
    with listening_socket() as bound:
        port = bound.getsockname()[1]
    log = world.folder / f"gateway-{port}.log"
    process = start_process(world.variables(port, **changes), log)
    try:
        url = f"http://127.0.0.1:{port}"
        await answers(f"{url}/readyz", process, log)
        yield Process(url, process, log)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


def start_process(variables: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "agentgateway"],
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


async def answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        while True:
            assert process.poll() is None, f"the gateway ended; see {log}"
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


@asynccontextmanager
async def build_world(folder: Path) -> AsyncIterator[World]:
    """Start everything but the gateway."""
    (folder / "departments").mkdir()
    (folder / "departments" / "finance.yaml").write_text(FINANCE)
    (folder / "token").write_text("own-token\n")
    async with AsyncExitStack() as stack:
        cluster = ApiServer()
        cluster.url = await stack.enter_async_context(serving(cluster_app(cluster)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        identity = ServiceIdentitySettings(
            kubernetes_api_url=cluster.url,
            cluster_issuer=ISSUER,
            service_account="application",
            service_account_token_file=folder / "token",
        )
        accepted = frozenset({"agentgateway"})
        application = FakeApplication(
            ServiceTokenVerifier(identity, session, audience="application", allowed_callers=accepted)
        )
        application_url = await stack.enter_async_context(serving(application.app()))
        pool, sts = UserPool(), Sts()
        pool_url = await stack.enter_async_context(serving(pool.app()))
        sts_url = await stack.enter_async_context(serving(sts.app()))
        aws = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        await asyncio.to_thread(aws.start)
        stack.callback(aws.stop)
        host, port = aws.get_host_and_port()
        aws_url = f"http://{host}:{port}"
        key_id = await asyncio.to_thread(seed, aws_url)
        yield World(pool, pool_url, cluster, application, application_url, sts, sts_url, aws_url, key_id, folder)


def cluster_app(cluster: ApiServer) -> web.Application:
    app = web.Application()
    app.router.add_get("/openid/v1/jwks", cluster.jwks)
    app.router.add_post("/api/v1/namespaces/file-processing/serviceaccounts/{name}/token", cluster.token)
    return app


def seed(aws_url: str) -> str:
    """Make the signing key and the table."""
    config = Config(retries={"total_max_attempts": 1})
    kms = boto3.client("kms", region_name=REGION, endpoint_url=aws_url, config=config)
    dynamodb = boto3.client("dynamodb", region_name=REGION, endpoint_url=aws_url, config=config)
    # All of moto's servers in one process have the same tables.
    with suppress(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(
            TableName="exchanges",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    key_id = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.close()
    dynamodb.close()
    return key_id

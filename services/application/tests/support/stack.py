"""The API and workers as real processes on a real server of moto's, with departments on the official SDK."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import psutil
import urllib3
from aiohttp import web
from services.application.tests.support.background import BackgroundLoop
from services.application.tests.support.departments import DepartmentServer, FakeDataset, FakeDepartment
from services.application.tests.support.fault_proxy import FaultProxy
from services.application.tests.support.watched import MARK
from services.common.tests.api_server import ISSUER, ApiServer

WATCHED: Final = Path(__file__).with_name("watched.py")
REGION: Final = "eu-central-1"
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
QUICK = {
    "RECEIVE_SECONDS": "1",
    "VISIBILITY_SECONDS": "5",
    "HEARTBEAT_SECONDS": "0.2",
    "SILENT_SECONDS": "3",
    "SWEEP_SECONDS": "1",
    "RETRY_SECONDS": "0.5",
    "EVENTS_POLL_SECONDS": "0.1",
    "DEPARTMENT_SECONDS": "3",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], seconds: float = 20, what: str = "it") -> Any:
    deadline, pause = time.monotonic() + seconds, 0.02
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(pause)
        pause = min(1.5 * pause, 0.3)  # what asks is work for the same processors
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Process:
    """A process of ours, whose output is kept in a file."""

    def __init__(self, module: str, environment: dict[str, str], log: Path) -> None:
        """A module of the application's is watched: its event loop must never be blocked."""
        self.log = log
        command = [str(WATCHED), *module.split()] if module.startswith("application.") else ["-m", *module.split()]
        self._file = log.open("ab")
        self.popen = subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            env={**os.environ, **AWS, **environment},
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(10)
        self._file.close()

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self._file.close()

    def blocked(self) -> list[str]:
        """Each time the event loop was blocked, and where."""
        return self.output().split(MARK)[1:]

    def memory(self) -> int:
        return int(psutil.Process(self.popen.pid).memory_info().rss)


@contextmanager
def moto_server(log: Path) -> Iterator[str]:
    port = free_port()
    # moto keeps a request log of all bodies unless it is told not to.
    process = Process(f"moto.server -p {port}", {"MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": "1000000"}, log)
    try:
        wait_until(lambda: is_open(port), 30, "moto's start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Platform:
    """What every stack stands on: AWS behind a proxy that can fail, the cluster's API server, three departments."""

    def __init__(self, aws_url: str, background: BackgroundLoop, folder: Path) -> None:
        self.aws_url = aws_url
        self.folder = folder
        self.background = background
        self.proxy = FaultProxy(aws_url)
        self.cluster = ApiServer()
        self.departments = {department.name: department for department in make_departments()}
        self._servers = [DepartmentServer(department) for department in self.departments.values()]
        self.token_file = folder / "token"
        self.token_file.write_text("own-token")

    async def start(self) -> None:
        await self.proxy.start()
        app = web.Application()
        app.router.add_get("/openid/v1/jwks", self.cluster.jwks)
        app.router.add_post("/api/v1/namespaces/file-processing/serviceaccounts/{name}/token", self.cluster.token)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.cluster.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        for server in self._servers:
            await server.start()

    async def stop(self) -> None:
        for server in self._servers:
            await server.stop()
        await self._runner.cleanup()
        await self.proxy.stop()

    def behave(self) -> None:
        """All is well again."""
        self.proxy.clear()
        for department in self.departments.values():
            department.behave()
            department.calls.clear()


def make_departments() -> list[FakeDepartment]:
    vendors = FakeDataset(
        key="vendor_id",
        columns=("name", "country", "bank_account"),
        rows={
            f"V-{number:05d}": {"name": f"Vendor {number}", "country": "NL", "bank_account": f"NL{number:08d}"}
            for number in range(20_000)
        },
        aliases=("vendor", "supplier_id"),
        pattern="^V-[0-9]{5}$",
        restricted=("bank_account",),
    )
    employees = FakeDataset(
        key="employee_id",
        columns=("name", "email"),
        rows={
            f"E-{number:05d}": {"name": f"Person {number}", "email": f"p{number}@x.example"} for number in range(500)
        },
        aliases=("buyer", "approver"),
        pattern="^E-[0-9]{5}$",
    )
    contracts = FakeDataset(
        key="contract_id", columns=("title",), rows={"C-00001": {"title": "=SUM(A1)"}}, pattern="^C-[0-9]{5}$"
    )
    return [
        FakeDepartment("finance", frozenset({"finance"}), {"vendors": vendors}, frozenset({"finance-leads"})),
        FakeDepartment("hr", frozenset({"hr"}), {"employees": employees}),
        FakeDepartment("legal", frozenset({"legal"}), {"contracts": contracts}),
    ]


class Stack:
    """One application: its own bucket, queue and table; one API; workers as a test starts them."""

    def __init__(self, platform: Platform, name: str, **settings: str) -> None:
        self.platform = platform
        self.name = name
        self.folder = platform.folder / name
        self.folder.mkdir()
        self.departments_dir = self.folder / "departments"
        self.departments_dir.mkdir()
        for department in platform.departments.values():
            self.publish(department)
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        self.s3 = session.client("s3", endpoint_url=platform.aws_url)
        self.sqs = session.client("sqs", endpoint_url=platform.aws_url)
        self.dynamodb = session.client("dynamodb", endpoint_url=platform.aws_url)
        self.bucket, self.table = f"files-{name}", f"jobs-{name}"
        self.queue_url = self._make_aws()
        self.port = free_port()
        self.metrics_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = settings
        self.workers: list[Process] = []
        self.started: list[Process] = []
        self._started = 0

    def publish(self, department: FakeDepartment) -> None:
        file = self.departments_dir / f"{department.name}.yaml"
        new = file.with_suffix(".new")
        new.write_text(department.yaml())
        new.replace(file)

    def _make_aws(self) -> str:
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.dynamodb.create_table(
            TableName=self.table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gsi1pk", "gsi1sk")
            ],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "gsi1",
                    "KeySchema": [
                        {"AttributeName": "gsi1pk", "KeyType": "HASH"},
                        {"AttributeName": "gsi1sk", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        return self.sqs.create_queue(QueueName=f"jobs-{self.name}")["QueueUrl"]

    def environment(self, **more: str) -> dict[str, str]:
        platform = self.platform
        return {
            "AWS_ENDPOINT_URL": platform.proxy.url,
            "AWS_REGION": REGION,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "METRICS_PORT": "0",
            "LOG_LEVEL": "info",
            "KUBERNETES_API_URL": platform.cluster.url,
            "CLUSTER_ISSUER": ISSUER,
            "SERVICE_ACCOUNT": "application",
            "SERVICE_ACCOUNT_TOKEN_FILE": str(platform.token_file),
            "DEPARTMENTS_DIR": str(self.departments_dir),
            "FILES_BUCKET": self.bucket,
            "JOBS_QUEUE_URL": self.queue_url,
            "JOBS_TABLE": self.table,
            **QUICK,
            **self.settings,
            **more,
        }

    def start_api(self) -> None:
        self.api = Process(
            "application.api", self.environment(METRICS_PORT=str(self.metrics_port)), self.folder / "api.log"
        )
        wait_until(self._is_ready, 30, "the API's start")

    def _is_ready(self) -> bool:
        assert self.api.popen.poll() is None, self.api.output()
        try:
            return urllib3.request("GET", f"{self.url}/readyz", retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def start_worker(self, **more: str) -> Process:
        self._started += 1
        environment = self.environment(PORT="0", SERVICE_ACCOUNT="application-worker", **more)
        worker = Process("application.worker", environment, self.folder / f"worker-{self._started}.log")
        self.workers.append(worker)
        self.started.append(worker)
        wait_until(lambda: "worker.started" in worker.output(), 30, "the worker's start")
        return worker

    def wait_until_settled(self, job: str) -> None:
        """Wait until the queue is empty, and of the job there is its result, if it has one, and nothing else."""
        left: dict[str, Any] = {}

        def nothing_left() -> bool:
            item = self.item(f"JOB#{job}", "JOB")
            assert item is not None
            results = [json.loads(item["result"]["S"])["attempt"]] if "result" in item else []
            keys = set(self.keys(f"results/{job}/")) ^ {f"results/{job}/{attempt}" for attempt in results}
            keys -= {f"results/{job}/{attempt}.misses" for attempt in results}
            found = {"messages": self.messages(), "uploads": self.multipart_uploads(), "keys": keys}
            left.update(found, active="gsi1pk" in item)
            return not any(left.values())

        try:
            wait_until(nothing_left, 30)
        except AssertionError:
            raise AssertionError(f"left of job {job}: {left}") from None

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.workers.clear()

    def keys(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def multipart_uploads(self, prefix: str = "") -> list[str]:
        listed = self.s3.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Uploads", [])]

    def item(self, pk: str, sk: str) -> dict[str, Any] | None:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        return self.dynamodb.get_item(TableName=self.table, Key=key).get("Item")

    def change(self, job: str, **attributes: dict[str, str]) -> None:
        """Make the item of a job what time or a crash would have made it."""
        self.dynamodb.update_item(
            TableName=self.table,
            Key={"pk": {"S": f"JOB#{job}"}, "sk": {"S": "JOB"}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
            ExpressionAttributeNames={f"#{name}": name for name in attributes},
            ExpressionAttributeValues={f":{name}": value for name, value in attributes.items()},
        )

    def messages(self) -> int:
        """How many messages there are, those in hand included."""
        counts = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["All"])["Attributes"]
        return int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesNotVisible"])

    def send(self, job: str) -> None:
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=f'{{"job": "{job}"}}')


@contextmanager
def running_stack(platform: Platform, name: str, **settings: str) -> Iterator[Stack]:
    stack = Stack(platform, f"{re.sub('[^a-z0-9]', '-', name)}-{uuid.uuid4().hex[:8]}", **settings)
    try:
        stack.start_api()
        yield stack
    finally:
        stack.stop_workers()
        stack.api.stop()
    blocked = {process.log.name: times for process in (stack.api, *stack.started) if (times := process.blocked())}
    assert not blocked, blocked

"""Gateway in the loop: it watches a real API server, as the ServiceAccount that it is, and follows it at once.

The department's server is a process beside; what the operator would write of it, its endpoint, the test writes.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
import pytest_asyncio
import urllib3
import yaml
from services.agentgateway.tests.world import Process, World, build_world, gateway_process, running_gateway
from tests.operator.world import wait_for_definition

from local.kubernetes.control_plane import NAMESPACE, ControlPlane, free_ports
from local.kubernetes.kubectl import wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Stand-ins for S3 in one process share what they hold: the name is not that of the other tests.
BUCKET = "data-of-research"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}


def department(name: str, *groups: str) -> dict[str, Any]:
    return {
        "apiVersion": "fileprocessing.internal/v1alpha1",
        "kind": "Department",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "displayName": name.title(),
            "access": {"groups": list(groups)},
            "datasets": [{"name": "samples", "object": "samples.csv", "key": "sample_id"}],
        },
    }


def rights(account: str) -> list[dict[str, Any]]:
    """The ServiceAccount with no more rights than it needs: to watch departments, and to get tokens for itself."""
    metadata = {"name": account, "namespace": NAMESPACE}
    rules = [
        {"apiGroups": ["fileprocessing.internal"], "resources": ["departments"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [account], "verbs": ["create"]},
    ]
    api = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
        },
    ]


class Cluster:
    """A real API server with the Department's definition, and what its services need to know of it."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.kubectl = plane.kubectl
        self._folder = folder
        self.kubectl.run("create", "namespace", NAMESPACE)
        self.kubectl.apply(ROOT / "base/department-operator/crd/customresourcedefinition.yaml")
        wait_for_definition(self.kubectl)
        self.kubectl.apply(*rights("agentgateway"), *rights("mcp-research"))
        configuration = json.loads(self.kubectl.run("config", "view", "--raw", "--flatten", "-o", "json"))
        self._cluster = configuration["clusters"][0]["cluster"]
        self._issuer = json.loads(self.kubectl.run("get", "--raw", "/.well-known/openid-configuration"))["issuer"]

    def identity(self, account: str) -> dict[str, str]:
        """What the kubelet and `aws-facts` would tell a service of that account."""
        ca, token = self._folder / "ca.crt", self._folder / f"token-{account}"
        ca.write_bytes(base64.b64decode(self._cluster["certificate-authority-data"]))
        self.put_token(account, token)
        return {
            "kubernetes_api_url": self._cluster["server"],
            "kubernetes_ca_file": str(ca),
            "cluster_issuer": self._issuer,
            "service_account": account,
            "service_account_token_file": str(token),
        }

    def put_token(self, account: str, file: Path) -> None:
        """Write a token of that account where a service looks for its own."""
        file.write_text(self.kubectl.run("create", "token", account, "--duration=1h"))


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return Cluster(control_plane, tmp_path_factory.mktemp("cluster"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in AWS.items():
            patch.setenv(name, value)
        async with build_world(tmp_path_factory.mktemp("world")) as built:
            patch.setenv("AWS_ENDPOINT_URL", built.aws_url)
            yield built


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(world: World, cluster: Cluster) -> AsyncIterator[Process]:
    """The gateway as it runs in the cluster: no directory of departments."""
    identity = await asyncio.to_thread(cluster.identity, "agentgateway")
    async with gateway_process(world, departments_dir=None, **identity) as process:
        yield process


@contextmanager
def department_server(world: World, cluster: Cluster, folder: Path) -> Iterator[str]:
    """The server of `research`, as a process with data; its endpoint."""
    s3 = boto3.client("s3", region_name="us-east-1", endpoint_url=world.aws_url)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="departments/mcp-research/samples.csv", Body=b"sample_id,name\nS-1,Rock\n")
    s3.close()
    file = folder / "research.yaml"
    file.write_text(yaml.safe_dump(department("research", "scientists")))
    port, metrics_port = free_ports(2)
    variables = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "DEPARTMENT": "research",
        "DEPARTMENT_FILE": str(file),
        "DEPARTMENT_DATA_BUCKET": BUCKET,
        "DATA_DIRECTORY": str(folder / "mcp-research"),
        "AWS_REGION": "us-east-1",
        **{name.upper(): value for name, value in cluster.identity("mcp-research").items()},
    }
    with (folder / "mcp-research.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mcp_server"], env={**os.environ, **variables}, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 30, "the department's server is ready")
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture(scope="module")
def endpoint(world: World, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with department_server(world, cluster, tmp_path_factory.mktemp("research")) as served:
        yield served


class Face:
    """The gateway's MCP interface, as people of some groups see it."""

    def __init__(self, gateway: Process, world: World, session: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._world = world
        self._session = session

    async def ask(self, group: str, message: dict[str, Any]) -> dict[str, Any]:
        token = self._world.pool.token(None, sub=f"user-of-{group}", **{"cognito:groups": [group]})
        headers = {
            "authorization": f"Bearer {token}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2025-06-18",
        }
        async with self._session.post(f"{self._gateway.url}/mcp", json=message, headers=headers) as response:
            text = await response.text()
            assert response.status in {200, 404}, text
            return dict(
                json.loads(text.partition("data: ")[2].partition("\n")[0] if text.startswith("event") else text)
            )

    async def tools(self, group: str) -> set[str]:
        answer = await self.ask(group, LIST)
        return {tool["name"] for tool in answer["result"]["tools"] if not tool["name"].startswith("files_")}

    async def until(self, group: str, condition: Callable[[set[str]], bool], seconds: float = 30) -> float:
        """Poll until the group's tools are so; the seconds that it took."""
        started = time.monotonic()
        async with asyncio.timeout(seconds):
            while not condition(await self.tools(group)):
                await asyncio.sleep(0.05)
        return time.monotonic() - started


@pytest_asyncio.fixture(loop_scope="session")
async def interface(gateway: Process, world: World) -> AsyncIterator[Face]:
    async with aiohttp.ClientSession() as session:
        yield Face(gateway, world, session)


def publish(cluster: Cluster, endpoint: str) -> None:
    cluster.kubectl.apply(department("research", "scientists"))
    status = json.dumps({"status": {"endpoint": endpoint}})
    cluster.kubectl.run("patch", "department", "research", "--subresource=status", "--type=merge", "--patch", status)


async def test_a_new_departments_tools_are_there_for_its_groups_without_a_restart_and_gone_after_its_deletion(
    cluster: Cluster, interface: Face, endpoint: str
) -> None:
    assert await interface.tools("scientists") == set()
    await asyncio.to_thread(publish, cluster, endpoint)
    seconds = await interface.until("scientists", lambda tools: "research_lookup_samples" in tools)
    print(f"tools of a new department: {seconds:.2f} s after kubectl apply")
    assert await interface.tools("cooks") == set()
    call = {"name": "research_lookup_samples", "arguments": {"keys": ["S-1"]}}
    answer = await interface.ask("scientists", {**LIST, "method": "tools/call", "params": call})
    assert answer["result"]["structuredContent"]["rows"][0]["values"] == {"name": "Rock"}
    refused = await interface.ask("cooks", {**LIST, "method": "tools/call", "params": call})
    assert "result" not in refused

    await asyncio.to_thread(cluster.kubectl.delete, "department", "research")
    seconds = await interface.until("scientists", lambda tools: not tools)
    print(f"tools of a deleted department: gone {seconds:.2f} s after kubectl delete")
    answer = await interface.ask("scientists", {**LIST, "method": "tools/call", "params": call})
    assert "result" not in answer


async def test_a_change_of_groups_counts_without_a_restart(cluster: Cluster, interface: Face, endpoint: str) -> None:
    await asyncio.to_thread(publish, cluster, endpoint)
    await interface.until("scientists", lambda tools: "research_lookup_samples" in tools)
    change = {"spec": {"access": {"groups": ["engineers"]}}}
    await asyncio.to_thread(cluster.kubectl.patch, "department", "research", change)
    await interface.until("scientists", lambda tools: not tools)
    await asyncio.to_thread(cluster.kubectl.delete, "department", "research")


async def test_an_api_server_that_is_away_takes_nothing_with_it_and_what_changed_is_caught_up(
    cluster: Cluster, interface: Face, endpoint: str, gateway: Process
) -> None:
    await asyncio.to_thread(publish, cluster, endpoint)
    await interface.until("scientists", lambda tools: "research_lookup_samples" in tools)
    plane = cluster.plane
    await asyncio.to_thread(plane.kill, "kube-apiserver")
    await asyncio.to_thread(wait_for, lambda: gateway.records("departments.watch_failed"), 30, "the gateway notices")
    assert "research_lookup_samples" in await interface.tools("scientists")
    plane.start_again("kube-apiserver")
    await asyncio.to_thread(plane.wait_until_ready)
    await asyncio.to_thread(cluster.kubectl.delete, "department", "research")
    seconds = await interface.until("scientists", lambda tools: not tools, 60)
    print(f"caught up {seconds:.2f} s after the API server was back")


async def test_a_gateway_that_may_not_watch_says_that_it_is_not_ready_until_it_may(
    world: World, cluster: Cluster
) -> None:
    stranger = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stranger", "namespace": NAMESPACE}}
    await asyncio.to_thread(cluster.kubectl.apply, stranger)
    identity = await asyncio.to_thread(cluster.identity, "agentgateway")
    file = Path(identity["service_account_token_file"])
    await asyncio.to_thread(cluster.put_token, "stranger", file)
    async with (
        running_gateway(world, departments_dir=None, **identity) as url,
        aiohttp.ClientSession() as session,
    ):
        assert await checks(session, url) == (503, False)
        await asyncio.to_thread(cluster.put_token, "agentgateway", file)
        async with asyncio.timeout(30):
            while await checks(session, url) != (200, True):
                await asyncio.sleep(0.1)


async def checks(session: aiohttp.ClientSession, url: str) -> tuple[int, bool]:
    """Status of the gateway's readiness, and whether it knows the departments."""
    async with session.get(f"{url}/readyz") as response:
        return response.status, (await response.json())["checks"]["departments"]

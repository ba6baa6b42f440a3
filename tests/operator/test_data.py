"""A department whose data is not in S3 yet says so, and becomes ready when it comes. Its server is the real one."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest
from tests.operator.world import NOWHERE, REGION, OperatorProcess, World, department

from local.aws.server import create_app, serving
from local.kubernetes.control_plane import NAMESPACE, free_ports
from local.kubernetes.kubectl import wait_for

pytestmark = pytest.mark.slow

BUCKET = "department-data"
ADDRESS = "127.77.0.10"
NAME = "late"
DATASETS = [
    {"name": "vendors", "object": "vendors.csv", "key": "vendor_id", "search": ["name"]},
    {"name": "rates", "object": "rates.jsonl", "key": "currency"},
]


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[Any, str]]:
    with serving(create_app(), 0) as aws:
        url = f"http://127.0.0.1:{aws.port}"
        client = boto3.client(
            "s3", endpoint_url=url, region_name=REGION, aws_access_key_id="local", aws_secret_access_key="local"
        )
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client, url
        client.close()


@contextmanager
def server(cluster: World, aws: str, folder: Path) -> Iterator[None]:
    """The department's server, as its pod would run it: what it reads of the cluster is the cluster's."""
    kubectl = cluster.kubectl
    issuer = json.loads(kubectl.run("get", "--raw", "/.well-known/openid-configuration"))["issuer"]
    (folder / "token").write_text(kubectl.run("create", "token", f"mcp-{NAME}", "--duration=1h"))
    (folder / "department.yaml").write_text(cluster.objects(NAME)["configmap"]["data"]["department.yaml"])
    configuration = json.loads(kubectl.run("config", "view", "--raw", "--minify", "-o", "json"))
    api = configuration["clusters"][0]["cluster"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBERNETES_"))},
        "DEPARTMENT": NAME,
        "DEPARTMENT_FILE": str(folder / "department.yaml"),
        "DEPARTMENT_DATA_BUCKET": BUCKET,
        "DATA_DIRECTORY": str(folder / "data"),
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "KUBERNETES_API_URL": api["server"],
        "KUBERNETES_CA_FILE": str(_authority(api, folder)),
        "CLUSTER_ISSUER": issuer,
        "NAMESPACE": NAMESPACE,
        "SERVICE_ACCOUNT": f"mcp-{NAME}",
        "SERVICE_ACCOUNT_TOKEN_FILE": str(folder / "token"),
        "HOST": ADDRESS,
        "PORT": "8080",
        "METRICS_PORT": str(free_ports(1)[0]),
        "REFRESH_SECONDS": "0.5",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "mcp_server"], env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: _readyz() in {200, 503}, 60, "the server answers", state=(folder / "log").read_text)
        yield
    finally:
        process.kill()
        process.wait(10)


def _authority(api: dict[str, Any], folder: Path) -> Path:
    if file := api.get("certificate-authority"):
        return Path(file)
    (folder / "ca.crt").write_bytes(base64.b64decode(api["certificate-authority-data"]))
    return folder / "ca.crt"


def _readyz() -> int:
    try:
        return httpx2.get(f"http://{ADDRESS}:8080/readyz", timeout=5).status_code
    except httpx2.HTTPError:
        return 0


def kubelet_says(cluster: World, *, ready: bool) -> None:
    """The kubelet's part: the pod runs at the server's address, and is as ready as the server says."""
    (pod,) = wait_for(
        lambda: cluster.kubectl.list("pods", selector=f"fileprocessing.internal/department={NAME}"), 30, "the pod"
    )
    times = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    container = {"name": "mcp-server", "ready": ready, "restartCount": 0, "image": "mcp-server:1", "imageID": ""}
    status = {
        "phase": "Running",
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "containerStatuses": [{**container, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}],
        "conditions": [
            {"type": "PodScheduled", "status": "True", **times},
            {"type": "Ready", "status": str(ready), **times},
        ],
    }
    cluster.kubectl.run(
        *("patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": status})),
    )


def message(cluster: World, condition: str) -> str:
    conditions = (cluster.department(NAME) or {})["status"]["conditions"]
    return str(next(line["message"] for line in conditions if line["type"] == condition))


def test_a_department_without_data_says_so_and_becomes_ready_when_it_comes(
    cluster: World, operator: OperatorProcess, s3: tuple[Any, str], tmp_path: Path
) -> None:
    storage, aws = s3
    cluster.kubectl.apply(department(NAME, datasets=DATASETS, server=NOWHERE))
    cluster.wait_for_objects(NAME)
    with server(cluster, aws, tmp_path):
        kubelet_says(cluster, ready=False)
        document = cluster.wait_for_reason(NAME, 60, DataAvailable="DataMissing", Ready="DataMissing")
        wait_for(lambda: "vendors.csv is not in the department's folder" in message(cluster, "Ready"), 60, "which")
        assert "rates.jsonl is not in the department's folder" in message(cluster, "Ready")
        assert document["status"]["toolCount"] == len(document["status"]["tools"]) >= 4
        assert wait_for(lambda: cluster.events(NAME, "DataMissing"), 10, "an event")

        storage.put_object(Bucket=BUCKET, Key=f"departments/mcp-{NAME}/vendors.csv", Body=b"vendor_id,name\nV-1,Acme\n")
        wait_for(lambda: "vendors.csv" not in message(cluster, "Ready"), 90, "half of it is noticed")
        assert "rates.jsonl" in message(cluster, "Ready")

        storage.put_object(Bucket=BUCKET, Key=f"departments/mcp-{NAME}/rates.jsonl", Body=b'{"currency": "EUR"}\n')
        wait_for(lambda: _readyz() == 200, 30, "the server is ready")
        kubelet_says(cluster, ready=True)
        ready = cluster.wait_for_reason(NAME, 30, DataAvailable="Loaded", Ready="Serving")

    wait_for(
        lambda: all(each["available"] for each in (cluster.department(NAME) or {})["status"]["datasets"]), 30, "both"
    )
    tools = {f"{NAME}_{tool}" for tool in ("describe_datasets", "lookup_vendors", "search_vendors", "lookup_rates")}
    assert tools <= set(ready["status"]["tools"])
    row = cluster.kubectl.run("get", "departments", NAME, "--no-headers").split()
    assert row[:4] == [NAME, "True", str(len(ready["status"]["tools"])), f"http://mcp-{NAME}:8080/mcp"]
    cluster.remove(NAME)

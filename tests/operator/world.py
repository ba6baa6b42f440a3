"""A real control plane with simulated nodes, the operator as a process with its own rights, and EKS stood in for."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from local.aws.pod_identity import PodIdentityAssociations
from local.aws.server import serving
from local.kubernetes.control_plane import NAMESPACE, ControlPlane, free_ports
from local.kubernetes.kubectl import Kubectl, Object, wait_for
from local.kubernetes.tools import tool

ROOT = Path(__file__).parents[2]
CLUSTER_NAME = "test-file-processing"
ROLE = "arn:aws:iam::123456789012:role/test-department"
REGION = "eu-central-1"
KINDS = (
    "serviceaccount",
    "configmap",
    "deployment",
    "service",
    "horizontalpodautoscaler",
    "poddisruptionbudget",
    "networkpolicy",
    "role",
    "rolebinding",
)


def spec(**changes: Any) -> dict[str, Any]:
    """A specification that is right, with changes."""
    return {
        "displayName": "Finance",
        "access": {"groups": ["finance"]},
        "datasets": [{"name": "vendors", "object": "vendors.csv", "key": "vendor_id"}],
    } | changes


def department(name: str, **changes: Any) -> Object:
    """A Department that is right, with changes to its specification."""
    return {
        "apiVersion": "fileprocessing.internal/v1alpha1",
        "kind": "Department",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec(**changes),
    }


def built(folder: str) -> list[Object]:
    """The objects of a kustomization."""
    text = subprocess.run([tool("kustomize"), "build", ROOT / folder], capture_output=True, check=True).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def conditions(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Type of each condition and its reason."""
    lines = (found or {}).get("status", {}).get("conditions", [])
    return {line["type"]: line["reason"] for line in lines}


def content(document: Mapping[str, Any], name: str) -> Object:
    """All that the operator decides of an object, without what differs from one department to the next anyway."""
    spec = dict(document.get("spec", {}))
    for allocated in ("clusterIP", "clusterIPs", "replicas"):
        spec.pop(allocated, None)
    metadata = document["metadata"]
    annotations = {
        key: value
        for key, value in metadata.get("annotations", {}).items()
        if key.startswith("fileprocessing.internal/")
    }
    content = {
        "labels": metadata["labels"],
        "annotations": annotations,
        "owners": [(owner["kind"], owner["name"]) for owner in metadata["ownerReferences"]],
        "spec": spec,
        "data": document.get("data"),
    }
    replaced: Object = json.loads(json.dumps(content).replace(name, "NAME"))
    return replaced


class OperatorProcess:
    """`python -m department_operator` as a process."""

    def __init__(self, kubeconfig: Path, eks: str, log: Path, **settings: str) -> None:
        """Start it; does not wait."""
        self.port, self.metrics_port = free_ports(2)
        self.log = log
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBERNETES_"))},
            "KUBECONFIG": str(kubeconfig),
            "NAMESPACE": NAMESPACE,
            "CLUSTER_NAME": CLUSTER_NAME,
            "DEPARTMENT_ROLE_ARN": ROLE,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_EKS": eks,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "METRICS_PORT": str(self.metrics_port),
            **settings,
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "department_operator"], env=environment, stdout=output, stderr=output
            )

    def wait_until_ready(self) -> None:
        """Wait until it knows the cluster."""
        wait_for(self._ready, 60, "the operator's /readyz", every=0.05, state=self.log.read_text)

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).is_success
        except httpx2.HTTPError:
            return False

    def metric(self, name: str) -> float:
        """The sum of a metric over all its labels."""
        text = httpx2.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).text
        lines = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """As Kubernetes does; its exit status."""
        self.process.terminate()
        return self.process.wait(20)


@dataclass
class World:
    """The cluster, and what runs beside it."""

    plane: ControlPlane
    operator_kubeconfig: Path
    eks: str
    associations: PodIdentityAssociations
    folder: Path
    started: int = 0

    @property
    def kubectl(self) -> Kubectl:
        """As administrator."""
        return self.plane.kubectl

    @contextmanager
    def operator(self, **settings: str) -> Iterator[OperatorProcess]:
        """An operator for as long as the context lasts, whoever else runs one."""
        process = self.start_operator(**settings)
        try:
            process.wait_until_ready()
            yield process
        finally:
            process.kill()

    def start_operator(self, **settings: str) -> OperatorProcess:
        """Start one, and do not wait for it."""
        self.started += 1
        log = self.folder / f"operator-{self.started}.log"
        return OperatorProcess(self.operator_kubeconfig, self.eks, log, **settings)

    def objects(self, name: str) -> dict[str, Object]:
        """What there is of a department's nine objects, by kind in lower case."""
        found = self.kubectl.list(",".join(KINDS), selector=f"fileprocessing.internal/department={name}")
        return {each["kind"].lower(): each for each in found}

    def department(self, name: str) -> Object | None:
        """The Department as it is."""
        return self.kubectl.get("department", name)

    def wait_for_reason(self, name: str, seconds: float = 30, **reasons: str) -> Object:
        """Wait until conditions have these reasons, and the status speaks of the specification as it is."""

        def found() -> Object:
            document = self.department(name) or {}
            now = conditions(document)
            current = document.get("status", {}).get("observedGeneration", 0) == document.get("metadata", {}).get(
                "generation"
            )
            return document if current and reasons.items() <= now.items() else {}

        return wait_for(found, seconds, f"{name}: {reasons}", state=lambda: conditions(self.department(name)))

    def wait_for_objects(self, name: str, seconds: float = 30) -> dict[str, Object]:
        """Wait until all nine are there."""

        def found() -> dict[str, Object]:
            now = self.objects(name)
            return now if set(now) == set(KINDS) else {}

        return wait_for(found, seconds, f"the objects of {name}", state=lambda: sorted(self.objects(name)))

    def events(self, name: str, reason: str) -> list[Object]:
        """Events of that reason about a department."""
        found = self.kubectl.list("events")
        return [each for each in found if each["involvedObject"]["name"] == name and each["reason"] == reason]

    def remove(self, *names: str) -> None:
        """Delete departments, and wait until nothing is left of them; the operator need not run."""
        self.kubectl.delete("department", *names)
        for name in names:
            wait_for(lambda name=name: not self.objects(name), 60, f"{name} is gone", state=lambda: "")  # type: ignore[misc]

    def accounts(self) -> set[str]:
        """ServiceAccounts that have an association in EKS."""
        client_url = f"{self.eks}/clusters/{CLUSTER_NAME}/pod-identity-associations"
        found: set[str] = set()
        token: str | None = ""
        while token is not None:
            page = httpx2.get(client_url, params={"nextToken": token or "0"}, timeout=5).json()
            found |= {each["serviceAccount"] for each in page["associations"]}
            token = page.get("nextToken")
        return found


def user_kubeconfig(plane: ControlPlane, file: Path, account: str) -> Path:
    """A kubeconfig of a ServiceAccount in the namespace."""
    token = plane.kubectl.run("create", "token", account, "-n", NAMESPACE, "--duration=3h").strip()
    document = yaml.safe_load(plane.kubeconfig.read_text())
    document["users"] = [{"name": document["users"][0]["name"], "user": {"token": token}}]
    file.write_text(yaml.safe_dump(document))
    return file


NOWHERE = {"resources": {"requests": {"memory": "28Gi"}, "limits": {"memory": "28Gi"}}}
"""The server of a department whose pods never start: no simulated node has so much."""


def node(name: str, zone: str, memory: str) -> Object:
    """A node that kwok simulates."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name},
        },
        "status": {
            "allocatable": {"cpu": "256", "memory": memory, "ephemeral-storage": "8Ti", "pods": "2000"},
            "capacity": {"cpu": "256", "memory": memory, "ephemeral-storage": "8Ti", "pods": "2000"},
        },
    }


def wait_for_definition(kubectl: Kubectl) -> None:
    """Wait until the API server serves Departments; `kubectl wait` fails where there is no condition yet."""
    wait = ("wait", "--for=condition=Established", "crd/departments.fileprocessing.internal", "--timeout=10s")
    wait_for(lambda: kubectl.run(*wait), 30, "the definition of Departments is established")


def prepare(plane: ControlPlane) -> None:
    """The namespace with all its rules but the quota, the schema, the operator's rights, and the PodTemplate."""
    kubectl = plane.kubectl
    kubectl.apply(*(each for each in built("base/namespace") if each["kind"] != "ResourceQuota"))
    wanted = {"CustomResourceDefinition", "ServiceAccount", "Role", "RoleBinding"}
    kubectl.apply(*(each for each in built("base/department-operator") if each["kind"] in wanted))
    wait_for_definition(kubectl)
    kubectl.apply(pod_template("1"))


def pod_template(version: str, **container: Any) -> Object:
    """The PodTemplate with a version of the image, and changes to its container."""
    (template,) = (each for each in built("base/mcp-server") if each["kind"] == "PodTemplate")
    template["template"]["spec"]["containers"][0].update(container, image=f"mcp-server:{version}")
    return template


@contextmanager
def world(folder: Path, *, controllers: bool = True, node_memory: str = "27Gi", **options: Any) -> Iterator[World]:
    """Everything but an operator; without controllers no pod is ever made."""
    folder.mkdir(parents=True, exist_ok=True)
    associations = PodIdentityAssociations(_nothing_else)
    with ControlPlane(folder / "plane", controllers=controllers, **options) as plane, serving(associations, 0) as eks:
        prepare(plane)
        plane.kubectl.apply(*(node(f"node-{zone}", zone, node_memory) for zone in ("a", "b", "c")))
        kubeconfig = user_kubeconfig(plane, folder / "operator.kubeconfig", "department-operator")
        yield World(plane, kubeconfig, f"http://127.0.0.1:{eks.port}", associations, folder)


def _nothing_else(environ: dict[str, Any], _: Any) -> Any:
    raise AssertionError(f"no call of EKS's Pod Identity: {environ['PATH_INFO']}")


def seconds(action: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started

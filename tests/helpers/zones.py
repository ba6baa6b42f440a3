"""An environment's overlays on a real control plane with the real scheduler, and six simulated nodes in three zones."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.addon_crds import definitions
from tests.helpers.kustomize import ROOT, Manifest, build
from tests.helpers.overlays import NAMESPACE, environment_objects, of_kind, overlay, zones

from department_operator.objects import Template, beside_deployment, deployment
from local.kubernetes.control_plane import ControlPlane
from local.kubernetes.kubectl import Kubectl, wait_for
from local.kubernetes.tools import tool

ZONES = ("ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c")
ZONE = "topology.kubernetes.io/zone"
LOST = "fileprocessing.internal/zone-lost"


@dataclass(frozen=True, slots=True)
class Zones:
    """A cluster in which an environment runs."""

    kubectl: Kubectl

    def workloads(self) -> dict[str, Manifest]:
        """The Deployments that an autoscaler owns, by name."""
        scaled = {each["spec"]["scaleTargetRef"]["name"] for each in self.kubectl.list("horizontalpodautoscalers")}
        return {
            each["metadata"]["name"]: each
            for each in self.kubectl.list("deployments")
            if each["metadata"]["name"] in scaled
        }

    def placement(self) -> dict[str, Counter[str]]:
        """For each of them, how many running pods are in which zone."""
        zone_of = {each["metadata"]["name"]: each["metadata"]["labels"][ZONE] for each in self.kubectl.list("nodes")}
        placed: dict[str, Counter[str]] = {name: Counter() for name in self.workloads()}
        owners = {name: each["spec"]["selector"]["matchLabels"].items() for name, each in self.workloads().items()}
        for pod in self.kubectl.list("pods"):
            if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]:
                for name, labels in owners.items():
                    if labels <= pod["metadata"]["labels"].items():
                        placed[name][zone_of[pod["spec"]["nodeName"]]] += 1
        return placed

    def wait_for_replicas(self, count: int, seconds: float = 300) -> None:
        """Wait until each workload has that many replicas, all available and of its newest revision."""

        def settled() -> bool:
            return all(
                each["status"].get("observedGeneration") == each["metadata"]["generation"]
                and each["spec"].get("replicas") == count
                and all(
                    each["status"].get(key) == count for key in ("replicas", "updatedReplicas", "availableReplicas")
                )
                for each in self.workloads().values()
            )

        wait_for(settled, seconds, f"{count} replicas of each", every=1, state=self.placement)

    def scale(self, minimum: int) -> None:
        """Raise the least number of replicas of every autoscaler, as load would."""
        for each in self.kubectl.list("horizontalpodautoscalers"):
            self.kubectl.patch("horizontalpodautoscalers", each["metadata"]["name"], {"spec": {"minReplicas": minimum}})

    def lose(self, zone: str) -> None:
        """Taint the nodes of a zone and evict what runs there, one eviction after another as the budgets allow."""
        self.kubectl.run("taint", "nodes", "--selector", f"{ZONE}={zone}", f"{LOST}=true:NoSchedule")
        self.kubectl.run(
            *(
                "drain",
                "--selector",
                f"{ZONE}={zone}",
                "--ignore-daemonsets",
                "--delete-emptydir-data",
                "--timeout=120s",
            ),
            seconds=130,
        )

    def bring_back(self, zone: str) -> None:
        """Make the nodes of a zone as they were."""
        self.kubectl.run("taint", "nodes", "--selector", f"{ZONE}={zone}", f"{LOST}-")
        self.kubectl.run("uncordon", "--selector", f"{ZONE}={zone}")

    @contextmanager
    def disruptions(self) -> Iterator[list[dict[str, Any]]]:
        """Every state of every PodDisruptionBudget while the context lasts; complete once it has ended."""
        states: list[dict[str, Any]] = []
        command = [str(tool("kubectl")), f"--kubeconfig={self.kubectl.kubeconfig}", f"--namespace={NAMESPACE}"]
        watch = [
            *command,
            "get",
            "poddisruptionbudgets",
            "--watch",
            "--output=jsonpath={.metadata.name} {.status}{'\\n'}",
        ]
        with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield states
            finally:
                process.terminate()
            for line in process.stdout:
                name, _, status = line.partition(" ")
                states.append({"name": name, **json.loads(status)})


def node(zone: str, number: int) -> Manifest:
    """A node that kwok keeps alive, as large as an m7i.4xlarge."""
    name = f"{zone}-{number}"
    size = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    labels = {ZONE: zone, "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": size, "allocatable": size},
    }


def autoscaler_of_keda(scaled: Manifest) -> Manifest:
    """What KEDA makes of a ScaledObject, with the metric that needs no adapter."""
    name, spec = scaled["metadata"]["name"], scaled["spec"]
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"keda-hpa-{name}", "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", **spec["scaleTargetRef"]},
            "minReplicas": spec["minReplicaCount"],
            "maxReplicas": spec["maxReplicaCount"],
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }


def department_objects(kubectl: Kubectl, environment: str) -> list[Manifest]:
    """What the operator makes of the environment's Departments, which are applied already."""
    [template] = of_kind(overlay(f"{environment}/mcp-server"), "PodTemplate")
    made: list[Manifest] = []
    for department in kubectl.list("departments"):
        made += beside_deployment(department, zones=zones(environment))
        made.append(deployment(department, Template("1", template["template"]), proves=None))
    return made


@contextmanager
def running(folder: Path, environment: str) -> Iterator[Zones]:
    """A cluster with everything of `overlays/<environment>` applied to it; gone at the end."""
    with ControlPlane(folder, controllers=True) as plane:
        kubectl = plane.kubectl
        manifests = environment_objects(environment)
        kubectl.apply(*(node(zone, number) for zone in ZONES for number in (1, 2)))
        kubectl.apply(*definitions(), *build(ROOT / "base/department-operator/crd"))
        kubectl.apply(*of_kind(manifests, "Namespace"))
        wait_for(lambda: kubectl.apply(*manifests), 120, "everything is taken in")
        kubectl.apply(*map(autoscaler_of_keda, of_kind(manifests, "ScaledObject")))
        kubectl.apply(*department_objects(kubectl, environment))
        yield Zones(kubectl)

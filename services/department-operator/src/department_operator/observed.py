"""What the operator knows of the cluster: only what it decides by, so that 500 departments take little memory."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import orjson

from department_operator.names import DEPARTMENT_LABEL, PROVES_ANNOTATION, REVISION_ANNOTATION

KEPT: Final = ("name", "namespace", "uid", "generation", "resourceVersion", "deletionTimestamp")
VOLATILE: Final = ("resourceVersion", "generation", "managedFields", "creationTimestamp")
DEPLOYMENT_CONTROLLERS: Final = "deployment.kubernetes.io/revision"


def digest(value: Any) -> str:
    """Tells two JSON values apart; the order of keys does not matter."""
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=10).hexdigest()


def fingerprint(document: Mapping[str, Any]) -> str:
    """Tells two states of an object apart, in all that is not its controllers' to change."""
    content = {key: value for key, value in document.items() if key not in {"metadata", "status"}}
    metadata = {key: value for key, value in document["metadata"].items() if key not in VOLATILE}
    if document["kind"] == "Deployment":
        content["spec"] = {key: value for key, value in document["spec"].items() if key != "replicas"}
        annotations = metadata.get("annotations", {})
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != DEPLOYMENT_CONTROLLERS}
    return digest([metadata, content])


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """A Department as it is kept: without `managedFields` and what else of its metadata nobody here reads."""
    return {**document, "metadata": {key: value for key, value in document["metadata"].items() if key in KEPT}}


def version(document: Mapping[str, Any]) -> int:
    """The resource version; larger is later (Kubernetes 1.35, KEP-5504)."""
    return int(document["metadata"]["resourceVersion"])


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A department's Deployment, as far as roll-outs and conditions go.

    Attributes:
        revision: Of the PodTemplate that it is built from.
        proves: That revision, if the department served when it was given to it.
        available: Replicas that are ready.
        updated: Whether all replicas are of the newest kind; no older one goes before a newer one is ready.
        stuck: Whether new pods have had all the time they may take.
        refusal: Why the API server refuses pods, if it does.
    """

    revision: str
    proves: str | None
    available: int
    updated: bool
    stuck: bool
    refusal: str | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "DeploymentState":
        """As the API server has it."""
        annotations = document["metadata"].get("annotations", {})
        status = document.get("status", {})
        conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
        failure = conditions.get("ReplicaFailure", {})
        observed = status.get("observedGeneration", 0) >= document["metadata"].get("generation", 1)
        wanted = document["spec"].get("replicas", 1)
        counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas")]
        return cls(
            revision=annotations.get(REVISION_ANNOTATION, ""),
            proves=annotations.get(PROVES_ANNOTATION),
            available=status.get("availableReplicas", 0),
            updated=observed and counts == [wanted, wanted],
            stuck=observed and conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded",
            refusal=failure.get("message") if failure.get("status") == "True" else None,
        )


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod of a department.

    Attributes:
        address: Host and port of its server, once it has started.
        problem: Why it does not start, in the words of the kubelet or the scheduler.
        restarts: How often the server was started again.
    """

    address: str | None
    ready: bool
    problem: str | None
    restarts: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "PodState":
        """As the API server has it."""
        status = document.get("status", {})
        conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
        containers = status.get("containerStatuses", [])
        started = bool(containers) and all("running" in container.get("state", {}) for container in containers)
        waiting = [container["state"]["waiting"] for container in containers if "waiting" in container.get("state", {})]
        problem = next(
            (f"{wait['reason']}: {wait.get('message', 'no message')}" for wait in waiting if _is_problem(wait)), None
        )
        scheduled = conditions.get("PodScheduled", {})
        if problem is None and scheduled.get("status") == "False":
            problem = f"{scheduled.get('reason', 'Unschedulable')}: {scheduled.get('message', 'no message')}"
        ports = [port for container in document["spec"]["containers"] for port in container.get("ports", [])]
        port = next((port["containerPort"] for port in ports if port.get("name") == "http"), None)
        ip = status.get("podIP")
        return cls(
            address=f"{f'[{ip}]' if ':' in ip else ip}:{port}" if started and ip and port else None,
            ready=conditions.get("Ready", {}).get("status") == "True",
            problem=problem,
            restarts=sum(container.get("restartCount", 0) for container in containers),
        )


def _is_problem(waiting: Mapping[str, Any]) -> bool:
    return waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What a server said of itself at `/readyz`.

    Attributes:
        toolset: The one that its tools are of.
        tools: For callers who may see all.
        datasets: Name, and why no version of its data is served, or None.
        problem: Why it is not ready, if not for its data.
    """

    ready: bool
    toolset: str | None
    tools: tuple[str, ...]
    datasets: tuple[tuple[str, str | None], ...]
    problem: str | None

    def fits(self, spec: Mapping[str, Any]) -> bool:
        """Whether the server already goes by this specification."""
        named = [dataset["name"] for dataset in spec["datasets"]]
        return self.toolset == spec.get("toolset", "generic") and [name for name, _ in self.datasets] == named


@dataclass(slots=True)
class Applied:
    """What was applied last, and what the object was then."""

    desired: str
    fingerprint: str
    version: int


Change = tuple[str | None, Mapping[str, Any]]
"""What happened to an object, as a watch says it, and the object."""


@dataclass(slots=True)
class DepartmentState:
    """All that is known of one department, and what is to be done for it.

    Attributes:
        document: Its `Department`; None before it was seen, and after it was deleted.
        pods: By name.
        server: What its server said last.
        applied: What was applied last, by kind.
        in_flight: Kinds that are being applied, with what the watch said of them meanwhile.
        outdated: Whether what is made for it may differ from what it should be.
        vanished: Whether something of it was deleted, so that its `Department` may be gone too.
        repaired: Kinds that others changed, and that are not reported yet.
        invalid: Why the services cannot read its `Department`.
        failures: Why an object could not be made, by kind.
        gone: The `Department` that was deleted, until what it had is cleaned up.
        data_reported: Whether it was said where the deleted department's data stays.
    """

    document: dict[str, Any] | None = None
    deployment: DeploymentState | None = None
    pods: dict[str, PodState] = field(default_factory=dict)
    server: ServerStatus | None = None
    applied: dict[str, Applied] = field(default_factory=dict)
    in_flight: dict[str, list[Change]] = field(default_factory=dict)
    outdated: bool = False
    vanished: bool = False
    repaired: set[str] = field(default_factory=set)
    invalid: str | None = None
    failures: dict[str, str] = field(default_factory=dict)
    gone: Mapping[str, Any] | None = None
    data_reported: bool = False


_UNKNOWN: Final = DepartmentState()


class Observed(defaultdict[str, DepartmentState]):
    """Each department that anything is known of, by its name."""

    def __init__(self) -> None:
        super().__init__(DepartmentState)

    @property
    def departments(self) -> list[str]:
        """The names of those that there is a `Department` of."""
        return [name for name, state in self.items() if state.document is not None]

    @property
    def deployments(self) -> dict[str, DeploymentState]:
        """The Deployments that there are."""
        return {name: state.deployment for name, state in self.items() if state.deployment is not None}

    def peek(self, name: str) -> DepartmentState:
        """To read only: a department of which nothing is known stays unknown."""
        return self.get(name, _UNKNOWN)

    def document(self, name: str) -> dict[str, Any] | None:
        """The `Department`, if there is one."""
        return self.peek(name).document

    def forget(self, name: str) -> None:
        """The department is gone: nothing of it is known any more but what still runs."""
        old = self.pop(name, _UNKNOWN)
        if old.pods:
            self[name] = DepartmentState(pods=old.pods)


def department_of(document: Mapping[str, Any]) -> str | None:
    """The department that an object belongs to, by its label."""
    name: str | None = document["metadata"].get("labels", {}).get(DEPARTMENT_LABEL)
    return name

"""The nine objects of a department, as they should be."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from department_operator.names import (
    API_VERSION,
    CONTAINER,
    DATA_VOLUME,
    DEPARTMENT_FILE,
    DEPARTMENT_LABEL,
    DEPARTMENT_VOLUME,
    GROUP,
    PROVES_ANNOTATION,
    REVISION_ANNOTATION,
    labels,
    selector,
    server_name,
)

CALLERS: Final = ("agentgateway", "application", "application-worker", "department-operator")
"""Who may send to a department's server; the operator asks only whether it is ready."""

TARGET_CPU_PERCENT: Final = 70
PROGRESS_DEADLINE_SECONDS: Final = 300
"""How long new pods may take; a roll-out over the departments has stopped after that."""

ZONE: Final = "topology.kubernetes.io/zone"
HOST: Final = "kubernetes.io/hostname"

RBAC: Final = "rbac.authorization.k8s.io"
READ: Final = ("get", "list", "watch")
LOOKED_AT: Final = {
    "": ("configmaps", "serviceaccounts", "services"),
    "apps": ("deployments",),
    "autoscaling": ("horizontalpodautoscalers",),
    "networking.k8s.io": ("networkpolicies",),
    "policy": ("poddisruptionbudgets",),
}
"""What a department's people may read of its server; the operator may, too: nobody can grant what they lack."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Template:
    """One version of the PodTemplate; `revision` tells versions apart."""

    revision: str
    content: Mapping[str, Any]


class UnusableTemplate(Exception):
    """The PodTemplate lacks what the operator fills in; the message says what."""


def beside_deployment(department: Mapping[str, Any], zones: int) -> list[Object]:
    """The seven objects that depend on nothing else.

    Args:
        zones: Availability zones of the environment; the replicas that a Department asks for are those of one zone.
    """
    name = department["metadata"]["name"]
    replicas = department["spec"].get("server", {}).get("replicas", {})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": server_name(name)}
    document = {
        "apiVersion": API_VERSION,
        "kind": "Department",
        "metadata": {"name": name, "namespace": department["metadata"]["namespace"]},
        "spec": department["spec"],
    }
    ports = [{"name": port, "port": number, "targetPort": port} for port, number in (("http", 8080), ("metrics", 9090))]
    callers = {"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": list(CALLERS)}]}
    scaling = {
        "scaleTargetRef": target,
        "minReplicas": zones * replicas.get("min", 1),
        "maxReplicas": zones * replicas.get("max", 4),
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": TARGET_CPU_PERCENT},
                },
            }
        ],
    }
    # What every pod may send is said once, in base/namespace.
    ingress = [{"from": [{"podSelector": callers}], "ports": [{"port": "http", "protocol": "TCP"}]}]
    pods = {"matchLabels": selector(name)}
    return [
        _object(department, "v1", "ServiceAccount", automountServiceAccountToken=False),
        _object(
            department,
            "v1",
            "ConfigMap",
            data={DEPARTMENT_FILE: yaml.safe_dump(document, sort_keys=False, allow_unicode=True)},
        ),
        _object(
            department,
            "networking.k8s.io/v1",
            "NetworkPolicy",
            spec={"podSelector": pods, "policyTypes": ["Ingress"], "ingress": ingress},
        ),
        _object(
            department,
            "v1",
            "Service",
            spec={"type": "ClusterIP", "selector": selector(name), "ports": ports},
        ),
        _object(department, "autoscaling/v2", "HorizontalPodAutoscaler", spec=scaling),
        _object(
            department,
            "policy/v1",
            "PodDisruptionBudget",
            spec={"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": pods},
        ),
        _role(department),
    ]


def _role(department: Mapping[str, Any]) -> Object:
    """The right to look at the department and at what is made for it; a change goes through Git."""
    metadata = department["metadata"]
    name = server_name(metadata["name"])
    looked_at: dict[str, tuple[tuple[str, ...], str]] = {GROUP: (("departments",), metadata["name"])}
    looked_at |= {group: (resources, name) for group, resources in LOOKED_AT.items()}
    rules = [
        {"apiGroups": [group], "resources": [*resources], "resourceNames": [only], "verbs": [*READ]}
        for group, (resources, only) in looked_at.items()
    ]
    return _object(department, f"{RBAC}/v1", "Role", rules=rules)


def role_binding(department: Mapping[str, Any]) -> Object:
    """Gives that right to the department's groups; the API server refuses it until the Role is there."""
    groups = department["spec"]["access"]["groups"]
    return _object(
        department,
        f"{RBAC}/v1",
        "RoleBinding",
        roleRef={"apiGroup": RBAC, "kind": "Role", "name": server_name(department["metadata"]["name"])},
        subjects=[{"apiGroup": RBAC, "kind": "Group", "name": group} for group in groups],
    )


def deployment(department: Mapping[str, Any], template: Template, *, proves: str | None) -> Object:
    """The Deployment. It has no number of replicas: that is the HorizontalPodAutoscaler's.

    Args:
        template: What its pods are made from.
        proves: The template's revision, where the department serves while it is given to it.

    Raises:
        UnusableTemplate: It has no container or no volume to fill in.
    """
    name = department["metadata"]["name"]
    annotations = {REVISION_ANNOTATION: template.revision} | ({PROVES_ANNOTATION: proves} if proves else {})
    pod = _pod(department, template)
    spec = {
        "selector": {"matchLabels": selector(name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
        "revisionHistoryLimit": 3,
        "template": pod,
    }
    return _object(department, "apps/v1", "Deployment", annotations=annotations, spec=spec)


def _pod(department: Mapping[str, Any], template: Template) -> Object:
    name = department["metadata"]["name"]
    server = department["spec"].get("server", {})
    pod: Object = copy.deepcopy(dict(template.content))
    metadata = pod.setdefault("metadata", {})
    metadata.pop("creationTimestamp", None)
    metadata["labels"] = metadata.get("labels", {}) | labels(name)
    spec = pod["spec"]
    spec["serviceAccountName"] = server_name(name)
    container = _named(spec.get("containers", []), CONTAINER, "container")
    asked = server.get("resources", {})
    resources = container.setdefault("resources", {})
    for kind in ("requests", "limits"):
        if kind in asked:
            resources[kind] = resources.get(kind, {}) | asked[kind]
    if "storage" in server:
        for kind in ("requests", "limits"):
            resources.setdefault(kind, {})["ephemeral-storage"] = server["storage"]
        _named(spec.get("volumes", []), DATA_VOLUME, "volume")["emptyDir"] = {"sizeLimit": server["storage"]}
    volume = _named(spec.get("volumes", []), DEPARTMENT_VOLUME, "volume")
    volume.setdefault("configMap", {})["name"] = server_name(name)
    constraints = [_spread(name, HOST, "ScheduleAnyway")]
    if server.get("spreadAcrossZones", True):
        constraints.insert(0, _spread(name, ZONE, "DoNotSchedule"))
    spec["topologySpreadConstraints"] = constraints
    return pod


def _spread(name: str, over: str, otherwise: str) -> Object:
    return {
        "topologyKey": over,
        "maxSkew": 1,
        "whenUnsatisfiable": otherwise,
        "nodeTaintsPolicy": "Honor",  # a zone that is lost is tainted, and then does not count
        "labelSelector": {"matchLabels": {DEPARTMENT_LABEL: name}},
        "matchLabelKeys": ["pod-template-hash"],  # the pods of an older version do not count
    }


def _named(items: list[Object], name: str, what: str) -> Object:
    for item in items:
        if item["name"] == name:
            return item
    raise UnusableTemplate(f"the PodTemplate has no {what} named {name}")


def _object(
    department: Mapping[str, Any],
    api_version: str,
    kind: str,
    annotations: dict[str, str] | None = None,
    **content: Any,
) -> Object:
    metadata = department["metadata"]
    owner = {
        "apiVersion": API_VERSION,
        "kind": "Department",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": False,  # a Department goes at once, whatever becomes of what it owns
    }
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": server_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": labels(metadata["name"]),
            "ownerReferences": [owner],
        }
        | ({"annotations": annotations} if annotations else {}),
        **content,
    }

"""What a cluster with a real node has in the API beside: names, where the API server is, and who enforces policies."""

from typing import Any

from local.kubernetes.kubectl import Object
from local.kubernetes.nodes import SIMULATED
from local.kubernetes.real_node import files, network
from local.kubernetes.real_node.machine import COREDNS_IMAGE

SYSTEM = "kube-system"
RBAC = "rbac.authorization.k8s.io"
DNS = {"k8s-app": "kube-dns"}
# Pods are for the real node; those of a simulated one do nothing, and no Service may lead to them.
TAINT = {"key": next(iter(SIMULATED)), "value": next(iter(SIMULATED.values())), "effect": "NoSchedule"}
COREFILE = """\
.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
    }
    cache 5
    loadbalance
}
"""


def system_objects() -> list[Object]:
    """All of them."""
    return [_api_server(), *_dns(), *_policies()]


def tainted(node: Object) -> Object:
    """A simulated node that takes only who asks for it."""
    return {**node, "spec": {"taints": [TAINT]}}


def _object(kind: str, name: str, api: str = "v1", namespace: str | None = SYSTEM, **content: Any) -> Object:
    metadata = {"name": name} | ({"namespace": namespace, "labels": DNS} if namespace else {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def _account(name: str, rules: list[dict[str, Any]]) -> list[Object]:
    """A ServiceAccount and its rights in all namespaces."""
    subject = {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    return [
        _object("ServiceAccount", name),
        _object("ClusterRole", name, f"{RBAC}/v1", None, rules=rules),
        _object("ClusterRoleBinding", name, f"{RBAC}/v1", None, roleRef=role, subjects=[subject]),
    ]


def _policies() -> list[Object]:
    """Who kube-router is: it runs beside the kubelet, and only reads."""
    core = ["endpoints", "namespaces", "nodes", "pods", "services"]
    reads = {"": core, "discovery.k8s.io": ["endpointslices"], "networking.k8s.io": ["networkpolicies"]}
    rules = [
        {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch"]}
        for group, resources in reads.items()
    ]
    return _account(files.POLICIES_ACCOUNT, rules)


def _api_server() -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": 443, "protocol": "TCP"}],
        "endpoints": [{"addresses": [network.API_SERVER], "conditions": {"ready": True}}],
    }


def _dns() -> list[Object]:
    rules = [
        {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    container = {
        "name": "coredns",
        "image": COREDNS_IMAGE,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 5},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "configuration", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "configuration", "configMap": {"name": "coredns"}}],
    }
    return [
        *_account("coredns", rules),
        _object("ConfigMap", "coredns", data={"Corefile": COREFILE}),
        _object(
            "Deployment",
            "coredns",
            "apps/v1",
            spec={"selector": {"matchLabels": DNS}, "template": {"metadata": {"labels": DNS}, "spec": pod}},
        ),
        _object(
            "Service",
            "kube-dns",
            spec={
                "clusterIP": network.DNS_SERVICE,
                "selector": DNS,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        ),
    ]

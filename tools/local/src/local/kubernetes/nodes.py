"""Simulated nodes: kwok says of their pods what a kubelet would say, and runs nothing."""

from collections.abc import Sequence

from local.kubernetes.kubectl import Object

REGION = "ap-southeast-1"
ZONES = tuple(f"{REGION}{letter}" for letter in "abc")
# kwok manages nodes with this annotation, and no others, so that a real kubelet could join beside them.
SIMULATED = {"kwok.x-k8s.io/node": "fake"}


def nodes(per_zone: int = 2, zones: Sequence[str] = ZONES) -> list[Object]:
    """Nodes of the size that the node groups have: `per_zone` in each of `zones`."""
    return [_node(f"node-{zone[-1]}{number}", zone) for zone in zones for number in range(1, per_zone + 1)]


def _node(name: str, zone: str) -> Object:
    resources = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "80Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            # metrics-server asks kwok, which answers for all nodes at once.
            "annotations": {
                **SIMULATED,
                "metrics.k8s.io/resource-metrics-path": f"/metrics/nodes/{name}/metrics/resource",
            },
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "m7i.2xlarge",
                "topology.kubernetes.io/region": REGION,
                "topology.kubernetes.io/zone": zone,
            },
        },
        "status": {"allocatable": resources, "capacity": resources},
    }

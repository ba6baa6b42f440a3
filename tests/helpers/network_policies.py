"""What NetworkPolicies decide, worked out from their text: the expected side of tests that ask a kernel."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.helpers.overlays import NAMESPACE
from tests.helpers.workspace import settings_of_pods

METRICS = 9090
Policy = Mapping[str, Any]
"""The `spec` of a policy of our namespace."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One end of a flow: a pod of a namespace."""

    namespace: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]


@cache
def flows() -> frozenset[tuple[str, str, int]]:
    """Everything between pods of the namespace that is to be open: caller, called, port; all other flows are closed.

    The programs say it, not the policies: a service's `allowed_callers`, and the addresses among its settings.
    """
    found = set()
    for name, settings in settings_of_pods().items():
        name = "mcp-finance" if name == "mcp-server" else name
        found |= {(caller, name, settings["port"]) for caller in settings.get("allowed_callers", ())}
        for host, port in re.findall(r"http://([a-z{}-]+):(\d+)", " ".join(map(str, settings.values()))):
            found.add((name, host.format(department="finance"), int(port)))
    return frozenset(found)


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects what has these labels."""
    if selector is None:
        return False
    operators: dict[str, Callable[[Any, Any], bool]] = {
        "In": lambda value, values: value in values,
        "NotIn": lambda value, values: value not in values,
        "Exists": lambda value, _: value is not None,
    }
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        operators[each["operator"]](labels.get(each["key"]), each.get("values"))
        for each in selector.get("matchExpressions", [])
    )


def _is_peer(peer: Mapping[str, Any], other: Pod | str) -> bool:
    if isinstance(other, str):
        block = peer.get("ipBlock")
        address = ipaddress.ip_address(other)
        return (
            block is not None
            and address in ipaddress.ip_network(block["cidr"])
            and not any(address in ipaddress.ip_network(each) for each in block.get("except", []))
        )
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != NAMESPACE:
        return False
    return "podSelector" not in peer or selects(peer["podSelector"], other.labels)


def _opens(
    rule: Mapping[str, Any], side: str, other: Pod | str, port: int, names: Mapping[str, int], protocol: str
) -> bool:
    return any(_is_peer(peer, other) for peer in rule[side]) and any(
        names.get(each["port"], each["port"]) == port and each.get("protocol", "TCP") == protocol
        for each in rule["ports"]
    )


def allowed(
    policies: Iterable[Policy],
    direction: str,
    pod: Pod,
    other: Pod | str,
    port: int,
    names: Mapping[str, int],
    protocol: str = "TCP",
) -> bool:
    """Whether the policies of a pod's own side let a flow through.

    Args:
        policies: All of our namespace.
        direction: `Ingress` or `Egress`, as the pod sees it.
        other: Who is at the other end: a pod, or an address outside the cluster.
        names: The ports of whoever is called, by their names.
    """
    selecting = [
        policy
        for policy in policies
        if selects(policy["podSelector"], pod.labels) and direction in policy["policyTypes"]
    ]
    assert selecting, "default-deny selects every pod"
    side = "from" if direction == "Ingress" else "to"
    return any(
        _opens(rule, side, other, port, names, protocol)
        for policy in selecting
        for rule in policy.get(direction.lower(), [])
    )


def passes(policies: Iterable[Policy], source: Pod | str, target: Pod | str, port: int, protocol: str = "TCP") -> bool:
    """Whether a flow comes through: each end that is a pod of ours must let it, and others have no policies."""
    known = list(policies)
    names = target.ports if isinstance(target, Pod) else {}
    ends = (("Egress", source, target), ("Ingress", target, source))
    return all(
        allowed(known, direction, end, other, port, names, protocol)
        for direction, end, other in ends
        if isinstance(end, Pod) and end.namespace == NAMESPACE
    )

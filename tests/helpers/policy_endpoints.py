"""What the VPC CNI makes of NetworkPolicies: addresses with ports, by which its agent judges packets before DNAT.

The first half works as aws/amazon-network-policy-controller-k8s does (ecc7e6a, pkg/resolvers/endpoints.go): rules
become addresses of pods, CIDRs and ClusterIPs. The second half, `opens`, works as aws/aws-network-policy-agent v1.4.3
does (pkg/fwruleprocessor/fw_rule_processor.go): the longest matching prefix alone decides.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.helpers.network_policies import selects

Manifest = Mapping[str, Any]
Port = tuple[str, int | None, int | None]
"""Protocol, first and last port; None means every port."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One EndpointInfo of a PolicyEndpoint; without ports, all of them."""

    cidr: str
    ports: tuple[Port, ...]
    excepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """The objects of a cluster that the controller reads; pods have an address in `status.podIP`."""

    namespaces: Mapping[str, Mapping[str, str]]
    pods: Sequence[Manifest]
    services: Sequence[Manifest]

    def pods_of(self, namespace: str, selector: Manifest | None) -> list[Manifest]:
        """Pods that have an address and have not ended (k8s.IsPodNetworkReady)."""
        return [
            pod
            for pod in self.pods
            if pod["metadata"]["namespace"] == namespace
            and selects(selector or {}, pod["metadata"].get("labels", {}))
            and pod.get("status", {}).get("podIP")
            and pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]

    def namespaces_of(self, peer: Manifest, own: str) -> list[str]:
        """resolvePeerNamespaces."""
        if "namespaceSelector" not in peer:
            return [own]
        return [name for name, labels in self.namespaces.items() if selects(peer["namespaceSelector"], labels)]


def _port(rule: Manifest, number: int | None) -> Port:
    return rule.get("protocol", "TCP"), number, rule.get("endPort", number)


def _container_port(pod: Manifest, rule: Manifest) -> tuple[int, str] | None:
    """LookupContainerPortAndName: a port's number and name; a number that no container declares counts as it is."""
    wanted = rule["port"]
    for container in pod["spec"]["containers"]:
        for each in container.get("ports", []):
            same = (
                each["name" if isinstance(wanted, str) else "containerPort"] == wanted
                if "name" in each
                else (each["containerPort"] == wanted)
            )
            if same and each.get("protocol", "TCP") == rule.get("protocol", "TCP"):
                return each["containerPort"], each.get("name", "")
    return None if isinstance(wanted, str) else (wanted, "")


def _pod_ports(pod: Manifest, rules: Iterable[Manifest]) -> list[Port]:
    """getPortList: a name that the pod has not is left out."""
    found: list[Port] = []
    for rule in rules:
        if "port" not in rule:
            found.append(_port(rule, None))
        elif number := _container_port(pod, rule):
            found.append(_port(rule, number[0]))
    return found


def _numbers(rules: Iterable[Manifest]) -> list[Port]:
    """convertToPolicyInfoPortForCIDRs: names mean nothing for a CIDR."""
    return [_port(rule, rule.get("port")) for rule in rules if not isinstance(rule.get("port"), str)]


def _block(peer: Manifest, ports: Sequence[Port]) -> Endpoint:
    return Endpoint(peer["ipBlock"]["cidr"], tuple(ports), tuple(peer["ipBlock"].get("except", ())))


def _everywhere(ports: Sequence[Port]) -> list[Endpoint]:
    return [Endpoint(cidr, tuple(ports)) for cidr in ("0.0.0.0/0", "::/0")]


def ingress(policy: Manifest, state: State) -> list[Endpoint]:
    """computeIngressEndpoints: named ports are those of the pods that the policy selects."""
    found: list[Endpoint] = []
    namespace = policy["metadata"]["namespace"]
    for rule in policy["spec"].get("ingress") or []:
        rules = rule.get("ports", [])
        if any(isinstance(each.get("port"), str) for each in rules):
            own = state.pods_of(namespace, policy["spec"]["podSelector"])
            ports = sorted({port for pod in own for port in _pod_ports(pod, rules)}, key=repr)
        else:
            ports = _numbers(rules)
        if rules and not ports:
            continue
        if "from" not in rule:
            found += _everywhere(ports)
        for peer in rule.get("from", []):
            if "ipBlock" in peer:
                found.append(_block(peer, ports))
                continue
            for each in state.namespaces_of(peer, namespace):
                pods = state.pods_of(each, peer.get("podSelector"))
                found += [Endpoint(pod["status"]["podIP"], tuple(ports)) for pod in pods]
    return found


def egress(policy: Manifest, state: State) -> list[Endpoint]:
    """computeEgressEndpoints: pods, and ClusterIPs of Services **whose own selector** the peer's selector matches."""
    found: list[Endpoint] = []
    namespace = policy["metadata"]["namespace"]
    for rule in policy["spec"].get("egress") or []:
        rules = rule.get("ports", [])
        numbers = _numbers(rules)
        if "to" not in rule:
            found += _everywhere(numbers) if numbers or not rules else []
        for peer in rule.get("to", []):
            if "ipBlock" in peer:
                found += [_block(peer, numbers)] if numbers or not rules else []
                continue
            for each in state.namespaces_of(peer, namespace):
                for pod in state.pods_of(each, peer.get("podSelector")):
                    if (ports := _pod_ports(pod, rules)) or not rules:
                        found.append(Endpoint(pod["status"]["podIP"], tuple(ports)))
                found += _cluster_ips(peer.get("podSelector") or {}, each, rules, state)
    return found


def _cluster_ips(selector: Manifest, namespace: str, rules: Sequence[Manifest], state: State) -> list[Endpoint]:
    """getMatchingServiceClusterIPs."""
    found: list[Endpoint] = []
    for service in state.services:
        address = service["spec"].get("clusterIP", "")
        if service["metadata"]["namespace"] != namespace or address in ("", "None"):
            continue
        own = service["spec"].get("selector") or {}
        if not selects(selector, own):
            continue
        behind = [pod for pod in state.pods if pod["metadata"]["namespace"] == namespace]
        behind = [pod for pod in behind if own.items() <= pod["metadata"].get("labels", {}).items()]
        ports: list[Port] = []
        for rule in rules:
            if "port" not in rule:
                ports.append(_port(rule, None))
                continue
            listens = _service_port(service, rule, behind)
            named = isinstance(rule["port"], str)
            if listens is not None and (named or not _bypass(service, listens, rule, rules, behind)):
                ports.append((rule.get("protocol", "TCP"), listens, rule.get("endPort", listens)))
        if ports or not rules:
            found.append(Endpoint(address, tuple(ports)))
    return found


def _service_port(service: Manifest, rule: Manifest, behind: Iterable[Manifest]) -> int | None:
    """getMatchingServicePort: the Service's port for what the policy calls the pods' port."""
    protocol, wanted = rule.get("protocol", "TCP"), rule["port"]
    own = [each for each in service["spec"]["ports"] if each.get("protocol", "TCP") == protocol]
    for each in own:
        if each.get("targetPort", each["port"]) == wanted:
            return int(each["port"])
    for pod in behind:
        if known := _container_port(pod, rule):
            for each in own:
                target = each.get("targetPort", each["port"])
                if target == (known[1] if isinstance(target, str) else known[0]):
                    return int(each["port"])
    return None


def _bypass(
    service: Manifest, listens: int, rule: Manifest, rules: Iterable[Manifest], behind: Iterable[Manifest]
) -> bool:
    """hasTargetPortBypass: the Service's named port means, on some pod, a port that the policy does not open."""
    protocol = rule.get("protocol", "TCP")
    own = (each for each in service["spec"]["ports"] if each.get("protocol", "TCP") == protocol)
    names = [each["targetPort"] for each in own if each["port"] == listens and isinstance(each.get("targetPort"), str)]
    if not names:
        return False
    opened = _numbers(each for each in rules if each.get("protocol", "TCP") == protocol)
    known = (_container_port(pod, {"port": names[0], "protocol": protocol}) for pod in behind)
    return any(not _covers(opened, protocol, each[0]) for each in known if each)


def _covers(ports: Iterable[Port], protocol: str, port: int) -> bool:
    return any(
        each == protocol and (first is None or first <= port <= (last if last is not None else first))
        for each, first, last in ports
    )


def opens(endpoints: Sequence[Endpoint], address: str, port: int, protocol: str = "TCP") -> bool:
    """Whether the agent lets a packet pass: the entry of the longest prefix that has the address decides.

    ComputeMapEntriesFromEndpointRules: an entry has the ports of the wider CIDRs that do not except it, and an excepted
    CIDR that no rule names is closed.
    """
    target = ipaddress.ip_address(address)
    entries: dict[Any, list[Endpoint]] = {}
    for each in endpoints:
        entries.setdefault(ipaddress.ip_network(each.cidr, strict=False), []).append(each)
    for each in endpoints:
        for excepted in each.excepted:
            entries.setdefault(ipaddress.ip_network(excepted), [])
    holding = [network for network in entries if network.version == target.version and target in network]
    if not holding:
        return False
    longest = max(holding, key=lambda network: network.prefixlen)
    if not entries[longest]:
        return False
    wider = [
        each
        for network in holding
        for each in entries[network]
        if network == longest
        or not any(longest.network_address in ipaddress.ip_network(excepted) for excepted in each.excepted)
    ]
    return any(not each.ports or _covers(each.ports, protocol, port) for each in wider)

"""Who may reach whom: every pair of pods, and every address that matters, as the NetworkPolicies decide it."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import yaml
from tests.helpers.kustomize import ROOT
from tests.helpers.overlays import ENVIRONMENTS, NAMESPACE, environment_objects, of_kind, pod_templates

from department_operator.objects import beside_deployment

HTTP = {"agentgateway": 8080, "application": 8000, "application-worker": 8000, "frontend": 7860, "mcp-finance": 8080}
METRICS = 9090
"""Everything between pods of the namespace that is open; all other pairs and ports are closed."""
FLOWS = {
    ("frontend", "agentgateway", 8080),
    ("agentgateway", "application", 8000),
    ("agentgateway", "mcp-finance", 8080),
    ("application", "mcp-finance", 8080),
    ("application-worker", "mcp-finance", 8080),
    ("department-operator", "mcp-finance", 8080),
}
PUBLIC, INTERNAL, DATABASE = "10.0.2.17", "10.0.12.17", 5432
API_SERVER, POD_IDENTITY, ENDPOINT, INTERNET = "172.20.0.1", "169.254.170.23", "10.0.13.200", "52.219.40.1"
FAR, ON_PREMISES, OTHER_NETWORKS = "203.0.113.9", "10.200.0.5", ("192.168.1.1", "172.16.5.5", "100.127.0.1")
ANOTHER_POD, INSTANCE_METADATA = "100.64.3.9", "169.254.169.254"
AWS = {(POD_IDENTITY, 80), (ENDPOINT, 443), (INTERNET, 443), (FAR, 443)}
SERVICES = ("agentgateway", "application", "application-worker", "department-operator", "mcp-finance", "frontend")


@dataclass(frozen=True, slots=True)
class Pod:
    """One end of a flow: a pod of a namespace."""

    namespace: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]


@cache
def pods(environment: str) -> dict[str, Pod]:
    found = {}
    for name, template in pod_templates(environment_objects(environment)):
        labels = dict(template["metadata"]["labels"])
        if name == "mcp-server":
            name = "mcp-finance"
            labels |= {"app.kubernetes.io/instance": name, "fileprocessing.internal/department": "finance"}
        ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        found[name] = Pod(NAMESPACE, labels, ports)
    return found


@cache
def policies(environment: str) -> list[dict[str, Any]]:
    manifests = environment_objects(environment)
    [finance] = [each for each in of_kind(manifests, "Department") if each["metadata"]["name"] == "finance"]
    finance = yaml.safe_load(yaml.safe_dump(finance))
    finance["metadata"]["uid"] = "0"
    return [each["spec"] for each in of_kind([*manifests, *beside_deployment(finance)], "NetworkPolicy")]


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
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


def is_peer(peer: Mapping[str, Any], other: Pod | str) -> bool:
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


def opens(
    rule: Mapping[str, Any], side: str, other: Pod | str, port: int, names: Mapping[str, int], protocol: str
) -> bool:
    return any(is_peer(peer, other) for peer in rule[side]) and any(
        names.get(each["port"], each["port"]) == port and each.get("protocol", "TCP") == protocol
        for each in rule["ports"]
    )


def allowed(
    environment: str,
    direction: str,
    pod: Pod,
    other: Pod | str,
    port: int,
    names: Mapping[str, int],
    protocol: str = "TCP",
) -> bool:
    """Whether a policy of the pod's own side lets the flow through."""
    selecting = [
        policy
        for policy in policies(environment)
        if selects(policy["podSelector"], pod.labels) and direction in policy["policyTypes"]
    ]
    assert selecting, "default-deny selects every pod"
    side = "from" if direction == "Ingress" else "to"
    return any(
        opens(rule, side, other, port, names, protocol)
        for policy in selecting
        for rule in policy.get(direction.lower(), [])
    )


def connections(environment: str, direction: str) -> Iterator[tuple[str, str, int]]:
    """What one side's policies would let through, whatever the other's say."""
    known = pods(environment)
    for source, caller in known.items():
        for target, receiver in known.items():
            ends = (caller, receiver) if direction == "Egress" else (receiver, caller)
            for port in {*HTTP.values(), METRICS, DATABASE}:
                if allowed(environment, direction, *ends, port, receiver.ports):
                    yield source, target, port


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
def test_between_pods_exactly_the_flows_of_the_design_exist(direction: str, environment: str) -> None:
    """Each side by itself: neither relies on the other's policy."""
    assert set(connections(environment, direction)) == FLOWS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_reaches_exactly_the_addresses_that_it_needs(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    addresses = (API_SERVER, POD_IDENTITY, ENDPOINT, INTERNET, FAR, PUBLIC, INTERNAL)
    closed = (ANOTHER_POD, INSTANCE_METADATA, ON_PREMISES, *OTHER_NETWORKS)
    reached = {
        (address, port)
        for address in (*addresses, *closed)
        for port in (53, 80, 443, 8080, DATABASE)
        if allowed(environment, "Egress", pod, address, port, {})
    }
    expected = AWS | {(INTERNAL, 443)}
    expected |= {(API_SERVER, 443)} if name != "frontend" else set()
    expected |= {(ENDPOINT, DATABASE), (INTERNAL, DATABASE)} if (environment, name) == ("prod", "frontend") else set()
    assert reached == expected


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", SERVICES)
def test_only_the_load_balancers_reach_a_pod_from_outside(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    reaching = {
        address
        for address in (PUBLIC, INTERNAL, INTERNET, ANOTHER_POD)
        for port in {*HTTP.values(), METRICS}
        if allowed(environment, "Ingress", pod, address, port, pod.ports)
    }
    assert reaching == {"frontend": {PUBLIC}, "agentgateway": {PUBLIC, INTERNAL}}.get(name, set())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", SERVICES)
def test_every_pod_resolves_names_and_only_at_the_clusters_own_servers(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    dns = Pod("kube-system", {"k8s-app": "kube-dns"}, {})
    for protocol in ("UDP", "TCP"):
        assert allowed(environment, "Egress", pod, dns, 53, {}, protocol)
        assert not allowed(environment, "Egress", pod, Pod("kube-system", {}, {}), 53, {}, protocol)
        assert not allowed(environment, "Egress", pod, Pod("elsewhere", dns.labels, {}), 53, {}, protocol)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", SERVICES)
def test_metrics_are_for_the_collector_alone(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    assert allowed(environment, "Ingress", pod, Pod("amazon-cloudwatch", {}, {}), METRICS, pod.ports)
    assert not allowed(environment, "Ingress", pod, Pod("elsewhere", {}, {}), METRICS, pod.ports)
    assert not allowed(environment, "Ingress", pod, Pod("amazon-cloudwatch", {}, {}), HTTP.get(name, 8080), pod.ports)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_pod_that_is_not_one_of_ours_reaches_nothing_and_nothing_reaches_it(environment: str) -> None:
    stranger = Pod(NAMESPACE, {"app": "stranger"}, {})
    for pod in pods(environment).values():
        for port in HTTP.values():
            assert not allowed(environment, "Ingress", pod, stranger, port, pod.ports)
    for address in (API_SERVER, POD_IDENTITY, ENDPOINT, INTERNET):
        assert not allowed(environment, "Egress", stranger, address, 443, {})


def terraform(file: str, pattern: str) -> list[Any]:
    found = re.findall(pattern, (ROOT / "infra-terraform/modules" / file).read_text())
    assert found, f"{file} has no {pattern}"
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_addresses_are_those_that_terraform_gives(environment: str) -> None:
    [vpc] = terraform("network/variables.tf", r'default\s*= "(10\.\d+\.0\.0/16)"')
    public, internal = terraform("network/main.tf", r"cidrsubnet\(var\.vpc_cidr, 8, (\d+) \+ each\.value\)")
    [services] = terraform("cluster/main.tf", r'service_ipv4_cidr = "([\d./]+)"')
    blocks = list(ipaddress.ip_network(vpc).subnets(8))
    zones = range(3)
    subnets = {str(blocks[int(first) + zone]) for first in (public, internal) for zone in zones}
    api_server = f"{next(ipaddress.ip_network(services).hosts())}/32"
    expected = {*subnets, api_server, f"{POD_IDENTITY}/32", "0.0.0.0/0"}
    text = json.dumps(policies(environment))
    assert set(re.findall(r'"cidr": "([^"]+)"', text)) == expected


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_target_groups_are_those_that_terraform_makes(environment: str) -> None:
    groups = dict(terraform("load-balancers/main.tf", r"([a-z-]+) += \{ port = (\d+),"))
    for binding in of_kind(environment_objects(environment), "TargetGroupBinding"):
        group = binding["spec"]["targetGroupName"].removeprefix(f"{environment}-")
        assert int(groups[group]) == HTTP[binding["spec"]["serviceRef"]["name"]]

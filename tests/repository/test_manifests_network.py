"""Who may reach whom: every pair of pods, and every address that matters, as the NetworkPolicies decide it."""

import ipaddress
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from tests.helpers.kustomize import ROOT
from tests.helpers.network_policies import METRICS, Pod, allowed, flows
from tests.helpers.overlays import DEPLOYMENTS, ENVIRONMENTS, NAMESPACE, environment_objects, of_kind, pod_templates
from tests.helpers.target_groups import TARGET_GROUPS

from department_operator.objects import beside_deployment

PUBLIC, INTERNAL, DATABASE = "10.0.2.17", "10.0.12.17", 5432
API_SERVER, POD_IDENTITY, ENDPOINT, INTERNET = "172.20.0.1", "169.254.170.23", "10.0.13.200", "52.219.40.1"
FAR, ON_PREMISES, OTHER_NETWORKS = "203.0.113.9", "10.200.0.5", ("192.168.1.1", "172.16.5.5", "100.127.0.1")
ANOTHER_POD, INSTANCE_METADATA = "100.64.3.9", "169.254.169.254"
TRACES = 4318
PODS = (*DEPLOYMENTS, "mcp-finance")
AWS = {(POD_IDENTITY, 80), (ENDPOINT, 443), (INTERNET, 443), (FAR, 443)}


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
    return [each["spec"] for each in of_kind([*manifests, *beside_deployment(finance, zones=1)], "NetworkPolicy")]


def ports(environment: str) -> set[int]:
    """Those that a pod listens on, and the database's."""
    return {port for pod in pods(environment).values() for port in pod.ports.values()} | {DATABASE}


def connections(environment: str, direction: str) -> Iterator[tuple[str, str, int]]:
    """What one side's policies would let through, whatever the other's say."""
    known = pods(environment)
    for source, caller in known.items():
        for target, receiver in known.items():
            ends = (caller, receiver) if direction == "Egress" else (receiver, caller)
            for port in ports(environment):
                if allowed(policies(environment), direction, *ends, port, receiver.ports):
                    yield source, target, port


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
def test_between_pods_exactly_the_flows_of_the_design_exist(direction: str, environment: str) -> None:
    """Each side by itself: neither relies on the other's policy."""
    assert set(connections(environment, direction)) == flows()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", PODS)
def test_a_pod_reaches_exactly_the_addresses_that_it_needs(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    addresses = (API_SERVER, POD_IDENTITY, ENDPOINT, INTERNET, FAR, PUBLIC, INTERNAL)
    closed = (ANOTHER_POD, INSTANCE_METADATA, ON_PREMISES, *OTHER_NETWORKS)
    reached = {
        (address, port)
        for address in (*addresses, *closed)
        for port in (53, 80, 443, 8080, DATABASE)
        if allowed(policies(environment), "Egress", pod, address, port, {})
    }
    expected = AWS | {(INTERNAL, 443)}
    expected |= {(API_SERVER, 443)} if name != "frontend" else set()
    expected |= {(ENDPOINT, DATABASE), (INTERNAL, DATABASE)} if (environment, name) == ("prod", "frontend") else set()
    assert reached == expected


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", PODS)
def test_only_the_load_balancers_reach_a_pod_from_outside(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    reaching = {
        address
        for address in (PUBLIC, INTERNAL, INTERNET, ANOTHER_POD)
        for port in ports(environment)
        if allowed(policies(environment), "Ingress", pod, address, port, pod.ports)
    }
    bound = {
        binding["spec"]["targetGroupName"].removeprefix(f"{environment}-")
        for binding in of_kind(environment_objects(environment), "TargetGroupBinding")
        if binding["spec"]["serviceRef"]["name"] == name
    }
    assert reaching == {{"public": PUBLIC, "internal": INTERNAL}[TARGET_GROUPS[group].load_balancer] for group in bound}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", PODS)
def test_every_pod_resolves_names_and_only_at_the_clusters_own_servers(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    dns = Pod("kube-system", {"k8s-app": "kube-dns"}, {})
    for protocol in ("UDP", "TCP"):
        assert allowed(policies(environment), "Egress", pod, dns, 53, {}, protocol)
        assert not allowed(policies(environment), "Egress", pod, Pod("kube-system", {}, {}), 53, {}, protocol)
        assert not allowed(policies(environment), "Egress", pod, Pod("elsewhere", dns.labels, {}), 53, {}, protocol)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", PODS)
def test_metrics_are_for_the_collector_alone(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    assert allowed(policies(environment), "Ingress", pod, Pod("amazon-cloudwatch", {}, {}), METRICS, pod.ports)
    assert not allowed(policies(environment), "Ingress", pod, Pod("elsewhere", {}, {}), METRICS, pod.ports)
    assert not allowed(
        policies(environment), "Ingress", pod, Pod("amazon-cloudwatch", {}, {}), pod.ports["http"], pod.ports
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", PODS)
def test_traces_go_to_the_collector_alone_and_never_from_the_page(name: str, environment: str) -> None:
    pod = pods(environment)[name]
    labels = {"app.kubernetes.io/instance": "amazon-cloudwatch.cloudwatch-agent-prometheus"}
    collector = Pod("amazon-cloudwatch", labels, {})
    assert allowed(policies(environment), "Egress", pod, collector, TRACES, {}) == (name != "frontend")
    for other, port in ((Pod("amazon-cloudwatch", {}, {}), TRACES), (Pod("elsewhere", labels, {}), TRACES)):
        assert not allowed(policies(environment), "Egress", pod, other, port, {})
    assert not allowed(policies(environment), "Egress", pod, collector, 443, {})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_pod_that_is_not_one_of_ours_reaches_nothing_and_nothing_reaches_it(environment: str) -> None:
    stranger = Pod(NAMESPACE, {"app": "stranger"}, {})
    for pod in pods(environment).values():
        for port in ports(environment):
            assert not allowed(policies(environment), "Ingress", pod, stranger, port, pod.ports)
    for address in (API_SERVER, POD_IDENTITY, ENDPOINT, INTERNET):
        assert not allowed(policies(environment), "Egress", stranger, address, 443, {})


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
    for binding in of_kind(environment_objects(environment), "TargetGroupBinding"):
        group = binding["spec"]["targetGroupName"].removeprefix(f"{environment}-")
        assert TARGET_GROUPS[group].port == pods(environment)[binding["spec"]["serviceRef"]["name"]].ports["http"]

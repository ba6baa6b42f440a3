"""Who reaches whom through a Service's ClusterIP, as the VPC CNI judges it: before DNAT."""

from functools import cache
from typing import Any

import pytest
import yaml
from tests.helpers.network_policies import flows
from tests.helpers.overlays import DEPLOYMENTS, ENVIRONMENTS, NAMESPACE, environment_objects, of_kind, pod_templates
from tests.helpers.policy_endpoints import Endpoint, State, egress, ingress, opens

from department_operator.objects import beside_deployment

API_SERVER, POD_IDENTITY, DNS, DNS_POD = "172.20.0.1", "169.254.170.23", "172.20.0.10", "100.64.9.9"
INSTANCE_METADATA, ENDPOINT, INTERNET = "169.254.169.254", "10.0.13.200", "52.219.40.1"
DEPARTMENT = {"app.kubernetes.io/instance": "mcp-finance", "fileprocessing.internal/department": "finance"}
PODS = (*DEPLOYMENTS, "mcp-finance")
# As EKS installs CoreDNS.
KUBE_DNS: dict[str, Any] = {
    "metadata": {"name": "kube-dns", "namespace": "kube-system"},
    "spec": {
        "clusterIP": DNS,
        "selector": {"k8s-app": "kube-dns"},
        "ports": [
            {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
            {"name": "metrics", "port": 9153, "targetPort": 9153, "protocol": "TCP"},
        ],
    },
}


@cache
def world(environment: str) -> tuple[State, list[dict[str, Any]], dict[str, str], dict[str, str]]:
    """A pod of each service, the policies, and the addresses of pods and Services by name."""
    manifests = environment_objects(environment)
    [finance] = [each for each in of_kind(manifests, "Department") if each["metadata"]["name"] == "finance"]
    finance = yaml.safe_load(yaml.safe_dump(finance))
    finance["metadata"]["uid"] = "0"
    objects = [*manifests, *beside_deployment(finance, zones=1)]
    pods: list[dict[str, Any]] = [
        {
            "metadata": {"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
            "spec": {"containers": [{"ports": []}]},
            "status": {"podIP": DNS_POD},
        }
    ]
    for number, (name, template) in enumerate(pod_templates(manifests), 1):
        labels = dict(template["metadata"]["labels"]) | (DEPARTMENT if name == "mcp-server" else {})
        name = "mcp-finance" if name == "mcp-server" else name
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
        pods.append({"metadata": metadata, "spec": template["spec"], "status": {"podIP": f"100.64.1.{number}"}})
    services = [KUBE_DNS]
    for number, service in enumerate(of_kind(objects, "Service"), 50):
        metadata = {"name": service["metadata"]["name"], "namespace": NAMESPACE}
        services.append({"metadata": metadata, "spec": {**service["spec"], "clusterIP": f"172.20.0.{number}"}})
    names = (NAMESPACE, "kube-system", "amazon-cloudwatch")
    state = State({name: {"kubernetes.io/metadata.name": name} for name in names}, pods, services)
    policies = [
        {**each, "metadata": {"name": each["metadata"]["name"], "namespace": NAMESPACE}}
        for each in of_kind(objects, "NetworkPolicy")
    ]
    addresses = {each["metadata"]["name"]: each["status"]["podIP"] for each in pods}
    cluster_ips = {each["metadata"]["name"]: each["spec"]["clusterIP"] for each in services}
    return state, policies, addresses, cluster_ips


def ports(environment: str) -> set[int]:
    """Those that a pod or a server outside listens on."""
    state, _, _, _ = world(environment)
    listened = {
        port["containerPort"]
        for pod in state.pods
        for container in pod["spec"]["containers"]
        for port in container["ports"]
    }
    return listened | {53, 80, 443, 5432}


def rules(environment: str, name: str, direction: str) -> list[Endpoint]:
    """All that the policies of one pod open, in one list, as the agent has them."""
    state, policies, _, _ = world(environment)
    [pod] = [each for each in state.pods if each["metadata"]["name"] == name]
    selecting = [each for each in policies if pod in state.pods_of(NAMESPACE, each["spec"]["podSelector"])]
    resolve = egress if direction == "Egress" else ingress
    return [
        each for policy in selecting if direction in policy["spec"]["policyTypes"] for each in resolve(policy, state)
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_exactly_the_flows_of_the_design_pass_through_cluster_ips(environment: str) -> None:
    _, _, _, services = world(environment)
    sources = {name: rules(environment, name, "Egress") for name in PODS}
    passing = {
        (name, target, port)
        for name, opened in sources.items()
        for target, address in services.items()
        for port in ports(environment)
        if target != "kube-dns" and opens(opened, address, port)
    }
    assert passing == flows()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_exactly_the_flows_of_the_design_pass_between_pods(environment: str) -> None:
    """What a packet meets after DNAT, at both ends."""
    _, _, pods, _ = world(environment)
    for direction in ("Egress", "Ingress"):
        sides = {name: rules(environment, name, direction) for name in PODS}
        passing = {
            (name, other, port) if direction == "Egress" else (other, name, port)
            for name, opened in sides.items()
            for other, address in pods.items()
            for port in ports(environment)
            if other != "coredns" and opens(opened, address, port)
        }
        assert passing == flows(), direction


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", PODS)
def test_a_pod_reaches_names_credentials_and_the_api_server_before_dnat(name: str, environment: str) -> None:
    opened = rules(environment, name, "Egress")
    for protocol in ("UDP", "TCP"):
        assert opens(opened, DNS, 53, protocol), "names, by the ClusterIP of kube-dns"
    assert not opens(opened, DNS, 9153)
    assert opens(opened, POD_IDENTITY, 80)
    assert not opens(opened, INSTANCE_METADATA, 80)
    assert opens(opened, API_SERVER, 443) == (name != "frontend")
    assert opens(opened, ENDPOINT, 443)
    assert opens(opened, INTERNET, 443)
    for closed in ("172.20.0.200", "192.168.1.1", "10.200.0.5", "100.64.77.7"):
        assert not opens(opened, closed, 443), closed

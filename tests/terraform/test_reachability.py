"""Who reaches whom, computed from the plans: routes, access lists, security groups and endpoints."""

import copy
from ipaddress import IPv4Network
from typing import Any, Final

import pytest

from infrastructure.network import Network
from infrastructure.reachability import Reachability
from infrastructure.terraform import alone, environment_plan

pytestmark = pytest.mark.slow

ON_PREMISES: Final = IPv4Network("192.168.0.0/16")
DNS_SERVER: Final = "192.168.0.53"
FORWARDING: Final = """
module "platform" {
  on_premises = {
    cidrs             = ["192.168.0.0/16"]
    forwarded_domains = { "corp.example.com" = ["192.168.0.53"] }
  }
}
"""

# Who, whom, port, and the way: None is "not at all".
BOTH: Final = [
    ("nodes", "s3", 443, "gateway endpoint"),
    ("nodes", "dynamodb", 443, "gateway endpoint"),
    ("nodes", "ecr.api", 443, "VPC"),
    ("nodes", "ecr.dkr", 443, "VPC"),
    ("nodes", "internet", 443, "NAT gateway"),
    ("nodes", "internet", 25, None),
    ("nodes", "internet", 22, None),
    ("nodes", "nodes", 8000, "VPC"),
    ("nodes", "internal load balancer", 443, "VPC"),
    ("nodes", "on-premises", 443, None),
    ("internet", "public load balancer", 443, "internet"),
    ("internet", "public load balancer", 80, "internet"),
    ("internet", "public load balancer", 22, None),
    ("internet", "public load balancer", 8080, None),
    ("internet", "internal load balancer", 443, None),
    *[("internet", "nodes", port, None) for port in (22, 80, 443, 8000, 8080, 10250, 30080)],
    ("internet", "ecr.dkr", 443, None),
    ("public load balancer", "nodes", 8080, "VPC"),
    ("public load balancer", "nodes", 7860, "VPC"),
    ("public load balancer", "nodes", 8000, None),
    ("public load balancer", "nodes", 9090, None),
    ("public load balancer", "nodes", 10250, None),
    ("public load balancer", "internal load balancer", 443, None),
    ("public load balancer", "internet", 443, "internet"),
    ("internal load balancer", "nodes", 8080, "VPC"),
    ("internal load balancer", "nodes", 8000, None),
    ("internal load balancer", "internet", 443, None),
    ("on-premises", "nodes", 8080, None),
    ("on-premises", "nodes", 443, None),
    ("on-premises", "public load balancer", 443, None),
    ("on-premises", "ecr.dkr", 443, None),
]
PROD: Final = [
    *[("nodes", service, 443, "VPC") for service in ("sts", "sqs", "kms", "logs", "secretsmanager", "eks-auth")],
    ("nodes", "database", 5432, "VPC"),
    ("nodes", "database", 22, None),
    ("public load balancer", "database", 5432, None),
    ("internal load balancer", "database", 5432, None),
    ("internet", "database", 5432, None),
    ("internet", "resolver", 53, None),
    ("on-premises", "internal load balancer", 443, "on-premises"),
    ("on-premises", "internal load balancer", 80, None),
    ("on-premises", "internal load balancer", 8080, None),
    ("on-premises", "database", 5432, None),
    ("on-premises", "sts", 443, None),
]
DEV: Final = [("on-premises", "internal load balancer", 443, None)]
TABLE: Final = [
    *[("dev", *line) for line in (*BOTH, *DEV)],
    *[("prod", *line) for line in (*BOTH, *PROD)],
]


def reachability(environment: str, plan: dict[str, Any]) -> Reachability:
    return Reachability(Network(plan), [ON_PREMISES] if environment == "prod" else [])


@pytest.fixture(scope="session")
def networks(dev_plan: dict[str, Any], prod_plan: dict[str, Any]) -> dict[str, Reachability]:
    return {"dev": reachability("dev", dev_plan), "prod": reachability("prod", prod_plan)}


@pytest.mark.parametrize(
    ("environment", "source", "target", "port", "way"),
    TABLE,
    ids=[f"{line[0]}: {line[1]} → {line[2]}:{line[3]} {line[4] or 'refused'}" for line in TABLE],
)
def test_who_reaches_whom(
    networks: dict[str, Reachability], environment: str, source: str, target: str, port: int, way: str | None
) -> None:
    assert networks[environment].way(source, target, port) == way


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_nothing_from_the_internet_reaches_a_node_on_any_port(
    networks: dict[str, Reachability], environment: str
) -> None:
    assert {port for port in range(1, 65536) if networks[environment].way("internet", "nodes", port)} == set()


def test_on_premises_reaches_only_the_internal_load_balancer_and_dns(prod_plan: dict[str, Any]) -> None:
    network = Network(prod_plan)
    paths = Reachability(network, [ON_PREMISES])
    ports = (22, 53, 80, 443, 5432, 7860, 8000, 8080, 9090, 10250)
    found = {
        (place, port, protocol)
        for place in network.places
        for port in ports
        for protocol in ("tcp", "udp")
        if paths.way("on-premises", place, port, protocol)
    }
    assert ("internal load balancer", 443, "tcp") in found
    assert found <= {("internal load balancer", 443, "tcp"), ("resolver", 53, "udp"), ("resolver", 53, "tcp")}
    assert ("resolver", 53, "udp") in found


@pytest.fixture(scope="session")
def with_forwarding(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """prod's plan where queries for a domain of on-premises are forwarded to its DNS server."""
    with alone("plan-prod-forwarding"):
        return environment_plan("prod", tmp_path_factory.mktemp("forwarding") / "tree", FORWARDING)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_dns_passes_both_ways_between_the_vpc_and_on_premises(
    prod_plan: dict[str, Any], with_forwarding: dict[str, Any], protocol: str
) -> None:
    server = Reachability(Network(with_forwarding), [IPv4Network(DNS_SERVER)])
    assert server.way("forwarder", "on-premises", 53, protocol) == "VPN"
    assert server.way("on-premises", "resolver", 53, protocol) == "on-premises"
    # On-premises' other machines ask, and are not asked.
    others = Reachability(Network(with_forwarding), [IPv4Network("192.168.0.54")])
    assert others.way("forwarder", "on-premises", 53, protocol) is None
    assert others.way("on-premises", "resolver", 53, protocol) == "on-premises"
    assert server.way("forwarder", "on-premises", 443, protocol) is None
    assert server.way("on-premises", "database", 5432, protocol) is None
    assert "forwarder" not in Network(prod_plan).places


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_an_access_list_without_dns_one_way_stops_the_forwarder(
    with_forwarding: dict[str, Any], direction: str, protocol: str
) -> None:
    plan = copy.deepcopy(with_forwarding)
    (internal,) = (acl for acl in all_values(plan, "aws_network_acl") if acl["tags"]["Name"] == "prod-internal")
    kept = [
        rule for rule in internal[direction] if (rule["protocol"], rule["cidr_block"]) != (protocol, f"{DNS_SERVER}/32")
    ]
    assert len(kept) == len(internal[direction]) - 1
    internal[direction] = kept
    paths = Reachability(Network(plan), [IPv4Network(DNS_SERVER)])
    assert paths.way("forwarder", "on-premises", 53, protocol) is None


def test_subnets_of_the_three_tiers_are_where_the_design_has_them(prod_plan: dict[str, Any]) -> None:
    subnets = Network(prod_plan).subnets.values()
    of_tier = {tier: {str(subnet.cidr) for subnet in subnets if subnet.tier == tier} for tier in TIERS}
    assert of_tier == TIERS
    assert len({subnet.zone for subnet in subnets}) == 3


TIERS: Final = {
    "public": {"10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"},
    "internal": {"10.0.11.0/24", "10.0.12.0/24", "10.0.13.0/24"},
    "private": {"100.64.0.0/20", "100.64.16.0/20", "100.64.32.0/20"},
}


def modules(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The root module of a plan and all modules below it, with their planned resources."""
    found = [plan["planned_values"]["root_module"]]
    for module in found:
        found.extend(module.get("child_modules", []))
    return found


def all_values(plan: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The planned values of all resources of a kind."""
    return [item["values"] for module in modules(plan) for item in module.get("resources", []) if item["type"] == kind]


def changed(plan: dict[str, Any], kind: str, *, drop: str | None = None, **values: Any) -> dict[str, Any]:
    """The plan with other values in all resources of a kind, or without those named `drop`."""
    other = copy.deepcopy(plan)
    for module in modules(other):
        mine = module.get("resources", [])
        module["resources"] = [item for item in mine if not (item["type"] == kind and item["name"] == drop)]
    for each in all_values(other, kind):
        each.update(values)
    return other


def test_without_its_endpoint_s3_is_reached_by_the_internet(prod_plan: dict[str, Any]) -> None:
    plan = changed(prod_plan, "aws_vpc_endpoint", drop="s3")
    assert reachability("prod", plan).way("nodes", "s3", 443) == "NAT gateway"


def test_without_a_route_to_the_gateway_nodes_are_cut_off(prod_plan: dict[str, Any]) -> None:
    plan = changed(prod_plan, "aws_route", drop="nat")
    assert reachability("prod", plan).way("nodes", "internet", 443) is None


def test_an_opened_security_group_is_seen(prod_plan: dict[str, Any]) -> None:
    plan = changed(prod_plan, "aws_vpc_security_group_ingress_rule", cidr_ipv4="0.0.0.0/0", from_port=0, to_port=65535)
    paths = reachability("prod", plan)
    assert paths.way("on-premises", "database", 443) == "on-premises"
    assert paths.way("internet", "public load balancer", 8080) == "internet"
    assert paths.way("internet", "nodes", 8080) is None  # no address of the internet, and no route back

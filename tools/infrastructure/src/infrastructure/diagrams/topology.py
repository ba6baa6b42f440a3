"""Network topology: addresses, route tables and what they lead to."""

from typing import Any, Final

from diagrams.aws.general import TraditionalServer
from diagrams.aws.network import (
    DirectConnect,
    Endpoint,
    InternetGateway,
    NATGateway,
    PrivateSubnet,
    PublicSubnet,
    RouteTable,
    SiteToSiteVpn,
)
from diagrams.onprem.network import Internet

from infrastructure.diagrams.canvas import Picture, edge, group
from infrastructure.diagrams.facts import Facts

KEY: Final = "routes · green: internet · blue: out by NAT · violet: AWS without the internet · orange: on-premises"
COLORS: Final = {
    "internet": "#2e7d32",
    "nat": "#1565c0",
    "on-premises": "#b26a00",
    "s3": "#6a1b9a",
    "dynamodb": "#6a1b9a",
}


def draw(facts: Facts) -> Picture:
    """Each tier's subnets, their table, and a line for each route but the local one."""
    with Picture("topology", f"{facts.environment}: network topology", KEY, ranksep="0.9") as picture:
        outside: dict[str, Any] = {}
        tables: list[tuple[str, Any, frozenset[str]]] = []
        with group(f"VPC {' and '.join(str(cidr) for cidr in facts.network.vpc)}", "vpc"):
            for tier in ("public", "internal", "private"):
                tables += _tier(facts, tier)
            outside["internet"] = InternetGateway("internet gateway")
            gateways = facts.planned("aws_nat_gateway")
            outside["nat"] = NATGateway(
                f"{len(gateways)} NAT gateway{'s' if len(gateways) > 1 else ''}\nin public subnets"
            )
            for service in ("s3", "dynamodb"):
                outside[service] = Endpoint(f"{service}\ngateway endpoint")
        _beyond(facts, outside)
        for _, table, routes in tables:
            for route in sorted(routes & set(outside)):
                table >> edge("0.0.0.0/0" if route in ("internet", "nat") else "", COLORS[route]) >> outside[route]
            if "on-premises" in routes and "direct connect" in outside:
                table >> edge(color=COLORS["on-premises"]) >> outside["direct connect"]
        (
            outside["nat"]
            >> edge(color=COLORS["nat"])
            >> outside["internet"]
            >> edge(color=COLORS["internet"])
            >> Internet("internet")
        )
    return picture


def _tier(facts: Facts, tier: str) -> list[tuple[str, Any, frozenset[str]]]:
    subnets = [subnet for subnet in facts.network.subnets.values() if subnet.tier == tier]
    kind = PublicSubnet if tier == "public" else PrivateSubnet
    holds = {
        "public": "public load balancer, NAT",
        "internal": "internal load balancer, endpoints, database, control plane",
        "private": "nodes and pods",
    }
    with group(f"{tier}: {holds[tier]}", tier):
        boxes = [kind(f"{subnet.zone}\n{subnet.cidr}") for subnet in sorted(subnets, key=lambda one: one.zone)]
        routes = frozenset[str]().union(*(subnet.routes for subnet in subnets))
        tables = len([table for table in facts.planned("aws_route_table") if table.name == tier])
        table = RouteTable("route table" if tables == 1 else f"{tables} route tables,\none a zone")
        for box in boxes:
            box >> edge() >> table
    return [(tier, table, routes)]


def _beyond(facts: Facts, outside: dict[str, Any]) -> None:
    if not facts.planned("aws_vpn_gateway"):
        return
    with group("on-premises", "outside"):
        servers = TraditionalServer("data centre")
    ways = [SiteToSiteVpn("VPN, 2 tunnels")]
    if facts.planned("aws_dx_gateway"):
        ways.append(DirectConnect("Direct Connect"))
    outside["on-premises"] = ways[0]
    for way in ways:
        way >> edge(color=COLORS["on-premises"]) >> servers
    if len(ways) > 1:
        outside["direct connect"] = ways[1]

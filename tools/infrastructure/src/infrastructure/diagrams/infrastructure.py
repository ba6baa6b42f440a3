"""Multi-zone infrastructure: what stands in which zone and subnet."""

from typing import Any, Final

from diagrams.aws.compute import EC2, EKS
from diagrams.aws.database import RDS
from diagrams.aws.network import ElbApplicationLoadBalancer as LoadBalancer
from diagrams.aws.network import Endpoint, InternetGateway, NATGateway, Route53
from diagrams.aws.security import WAF
from diagrams.onprem.client import Users

from infrastructure.diagrams.canvas import Picture, edge, group, unseen
from infrastructure.diagrams.facts import Facts
from infrastructure.diagrams.services import regional

KEY: Final = "green: what faces the internet reaches pods on every node · orange: what faces on-premises"


def draw(facts: Facts) -> Picture:
    """One column a zone; each tier of subnets a row."""
    title = f"{facts.environment}: infrastructure in {len(facts.zones)} zones"
    with Picture("infrastructure", title, KEY, newrank="true") as picture:
        people = Users("people and programs")
        with group(f"AWS {facts.zones[0][:-1]}", "region"):
            names = Route53("app.  api.")
            firewall = WAF(f"WAF, {len(facts.planned('aws_wafv2_web_acl')[0].values['rule'])} rules")
            with group(f"VPC {' and '.join(str(cidr) for cidr in facts.network.vpc)}", "vpc"):
                gateway = InternetGateway("internet gateway")
                public = LoadBalancer("public load balancer")
                internal = LoadBalancer("internal load balancer")
                columns = [_zone(facts, zone) for zone in facts.zones]
            control = EKS(f"EKS {facts.planned('aws_eks_cluster')[0].values['version']}\ncontrol plane")
            services = regional(facts)
        people >> edge() >> names >> edge() >> firewall >> edge(weight="20") >> public
        for column in columns:
            # Rows: what faces the internet, what faces the company, nodes.
            gateway >> unseen() >> column["way out"]
            firewall >> unseen() >> column["way out"] >> unseen() >> internal
            public >> edge(color="#2e7d32") >> column["nodes"]
            internal >> edge(color="#b26a00") >> column["nodes"]
        middle = columns[len(columns) // 2]
        middle["nodes"] >> edge() >> control
        for service in services:
            middle["nodes"] >> unseen() >> service
    return picture


def _zone(facts: Facts, zone: str) -> dict[str, Any]:
    column: dict[str, Any] = {}
    gateways = {gateway.key for gateway in facts.planned("aws_nat_gateway")}
    with group(zone, "zone"):
        with group(f"public {facts.cidr('public', zone)}", "public"):
            column["way out"] = NATGateway("NAT gateway") if zone in gateways else NATGateway("load balancer only")
        with group(f"internal {facts.cidr('internal', zone)}", "internal"):
            endpoints = [one for one in facts.planned("aws_vpc_endpoint") if one.name == "interface"]
            inside = [Endpoint(f"{len(endpoints)} interface\nendpoints")]
            if label := _database(facts, zone):
                inside.append(RDS(label))
        with group(f"private {facts.cidr('private', zone)}", "private"):
            column["nodes"] = _nodes(facts, zone)
    for one in inside:
        column["way out"] >> unseen() >> one >> unseen() >> column["nodes"]
    return column


def _database(facts: Facts, zone: str) -> str:
    # Which zones it stands in is AWS's choice among the subnets; drawn in the first, its standby in the second.
    for database in facts.planned("aws_db_instance"):
        standby = database.values["multi_az"] and zone == facts.zones[1]
        return "PostgreSQL" if zone == facts.zones[0] else "its standby" if standby else ""
    return ""


def _nodes(facts: Facts, zone: str) -> Any:
    for nodes in facts.planned("aws_eks_node_group"):
        if nodes.key == zone:
            scaling = nodes.values["scaling_config"][0]
            kind = nodes.values["instance_types"][0]
            sizes = f"{scaling['desired_size']} now, {scaling['min_size']} to {scaling['max_size']}"
            return EC2(f"nodes {kind}\n{sizes}")
    return EC2("no nodes")

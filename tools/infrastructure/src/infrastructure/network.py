"""The network of a plan: subnets with their routes and access lists, and what stands in them behind which groups."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, Final

from infrastructure.references import References
from infrastructure.resources import Plan, Resource, resources

ANYWHERE: Final = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class Rule:
    """What may pass; protocol -1 is any. `peer` is addresses, or a security group by its resource's address."""

    egress: bool
    protocol: str
    ports: range
    peer: IPv4Network | str

    def lets(self, protocol: str, port: int) -> bool:
        """Whether it is about this protocol and port."""
        return self.protocol in ("-1", protocol) and port in self.ports


@dataclass(frozen=True, slots=True)
class Subnet:
    """One subnet: `routes` are the kinds of gateways that its table leads to, `acl` the rules of its access list."""

    tier: str
    zone: str
    cidr: IPv4Network
    routes: frozenset[str]
    acl: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Something with addresses in subnets, behind security groups; `public`: also with addresses of the internet."""

    name: str
    subnets: tuple[Subnet, ...]
    groups: frozenset[str]
    public: bool = False


class Network:
    """What a plan says about who reaches whom."""

    def __init__(self, plan: Plan) -> None:
        """Read the plan."""
        self._plan = plan
        self._references = References(plan)
        self.vpc = [IPv4Network(vpc.values["cidr_block"]) for vpc in resources(plan, "aws_vpc")]
        self.vpc += [
            IPv4Network(more.values["cidr_block"]) for more in resources(plan, "aws_vpc_ipv4_cidr_block_association")
        ]
        self.subnets = {subnet.address: self._subnet(subnet) for subnet in resources(plan, "aws_subnet")}
        self.rules = self._rules()
        self.places = {place.name: place for place in self._places()}

    def _named(self, resource: Resource, attribute: str) -> set[str]:
        return {target.address for target in self._references.of(resource, attribute)}

    def _subnet(self, subnet: Resource) -> Subnet:
        tables = {
            table
            for association in resources(self._plan, "aws_route_table_association")
            if subnet.address in self._named(association, "subnet_id")
            for table in self._named(association, "route_table_id")
        }
        routes = {
            kind
            for route in resources(self._plan, "aws_route")
            if tables & self._named(route, "route_table_id")
            for attribute, kind in (("gateway_id", "internet"), ("nat_gateway_id", "nat"))
            if self._named(route, attribute)
        }
        if any(
            tables & self._named(one, "route_table_id")
            for one in resources(self._plan, "aws_vpn_gateway_route_propagation")
        ):
            routes.add("on-premises")
        for endpoint in resources(self._plan, "aws_vpc_endpoint"):
            if endpoint.values["vpc_endpoint_type"] == "Gateway" and tables & self._named(endpoint, "route_table_ids"):
                routes.add(_service(endpoint))
        return Subnet(
            tier=subnet.name,
            zone=subnet.values["availability_zone"],
            cidr=IPv4Network(subnet.values["cidr_block"]),
            routes=frozenset(routes),
            acl=self._acl(subnet),
        )

    def _acl(self, subnet: Resource) -> tuple[Rule, ...]:
        # The list of a tier has the tier's name: which subnets it is given goes through a local, which no plan shows.
        (acl,) = [acl for acl in resources(self._plan, "aws_network_acl") if acl.key == subnet.name]
        assert all(rule["action"] == "allow" for way in ("ingress", "egress") for rule in acl.values[way])  # noqa: S101
        return tuple(
            Rule(way == "egress", rule["protocol"], _ports(rule), IPv4Network(rule["cidr_block"]))
            for way in ("ingress", "egress")
            for rule in acl.values[way]
        )

    def _rules(self) -> dict[str, list[Rule]]:
        rules: dict[str, list[Rule]] = {}
        for way in ("ingress", "egress"):
            for rule in resources(self._plan, f"aws_vpc_security_group_{way}_rule"):
                cidr = rule.values.get("cidr_ipv4")
                peers = {IPv4Network(cidr)} if cidr else self._named(rule, "referenced_security_group_id")
                for group in self._named(rule, "security_group_id"):
                    rules.setdefault(group, []).extend(
                        Rule(way == "egress", rule.values["ip_protocol"], _ports(rule.values), peer) for peer in peers
                    )
        for cluster in resources(self._plan, "aws_eks_cluster"):
            # EKS makes this group itself: its members reach each other and everything.
            every = range(65536)
            rules.setdefault(cluster.address, []).extend(
                [
                    Rule(egress=False, protocol="-1", ports=every, peer=cluster.address),
                    Rule(egress=True, protocol="-1", ports=every, peer=ANYWHERE),
                ]
            )
        return rules

    def _places(self) -> list[Place]:
        plan = self._plan
        (cluster,) = resources(plan, "aws_eks_cluster")
        groups = resources(plan, "aws_eks_node_group")
        places = [self._place("nodes", groups, "subnet_ids", {cluster.address})]
        for balancer in resources(plan, "aws_lb"):
            tier = "internal" if balancer.values["internal"] else "public"
            stands_in = tuple(subnet for subnet in self.subnets.values() if subnet.tier == tier)
            behind = frozenset(self._named(balancer, "security_groups"))
            places.append(Place(f"{tier} load balancer", stands_in, behind, public=tier == "public"))
        for endpoint in resources(plan, "aws_vpc_endpoint"):
            if endpoint.values["vpc_endpoint_type"] == "Interface":
                inside = self._named(endpoint, "security_group_ids")
                places.append(self._place(_service(endpoint), [endpoint], "subnet_ids", inside))
        for database in resources(plan, "aws_db_instance"):
            inside = self._named(database, "vpc_security_group_ids")
            places.append(self._place("database", resources(plan, "aws_db_subnet_group"), "subnet_ids", inside))
        for resolver in resources(plan, "aws_route53_resolver_endpoint"):
            stands_in = tuple(subnet for subnet in self.subnets.values() if subnet.tier == "internal")
            name = {"INBOUND": "resolver", "OUTBOUND": "forwarder"}[resolver.values["direction"]]
            places.append(Place(name, stands_in, frozenset(self._named(resolver, "security_group_ids"))))
        return places

    def _place(self, name: str, by: Sequence[Resource], attribute: str, groups: AbstractSet[str]) -> Place:
        addresses = {address for one in by for address in self._named(one, attribute)}
        return Place(name, tuple(self.subnets[address] for address in sorted(addresses)), frozenset(groups))


def _service(endpoint: Resource) -> str:
    # com.amazonaws.<region>.<service>, whose name may have dots itself.
    return ".".join(str(endpoint.values["service_name"]).split(".")[3:])


def _ports(values: Any) -> range:
    first, last = values.get("from_port"), values.get("to_port")
    protocol = values.get("protocol") or values.get("ip_protocol")
    return range(65536) if protocol == "-1" or first is None else range(first, last + 1)

"""Who reaches whom, and by what way, by the routes, access lists, security groups and endpoints of a plan."""

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network
from typing import Final

from infrastructure.network import ANYWHERE, Network, Place, Rule, Subnet

ANSWERS: Final = (1024, 32768, 40000, 49152, 65535)
"""Ports that a caller may have called from: access lists keep no state, so answers to each of them must pass too.

The bounds of Linux, Windows and AWS's own clients, as AWS lists them:
https://docs.aws.amazon.com/vpc/latest/userguide/custom-network-acl.html#nacl-ephemeral-ports
"""

INTERNET: Final = "internet"
ON_PREMISES: Final = "on-premises"


class Reachability:
    """Answers for one network. `on_premises` are the addresses beyond the VPN."""

    def __init__(self, network: Network, on_premises: Iterable[IPv4Network] = ()) -> None:
        """Take the network as it is planned."""
        self._network = network
        self._on_premises = tuple(on_premises)

    def way(self, source: str, target: str, port: int, protocol: str = "tcp") -> str | None:
        """How packets of `source` reach `target`, or None if they do not.

        Both are names of places, `internet`, `on-premises`, or for the target an AWS service such as `s3` or `ecr.dkr`.
        """
        if source in (INTERNET, ON_PREMISES):
            return self._from_outside(source, target, port, protocol)
        caller = self._network.places[source]
        if target == INTERNET:
            return self._to_internet(caller, port, protocol)
        if target == ON_PREMISES:
            return self._to_on_premises(caller, port, protocol)
        if target in self._network.places:
            called = self._network.places[target]
            return "VPC" if self._within(caller, called, port, protocol) else None
        return self._to_service(caller, target, port, protocol)

    def _within(self, caller: Place, called: Place, port: int, protocol: str) -> bool:
        return all(
            any(self._pass(caller, here, called, there, port, protocol) for there in called.subnets)
            for here in caller.subnets
        )

    def _pass(self, caller: Place, here: Subnet, called: Place, there: Subnet, port: int, protocol: str) -> bool:
        lists = here is there or _lists_let(here.acl, there.acl, here.cidr, there.cidr, port, protocol)
        out = any(
            rule.lets(protocol, port) and _is(rule, called.groups, there.cidr)
            for rule in self._group_rules(caller, egress=True)
        )
        into = any(
            rule.lets(protocol, port) and _is(rule, caller.groups, here.cidr)
            for rule in self._group_rules(called, egress=False)
        )
        return lists and out and into

    def _from_outside(self, source: str, target: str, port: int, protocol: str) -> str | None:
        called = self._network.places[target]
        addresses = [ANYWHERE] if source == INTERNET else list(self._on_premises)
        if source == INTERNET and not called.public:
            return None
        # Packets come in wherever a gateway is; the table must also lead the answers back.
        ways = [subnet for subnet in called.subnets if source in subnet.routes]
        for subnet in ways:
            for cidr in addresses:
                lists = _list_lets(subnet.acl, cidr, port, protocol, egress=False) and _list_lets(
                    subnet.acl, cidr, ANSWERS, protocol, egress=True
                )
                if lists and any(
                    rule.lets(protocol, port) and _is(rule, frozenset(), cidr)
                    for rule in self._group_rules(called, egress=False)
                ):
                    return source
        return None

    def _to_internet(self, caller: Place, port: int, protocol: str) -> str | None:
        out = any(
            rule.lets(protocol, port) and rule.peer == ANYWHERE for rule in self._group_rules(caller, egress=True)
        )
        ways = {self._way_out(caller, subnet, port, protocol) for subnet in caller.subnets}
        return ways.pop() if out and len(ways) == 1 else None

    def _way_out(self, caller: Place, subnet: Subnet, port: int, protocol: str) -> str | None:
        here = _list_lets(subnet.acl, ANYWHERE, port, protocol, egress=True) and _list_lets(
            subnet.acl, ANYWHERE, ANSWERS, protocol, egress=False
        )
        if not here:
            return None
        if INTERNET in subnet.routes:
            return INTERNET if caller.public else None
        gateways = [other for other in self._network.subnets.values() if INTERNET in other.routes]
        through = "nat" in subnet.routes and all(
            _lists_let(subnet.acl, other.acl, subnet.cidr, other.cidr, port, protocol)
            and _list_lets(other.acl, ANYWHERE, port, protocol, egress=True)
            and _list_lets(other.acl, ANYWHERE, ANSWERS, protocol, egress=False)
            for other in gateways
        )
        return "NAT gateway" if through else None

    def _to_on_premises(self, caller: Place, port: int, protocol: str) -> str | None:
        routed = all(ON_PREMISES in subnet.routes for subnet in caller.subnets)
        out = any(
            any(
                rule.lets(protocol, port) and _is(rule, frozenset(), cidr)
                for rule in self._group_rules(caller, egress=True)
            )
            and all(
                _list_lets(subnet.acl, cidr, port, protocol, egress=True)
                and _list_lets(subnet.acl, cidr, ANSWERS, protocol, egress=False)
                for subnet in caller.subnets
            )
            for cidr in self._on_premises
        )
        return "VPN" if routed and out else None

    def _to_service(self, caller: Place, service: str, port: int, protocol: str) -> str | None:
        if all(service in subnet.routes for subnet in caller.subnets):
            out = any(
                rule.lets(protocol, port) and rule.peer == ANYWHERE for rule in self._group_rules(caller, egress=True)
            )
            lists = all(
                _list_lets(subnet.acl, ANYWHERE, port, protocol, egress=True)
                and _list_lets(subnet.acl, ANYWHERE, ANSWERS, protocol, egress=False)
                for subnet in caller.subnets
            )
            return "gateway endpoint" if out and lists else None
        return self._to_internet(caller, port, protocol)

    def _group_rules(self, place: Place, *, egress: bool) -> Iterator[Rule]:
        for group in place.groups:
            yield from (rule for rule in self._network.rules.get(group, []) if rule.egress == egress)


def _is(rule: Rule, groups: frozenset[str], cidr: IPv4Network) -> bool:
    if isinstance(rule.peer, str):
        return rule.peer in groups
    return cidr.subnet_of(rule.peer)


def _list_lets(
    acl: Collection[Rule], cidr: IPv4Network, ports: int | Iterable[int], protocol: str, *, egress: bool
) -> bool:
    return all(
        any(rule.egress == egress and rule.lets(protocol, port) and _is(rule, frozenset(), cidr) for rule in acl)
        for port in ([ports] if isinstance(ports, int) else ports)
    )


def _lists_let(
    here: Collection[Rule], there: Collection[Rule], mine: IPv4Network, theirs: IPv4Network, port: int, protocol: str
) -> bool:
    return (
        _list_lets(here, theirs, port, protocol, egress=True)
        and _list_lets(there, mine, port, protocol, egress=False)
        and _list_lets(there, mine, ANSWERS, protocol, egress=True)
        and _list_lets(here, theirs, ANSWERS, protocol, egress=False)
    )

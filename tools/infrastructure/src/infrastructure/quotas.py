"""`python -m infrastructure.quotas`: the service quotas that dev and prod need, counted in their plans.

Codes and values of a new account are those of Service Quotas. AWS may give a new account less: the command that
`docs/deployment.md` names shows what an account has.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infrastructure.resources import Plan, Resource, resources
from infrastructure.terraform import TerraformFailed, environment_plan

VCPUS: Final[Mapping[str, int]] = {"medium": 2, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16}
"""vCPUs of an instance type by its size, in the families t3, t3a, m5, m5a, m6i and m6a (EC2's instance type pages)."""

SURGE: Final = 2
"""Nodes that EKS adds to a node group while it updates it: twice the group's zones, which is one (EKS User Guide,
"Understand each phase of node updates")."""


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of Service Quotas. `initial` is what AWS documents for a new account."""

    service: str
    code: str
    name: str
    initial: int
    needed: Callable[[Plan], int]


def _count(*types: str, **values: object) -> Callable[[Plan], int]:
    def counted(plan: Plan) -> int:
        found = resources(plan, *types)
        return sum(1 for each in found if all(each.values.get(key) == value for key, value in values.items()))

    return counted


def _vcpus(capacity_type: str, *, largest: bool = False) -> Callable[[Plan], int]:
    """vCPUs of the node groups: as applied and while they are updated, or at their largest size."""

    def counted(plan: Plan) -> int:
        total = 0
        for group in resources(plan, "aws_eks_node_group"):
            if group.values["capacity_type"] == capacity_type:
                sizes = group.values["scaling_config"][0]
                nodes = sizes["max_size"] if largest else sizes["desired_size"]
                total += (nodes + SURGE) * _largest_type(group)
        return total

    return counted


def _largest_type(group: Resource) -> int:
    return max(VCPUS[kind.partition(".")[2]] for kind in group.values["instance_types"])


def _nat_gateways_in_one_zone(plan: Plan) -> int:
    return max(Counter(gateway.key for gateway in resources(plan, "aws_nat_gateway")).values(), default=0)


def _rules_of_one_acl(plan: Plan) -> int:
    rules = [acl.values[way] for acl in resources(plan, "aws_network_acl") for way in ("ingress", "egress")]
    return max(len(each) for each in rules)


SPOT: Final = "All Standard Spot Instance Requests, vCPUs"
ON_DEMAND: Final = "Running On-Demand Standard instances, vCPUs"

QUOTAS: Final = (
    Quota("ec2", "L-1216C47A", ON_DEMAND, 5, _vcpus("ON_DEMAND")),
    Quota("ec2", "L-34B43A08", SPOT, 5, _vcpus("SPOT")),
    Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5, _count("aws_eip")),
    Quota("vpc", "L-F678F1CE", "VPCs per Region", 5, _count("aws_vpc")),
    Quota("vpc", "L-A4707A72", "Internet gateways per Region", 5, _count("aws_internet_gateway")),
    Quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone", 5, _nat_gateways_in_one_zone),
    Quota("vpc", "L-2AEEBF1A", "Rules per network ACL, in one direction", 20, _rules_of_one_acl),
    Quota(
        "vpc",
        "L-29B6F2EB",
        "Interface VPC endpoints per VPC",
        50,
        _count("aws_vpc_endpoint", vpc_endpoint_type="Interface"),
    ),
    Quota(
        "vpc",
        "L-1B52E74A",
        "Gateway VPC endpoints per Region",
        20,
        _count("aws_vpc_endpoint", vpc_endpoint_type="Gateway"),
    ),
    Quota("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region", 50, _count("aws_lb")),
)
"""Quotas that a new account may lack; all others are far above what the plans need."""


def at_the_largest(plan: Plan) -> dict[str, int]:
    """vCPUs by quota code when the autoscaler has added all nodes that it may."""
    return {
        "L-1216C47A": _vcpus("ON_DEMAND", largest=True)(plan),
        "L-34B43A08": _vcpus("SPOT", largest=True)(plan),
    }


def rows(plans: Mapping[str, Plan]) -> list[str]:
    """The table of `docs/deployment.md`, with a column for each plan."""
    table = [
        f"| service | code | quota | new account | {' | '.join(plans)} |",
        f"| --- | --- | --- | --- | {' | '.join('---' for _ in plans)} |",
    ]
    for quota in QUOTAS:
        cells = []
        for plan in plans.values():
            needed, largest = quota.needed(plan), at_the_largest(plan).get(quota.code, 0)
            cells.append(f"{needed}, up to {largest}" if largest else str(needed))
        table.append(f"| `{quota.service}` | `{quota.code}` | {quota.name} | {quota.initial} | {' | '.join(cells)} |")
    return table


def main() -> int:
    """Plan both environments and print the table."""
    plans = {}
    try:
        for environment in ("dev", "prod"):
            print(f"Planning {environment}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                plans[environment] = environment_plan(environment, Path(folder) / "tree")
    except TerraformFailed as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(rows(plans)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

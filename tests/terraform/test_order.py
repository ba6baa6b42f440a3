"""In which order Terraform makes things, by its own graph: no resource is made before what it needs in AWS."""

from typing import Final

import pytest

from infrastructure.terraform import ACCOUNT, Workspace

pytestmark = pytest.mark.slow

PLATFORM: Final = "module.platform.module."
PUBLIC_PATH: Final = ("aws_internet_gateway.this", "aws_route.internet", "aws_route_table_association.public")
NODES_PATH: Final = (
    "aws_nat_gateway.this",
    "aws_route.nat",
    "aws_route_table_association.private",
    "aws_network_acl.this",
    "aws_vpc_endpoint.s3",
    "aws_vpc_endpoint.interface",
    "aws_vpc_security_group_ingress_rule.endpoints",
)
AFTER: Final = {
    # "VPC … has no internet gateway" (InvalidSubnet) otherwise.
    "load_balancers.aws_lb.this": [f"network.{name}" for name in (*PUBLIC_PATH, "aws_network_acl.this")],
    # A cluster knows a block that is added after it only hours later:
    # https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html#network-requirements-vpc
    "cluster.aws_eks_cluster.this": [
        "network.aws_vpc_ipv4_cidr_block_association.pods",
        "network.aws_network_acl.this",
    ],
    # Nodes that boot without a way to their registry and the cluster are given up after half an hour.
    "cluster.aws_eks_node_group.this": [f"network.{name}" for name in NODES_PATH],
    "database.aws_db_instance.this": ["database.aws_cloudwatch_log_group.this"],
    "on_premises.aws_route53_resolver_endpoint.inbound": ["network.aws_network_acl.this"],
    "network.aws_flow_log.this": ["network.aws_iam_role_policy.flow", "network.aws_cloudwatch_log_group.flow"],
    # At destroy the order turns: the right to write goes before the group, which a late record would make again.
    "network.aws_iam_role_policy.flow": ["network.aws_cloudwatch_log_group.flow"],
}


@pytest.fixture(scope="module")
def order(workspace: Workspace) -> dict[str, set[str]]:
    """What each resource of prod waits for."""
    root = "environments/prod"
    workspace.detach(root)
    workspace.write_variables(root, {"account": ACCOUNT})
    workspace.init(root)
    return workspace.dependencies(root)


@pytest.mark.parametrize("name", AFTER)
def test_a_resource_waits_for_what_it_needs_in_aws(order: dict[str, set[str]], name: str) -> None:
    assert {f"{PLATFORM}{needed}" for needed in AFTER[name]} - order[f"{PLATFORM}{name}"] == set()

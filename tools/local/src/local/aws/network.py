"""The VPC and the load balancers' target groups, as Terraform makes them (infra-terraform/modules)."""

from collections.abc import Mapping
from typing import Final

from local.aws.seed import client

VPC_CIDR: Final = "10.0.0.0/16"
PODS_CIDR: Final = "100.64.0.0/16"


def make_network(url: str, vpc_name: str, target_groups: Mapping[str, int]) -> None:
    """Make the VPC, and in it one target group of addresses for each name and port."""
    ec2, elbv2 = client("ec2", url), client("elbv2", url)
    vpc = ec2.create_vpc(CidrBlock=VPC_CIDR)["Vpc"]["VpcId"]
    ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=PODS_CIDR)
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": vpc_name}])
    for name, port in target_groups.items():
        elbv2.create_target_group(
            Name=name, Port=port, Protocol="HTTP", TargetType="ip", VpcId=vpc, IpAddressType="ipv4"
        )

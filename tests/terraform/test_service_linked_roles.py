"""Service-linked roles: which of what Terraform makes needs one, who may create it, and that the deployment says so.

AWS's services create them on first use, by the right `iam:CreateServiceLinkedRole` of the caller or of another such
role. Terraform does not: an account that has one already would refuse a second.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from tests.terraform.iam_simulator import Request, decide

from infrastructure.policies import Role
from infrastructure.resources import Plan, resources
from infrastructure.terraform import ACCOUNT_ID

pytestmark = pytest.mark.slow

MANAGED: Final[dict[str, Any]] = json.loads(aws_managed_policies_data)
CALLER: Final = "AdministratorAccess"  # of the role that applies: modules/github
EKS: Final = "https://docs.aws.amazon.com/eks/latest/userguide/using-service-linked-roles"


class Linked(NamedTuple):
    """A service-linked role.

    Attributes:
        needed_by: Type of Terraform's resource whose creation needs it.
        service: The service that it is of.
        created_by: AWS's own policy that has the right to create it.
        source: AWS's page.
    """

    name: str
    needed_by: str
    service: str
    created_by: str
    source: str


LINKED: Final = [
    Linked("AWSServiceRoleForAmazonEKS", "aws_eks_cluster", "eks", CALLER, f"{EKS}-eks.html"),
    Linked(
        "AWSServiceRoleForAmazonEKSNodegroup",
        "aws_eks_node_group",
        "eks-nodegroup",
        CALLER,
        f"{EKS}-eks-nodegroups.html",
    ),
    Linked(
        "AWSServiceRoleForAutoScaling",
        "aws_eks_node_group",
        "autoscaling",
        "AWSServiceRoleForAmazonEKSNodegroup",
        "https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html",
    ),
    Linked(
        "AWSServiceRoleForEC2Spot",
        "aws_eks_node_group",
        "spot",
        "AutoScalingServiceRolePolicy",
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html",
    ),
    Linked(
        "AWSServiceRoleForElasticLoadBalancing",
        "aws_lb",
        "elasticloadbalancing",
        CALLER,
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html",
    ),
    Linked(
        "AWSServiceRoleForRDS",
        "aws_db_instance",
        "rds",
        CALLER,
        "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAM.ServiceLinkedRoles.html",
    ),
    Linked(
        "AWSServiceRoleForRolesAnywhere",
        "aws_rolesanywhere_trust_anchor",
        "rolesanywhere",
        CALLER,
        "https://docs.aws.amazon.com/rolesanywhere/latest/userguide/using-service-linked-roles.html",
    ),
]
# Services whose roles are for options that Terraform leaves off; each value is what a plan must say for that.
OPTIONS: Final[dict[str, Callable[[dict[str, Any]], bool]]] = {
    # Of keys in several regions.
    "aws_kms_key": lambda values: not values.get("multi_region"),
    # Of pools that send by SES.
    "aws_cognito_user_pool": lambda values: values.get("email_configuration") == [],
    # Of tables in several regions, and of capacity that scales.
    "aws_dynamodb_table": lambda values: not values.get("replica") and values["billing_mode"] == "PAY_PER_REQUEST",
    # Of VPNs that log in by a certificate.
    "aws_customer_gateway": lambda values: not values.get("certificate_arn"),
    # Of gateways for all zones of a region.
    "aws_nat_gateway": lambda values: values.get("availability_mode") in (None, "zonal"),
    # Of alarms that stop or start machines.
    "aws_cloudwatch_metric_alarm": lambda values: all(":sns:" in each for each in values["alarm_actions"] or ()),
    # Of logs that go to Firehose; for CloudWatch Logs, WAF writes a policy of the group.
    "aws_wafv2_web_acl_logging_configuration": lambda values: "firehose" not in json.dumps(values),
}
# The rest of what is made, by the start of its type: its service has no role, or only for what is not made here.
NONE: Final = {
    *(
        "acm",
        "autoscaling",
        "budgets",
        "cloudwatch",
        "cognito",
        "data",
        "db",
        "default",
        "dx",
        "dx",
        "ecr",
        "eip",
        "eks",
        "flow",
    ),
    *("iam", "internet", "kms", "launch", "lb", "network", "route", "route53", "s3", "secretsmanager", "security"),
    *("sns", "sqs", "subnet", "vpc", "vpn", "wafv2"),
}


@pytest.fixture(scope="module")
def made(shared_plan: Plan, dev_plan: Plan, prod_plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The planned values of every resource, by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for plan in (shared_plan, dev_plan, prod_plan):
        for each in resources(plan):
            found.setdefault(each.type, []).append(dict(each.values))
    return found


def test_each_type_that_is_made_was_looked_up(made: dict[str, list[dict[str, Any]]]) -> None:
    known = {each.needed_by for each in LINKED} | OPTIONS.keys()
    new = {kind for kind in made if kind.startswith("aws_") and kind not in known and kind.split("_")[1] not in NONE}
    assert new == set(), "look up whether its service needs a service-linked role, and add it here"
    assert {each.needed_by for each in LINKED} - made.keys() == {"aws_rolesanywhere_trust_anchor"}, "optional alone"


@pytest.mark.parametrize("kind", OPTIONS)
def test_no_option_is_on_that_needs_one_more_role(made: dict[str, list[dict[str, Any]]], kind: str) -> None:
    assert made[kind]
    assert all(OPTIONS[kind](values) for values in made[kind])


def test_role_that_applies_or_aws_itself_may_create_each(shared_plan: Plan) -> None:
    attached = {each.values["policy_arn"] for each in resources(shared_plan, "aws_iam_role_policy_attachment")}
    assert f"arn:aws:iam::aws:policy/{CALLER}" in attached
    asked = [
        (
            Role(linked.created_by, {}, {linked.created_by: MANAGED[linked.created_by]["Document"]}),
            Request(
                "iam:CreateServiceLinkedRole",
                f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{linked.service}.amazonaws.com/{linked.name}",
                {"iam:AWSServiceName": f"{linked.service}.amazonaws.com"},
            ),
        )
        for linked in LINKED
    ]
    assert dict(zip([each.name for each in LINKED], decide(asked), strict=True)) == {each.name: True for each in LINKED}


def test_deployment_page_names_each(repository: Path) -> None:
    page = (repository / "docs/deployment.md").read_text()
    assert set(re.findall(r"\bAWSServiceRoleFor\w+", page)) == {each.name for each in LINKED}
    assert "iam:CreateServiceLinkedRole" in page

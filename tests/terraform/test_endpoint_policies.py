"""What VPC endpoints let through, decided by their policies. What services need of them: `test_least_privilege`."""

from typing import Any

import pytest
from tests.terraform.iam_simulator import Request, decide

from infrastructure.policies import Document, Role, endpoint_policies
from infrastructure.terraform import REGION

pytestmark = pytest.mark.slow

ASK = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_endpoints_let_nothing_out_to_another_account(
    environment: str, dev_plan: dict[str, Any], prod_plan: dict[str, Any]
) -> None:
    """A pod with credentials of an account that is not ours, and one of ours that may do everything."""
    endpoints = endpoint_policies(dev_plan if environment == "dev" else prod_plan)
    foreign, bucket = "999988887777", "arn:aws:s3:::somewhere-else"
    anything: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    everyone: Document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [bucket, f"{bucket}/*"]}],
    }
    role = Role("anyone", anything, {"anything": anything})
    table = f"arn:aws:dynamodb:{REGION}:{foreign}:table/somewhere-else"
    asked = [
        (role, Request("s3:PutObject", f"{bucket}/a", caller=foreign, owner=foreign)),
        (role, Request("s3:PutObject", f"{bucket}/a", owner=foreign)),
        (role, Request("dynamodb:PutItem", table, caller=foreign, owner=foreign)),
    ]
    assert decide(asked, {bucket: everyone}) == [True, True, True], "without endpoints, all of these are allowed"
    assert decide(asked, {bucket: everyone}, endpoints) == [False, False, False]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_gateway_can_ask_sts_about_callers_of_any_account(
    environment: str, dev_plan: dict[str, Any], prod_plan: dict[str, Any]
) -> None:
    """It sends requests that callers signed, so that their account counts, not ours."""
    endpoints = endpoint_policies(dev_plan if environment == "dev" else prod_plan)
    caller = Role("caller", {}, {"asks": {"Version": "2012-10-17", "Statement": [ASK]}})
    foreign = "999988887777"
    assert decide([(caller, Request("sts:GetCallerIdentity", "*", caller=foreign, owner=foreign))], {}, endpoints) == [
        True
    ]

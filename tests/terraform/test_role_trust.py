"""Who may take which role, decided by the trust of the roles in the plans; and what the role for images may do."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from tests.terraform.iam_simulator import Request, decide, may_take

from infrastructure.policies import Role, roles
from infrastructure.terraform import ACCOUNT_ID, REGION

pytestmark = pytest.mark.slow

PODS: Final = "pods.eks.amazonaws.com"
SERVICES: Final = ("agentgateway", "application", "application-worker", "frontend", "department-operator")
PLATFORM: Final = {
    "aws-load-balancer-controller": "kube-system",
    "cluster-autoscaler": "kube-system",
    "external-secrets": "external-secrets",
    "keda-operator": "keda",
}
ACCOUNTS: Final = {service: ("file-processing", service) for service in SERVICES} | {
    service: (namespace, service) for service, namespace in PLATFORM.items()
}


def session(environment: str, namespace: str, account: str) -> Mapping[str, str]:
    """What EKS Pod Identity says of a pod when it takes a role for it."""
    return {
        "aws:SourceAccount": ACCOUNT_ID,
        "aws:SourceArn": f"arn:aws:eks:{REGION}:{ACCOUNT_ID}:cluster/{environment}-file-processing",
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }


@pytest.fixture(scope="session", params=["dev", "prod"])
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def known(environment: str, dev_plan: dict[str, Any], prod_plan: dict[str, Any]) -> dict[str, Role]:
    found = roles(dev_plan if environment == "dev" else prod_plan)
    return {name.removeprefix(f"{environment}-"): role for name, role in found.items()}


def test_each_role_is_for_its_own_service_account_and_no_other(environment: str, known: dict[str, Role]) -> None:
    pairs = [(role, account) for role in ACCOUNTS for account in ACCOUNTS]
    asked = [(known[role], PODS, session(environment, *ACCOUNTS[account])) for role, account in pairs]
    taken = {pair for pair, may in zip(pairs, may_take(asked), strict=True) if may}
    assert taken == {(role, role) for role in ACCOUNTS}


def test_the_departments_role_is_for_departments_of_the_namespace(environment: str, known: dict[str, Role]) -> None:
    accounts = {
        ("file-processing", "mcp-finance"): True,
        ("file-processing", "mcp-procurement"): True,
        ("file-processing", "application"): False,
        ("file-processing", "default"): False,
        ("default", "mcp-finance"): False,
    }
    asked = [(known["department"], PODS, session(environment, *account)) for account in accounts]
    assert may_take(asked) == list(accounts.values())


def test_pods_of_another_cluster_or_account_get_nothing(environment: str, known: dict[str, Role]) -> None:
    mine = session(environment, "file-processing", "application")
    other = "prod" if environment == "dev" else "dev"
    asked = [
        (known["application"], PODS, session(other, "file-processing", "application")),
        (known["application"], PODS, {**mine, "aws:SourceAccount": "444455556666"}),
        (known["application"], "ec2.amazonaws.com", mine),
        (known["application"], "lambda.amazonaws.com", mine),
    ]
    assert may_take(asked) == [False] * len(asked)
    assert may_take([(known["application"], PODS, mine)]) == [True]


IMAGES: Final = [
    ("ecr:GetAuthorizationToken", "*", True),
    ("ecr:InitiateLayerUpload", "repository/agentgateway", True),
    ("ecr:UploadLayerPart", "repository/agentgateway", True),
    ("ecr:CompleteLayerUpload", "repository/frontend", True),
    ("ecr:PutImage", "repository/mcp-server", True),
    ("ecr:BatchCheckLayerAvailability", "repository/application", True),
    ("ecr:PutImage", "repository/another", False),
    ("ecr:BatchDeleteImage", "repository/agentgateway", False),
    ("ecr:DeleteRepository", "repository/agentgateway", False),
    ("ecr:SetRepositoryPolicy", "repository/agentgateway", False),
    ("ecr:PutImageTagMutability", "repository/agentgateway", False),
]


def test_workflows_push_images_and_do_nothing_else(shared_plan: dict[str, Any]) -> None:
    push = roles(shared_plan)["github-push-images"]
    asked = [
        (push, Request(action, place if place == "*" else f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:{place}"))
        for action, place, _ in IMAGES
    ]
    assert decide(asked) == [allowed for _, _, allowed in IMAGES]


def test_only_the_main_branch_of_our_repository_takes_the_role_for_images(shared_plan: dict[str, Any]) -> None:
    (statement,) = roles(shared_plan)["github-push-images"].trust["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    # Whole values, compared as they are: no pull request, no fork, no other branch.
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": (
                "repo:example-company/internal-file-processing-system:ref:refs/heads/main"
            ),
        }
    }

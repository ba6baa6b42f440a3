"""Who may take which role, decided by the trust of the roles in the plans; and what a plan of Terraform may read."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
from tests.helpers.overlays import NAMESPACE, environment_objects, pod_templates
from tests.helpers.workspace import defaults, module_of
from tests.terraform.iam_simulator import Request, decide, may_take

from infrastructure.policies import Role, policies_without_role, roles
from infrastructure.terraform import ACCOUNT_ID, REGION

pytestmark = pytest.mark.slow

PODS: Final = "pods.eks.amazonaws.com"
PLATFORM: Final = {
    "aws-load-balancer-controller": "kube-system",
    "cluster-autoscaler": "kube-system",
    "external-secrets": "external-secrets",
    "keda-operator": "keda",
}


@pytest.fixture(scope="session")
def accounts(environment: str) -> dict[str, tuple[str, str]]:
    """Namespace and name of the ServiceAccount of each role: of the services that call AWS, and of the platform."""
    ours = {
        account: NAMESPACE
        for _, template in pod_templates(environment_objects(environment))
        if (account := template["spec"].get("serviceAccountName")) and "aws_region" in defaults(module_of(template))
    }
    return {name: (namespace, name) for name, namespace in (ours | PLATFORM).items()}


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


def test_each_role_is_for_its_own_service_account_and_no_other(
    environment: str, known: dict[str, Role], accounts: dict[str, tuple[str, str]]
) -> None:
    pairs = [(role, account) for role in accounts for account in accounts]
    asked = [(known[role], PODS, session(environment, *accounts[account])) for role, account in pairs]
    taken = {pair for pair, may in zip(pairs, may_take(asked), strict=True) if may}
    assert taken == {(role, role) for role in accounts}


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


ISSUER: Final = "token.actions.githubusercontent.com"
MAIN: Final = "ref:refs/heads/main"
OURS: Final = "example-company/internal-file-processing-system"
NUMBERED: Final = "example-company@123456/internal-file-processing-system@456789"


def token(subject: str, repository_id: str = "456789", audience: str = "sts.amazonaws.com") -> Mapping[str, str]:
    """What AWS reads of a job's token: https://docs.github.com/en/actions/reference/security/oidc."""
    return {f"{ISSUER}:aud": audience, f"{ISSUER}:sub": subject, f"{ISSUER}:repository_id": repository_id}


@pytest.mark.parametrize("subject", [f"repo:{OURS}:{MAIN}", f"repo:{NUMBERED}:{MAIN}"])
def test_both_forms_of_the_subject_take_the_role_for_images(shared_plan: dict[str, Any], subject: str) -> None:
    assert takes(shared_plan, "github-push-images", token(subject))


@pytest.mark.parametrize(
    "presented",
    [
        token(f"repo:{OURS}:pull_request"),
        token(f"repo:{NUMBERED}:pull_request"),
        token(f"repo:{OURS}:ref:refs/heads/other"),
        token(f"repo:{OURS}:{MAIN}", audience="sts.example.com"),
        # The same name, made again by somebody else after it became free.
        token(f"repo:{OURS}:{MAIN}", repository_id="999999"),
        token(f"repo:example-company@999999/internal-file-processing-system@456789:{MAIN}"),
        token(f"repo:example-company@123456/internal-file-processing-system@999999:{MAIN}"),
        # Names that begin or end alike.
        token(f"repo:example-company-2@123456/internal-file-processing-system@456789:{MAIN}"),
        token(f"repo:example-company@123456/internal-file-processing-system-2@456789:{MAIN}"),
        token(f"repo:{NUMBERED}1:{MAIN}"),
        token(f"repo:{NUMBERED}:{MAIN}2"),
        token(f"repo:{NUMBERED.upper()}:{MAIN}"),
    ],
    ids=lambda presented: presented[f"{ISSUER}:sub"],
)
def test_no_other_run_takes_the_role_for_images(shared_plan: dict[str, Any], presented: Mapping[str, str]) -> None:
    assert not takes(shared_plan, "github-push-images", presented)


def takes(plan: Mapping[str, Any], role: str, presented: Mapping[str, str]) -> bool:
    """Whether a job that presents this token gets the role."""
    known = roles(plan)[role]
    trust, context = (json.loads(known_to_the_simulator(json.dumps(each))) for each in (known.trust, presented))
    provider = f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{ISSUER}"
    (answer,) = may_take([(replace(known, trust=trust), provider, context)], "sts:AssumeRoleWithWebIdentity")
    return answer


def known_to_the_simulator(text: str) -> str:
    """The text with other names for two claims: the simulator compares GitHub's other claims, but leaves out these."""
    return text.replace(f"{ISSUER}:aud", f"{ISSUER}:actor").replace(f"{ISSUER}:sub", f"{ISSUER}:job_workflow_ref")


READERS: Final = {
    "github-terraform-plan": {"shared", "dev", "prod"},
    "github-terraform-preview": {"shared", "dev"},
}


def test_a_pull_request_reads_no_state_that_holds_a_key(shared_plan: dict[str, Any]) -> None:
    """The states of the bootstrap (the GitHub App's key) and of prod (the VPN's keys)."""
    known = roles(shared_plan)
    bucket = "arn:aws:s3:::example-company-terraform-state"
    states = {f"{name}/terraform.tfstate" for name in ("shared", "dev", "prod", "state")}
    states |= {"dev/bootstrap.tfstate", "prod/bootstrap.tfstate", "dev/../prod/other"}
    for name, environments in READERS.items():
        role = reads_everything(known[name])
        asked = [(role, Request("s3:GetObject", f"{bucket}/{state}")) for state in sorted(states)]
        readable = {state for state, may in zip(sorted(states), decide(asked), strict=True) if may}
        assert readable == {f"{environment}/terraform.tfstate" for environment in environments}


def test_a_plan_reads_no_data_and_a_pull_request_no_key_of_the_vpn(shared_plan: dict[str, Any]) -> None:
    known = roles(shared_plan)
    account = f"{REGION}:{ACCOUNT_ID}"
    data = [
        Request("s3:GetObject", "arn:aws:s3:::dev-department-data/departments/mcp-hr/people.csv"),
        Request("dynamodb:Query", f"arn:aws:dynamodb:{account}:table/dev-jobs"),
        Request("sqs:ReceiveMessage", f"arn:aws:sqs:{account}:dev-jobs"),
        Request("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{account}:secret:dev-frontend-AbCdEf"),
        Request("logs:GetLogEvents", f"arn:aws:logs:{account}:log-group:/aws/eks/dev:log-stream:a"),
    ]
    for name in READERS:
        assert decide([(reads_everything(known[name]), each) for each in data]) == [False] * len(data)
    vpn = Request("ec2:DescribeVpnConnections", "*")
    assert decide([(reads_everything(known[name]), vpn) for name in READERS]) == [True, False]


def reads_everything(role: Role) -> Role:
    """The role with every right, more than AWS's ReadOnlyAccess has, but for what its own policies deny."""
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    return replace(role, policies={**role.policies, "ReadOnlyAccess": everything})


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_only_roles_of_aws_itself_have_policies_that_the_table_does_not_see(
    environment: str, dev_plan: dict[str, Any], prod_plan: dict[str, Any]
) -> None:
    unseen = policies_without_role(dev_plan if environment == "dev" else prod_plan)
    assert {address.partition("module.platform.")[2] for address in unseen} <= {
        "module.cluster.aws_iam_role_policy.secrets",
        "module.network.aws_iam_role_policy.flow",
    }

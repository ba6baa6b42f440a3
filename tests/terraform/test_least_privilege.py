"""Who may do what, decided by the statements of the plans: what a service needs, and its neighbours' data refused."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pytest
from tests.terraform.iam_simulator import Request, decide

from infrastructure.policies import Document, bucket_policies, endpoint_policies, key_policies, roles
from infrastructure.resources import Plan
from infrastructure.terraform import ACCOUNT_ID, REGION

pytestmark = pytest.mark.slow


class Line(NamedTuple):
    """One line of the table; `{env}` and `{other}` stand for the two environments."""

    service: str
    allowed: bool
    action: str
    resource: str
    context: Mapping[str, str | list[str]] = {}


FILES: Final = "arn:aws:s3:::{env}-files-" + ACCOUNT_ID
DATA: Final = "arn:aws:s3:::{env}-department-data-" + ACCOUNT_ID
JOBS: Final = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{{env}}-jobs"
EXCHANGES: Final = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{{env}}-exchanges"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{{env}}-jobs"
DEAD: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{{env}}-jobs-dead"
KEY: Final = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/0a1b2c3d-0000-4000-8000-000000000001"
CLUSTER: Final = f"arn:aws:eks:{REGION}:{ACCOUNT_ID}:cluster/{{env}}-file-processing"
ASSOCIATION: Final = f"arn:aws:eks:{REGION}:{ACCOUNT_ID}:podidentityassociation/{{env}}-file-processing/a-1"
ROLE: Final = f"arn:aws:iam::{ACCOUNT_ID}:role/{{env}}-"
SECRET: Final = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:"
GROUP: Final = f"arn:aws:autoscaling:{REGION}:{ACCOUNT_ID}:autoScalingGroup:0a1b2c3d:autoScalingGroupName/eks-general"
TARGETS: Final = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT_ID}:targetgroup/"
DATABASE: Final = f"arn:aws:rds-db:{REGION}:{ACCOUNT_ID}:dbuser:db-ABCDEFGHIJ/"
LOGS: Final = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/aws/"
AGENT: Final = "amazon-cloudwatch-observability"
PODS: Final = LOGS + "containerinsights/{env}-file-processing/application:log-stream:a"
FINANCE: Final = {"aws:PrincipalTag/kubernetes-service-account": "mcp-finance"}
SIGNING: Final = {"kms:ResourceAliases": ["alias/{env}-gateway-signing"]}
TO_PODS: Final = {"iam:PassedToService": "pods.eks.amazonaws.com"}
OURS: Final = {"aws:ResourceTag/k8s.io/cluster-autoscaler/{env}-file-processing": "owned"}


def lines(service: str, *, allowed: bool, asked: list[tuple[Any, ...]]) -> list[Line]:
    """A line for each request."""
    return [Line(service, allowed, *request) for request in asked]


NEEDED: Final = [
    *lines(
        "agentgateway",
        allowed=True,
        asked=[
            ("kms:Sign", KEY, SIGNING),
            ("kms:GetPublicKey", KEY, SIGNING),
            ("dynamodb:PutItem", EXCHANGES),
        ],
    ),
    *lines(
        "application",
        allowed=True,
        asked=[
            ("s3:PutObject", FILES + "/uploads/1"),
            ("s3:GetObject", FILES + "/uploads/1"),
            ("s3:DeleteObject", FILES + "/uploads/1"),
            ("s3:AbortMultipartUpload", FILES + "/uploads/1"),
            ("s3:GetObject", FILES + "/results/1/1"),
            ("s3:DeleteObject", FILES + "/results/1/1"),
            ("s3:AbortMultipartUpload", FILES + "/results/1/1"),
            ("s3:ListBucket", FILES),
            ("s3:ListBucket", FILES, {"s3:prefix": "results/1/"}),
            ("s3:ListBucketMultipartUploads", FILES, {"s3:prefix": "results/1/"}),
            ("sqs:SendMessage", QUEUE),
            ("sqs:GetQueueAttributes", QUEUE),
            ("dynamodb:GetItem", JOBS),
            ("dynamodb:BatchGetItem", JOBS),
            ("dynamodb:PutItem", JOBS),
            ("dynamodb:UpdateItem", JOBS),
            ("dynamodb:DeleteItem", JOBS),
            ("dynamodb:Query", JOBS),
        ],
    ),
    *lines(
        "application-worker",
        allowed=True,
        asked=[
            ("s3:GetObject", FILES + "/uploads/1"),
            ("s3:PutObject", FILES + "/results/1/1"),
            ("s3:GetObject", FILES + "/results/1/1"),
            ("s3:DeleteObject", FILES + "/results/1/1"),
            ("s3:AbortMultipartUpload", FILES + "/results/1/1"),
            ("s3:ListBucket", FILES, {"s3:prefix": "results/1/"}),
            ("s3:ListBucketMultipartUploads", FILES, {"s3:prefix": "results/1/"}),
            ("sqs:ReceiveMessage", QUEUE),
            ("sqs:DeleteMessage", QUEUE),
            ("sqs:ChangeMessageVisibility", QUEUE),
            ("sqs:SendMessage", QUEUE),
            ("sqs:GetQueueAttributes", QUEUE),
            ("dynamodb:GetItem", JOBS),
            ("dynamodb:PutItem", JOBS),
            ("dynamodb:UpdateItem", JOBS),
            ("dynamodb:Query", JOBS + "/index/gsi1"),
        ],
    ),
    *lines(
        "frontend",
        allowed=True,
        asked=[
            ("s3:GetObject", FILES + "/frontend/1/a.csv"),
            ("s3:PutObject", FILES + "/frontend/1/a.csv"),
            ("s3:DeleteObject", FILES + "/frontend/1/a.csv"),
            ("s3:ListBucket", FILES, {"s3:prefix": "frontend/1/"}),
            ("s3:ListBucket", FILES, {"s3:prefix": "frontend/1/a.csv"}),
        ],
    ),
    *lines(
        "department",
        allowed=True,
        asked=[
            ("s3:GetObject", DATA + "/departments/mcp-finance/vendors.parquet", FINANCE),
            ("s3:ListBucket", DATA, {**FINANCE, "s3:prefix": "departments/mcp-finance/"}),
            # Who may list a key is told 404 where it is missing, others 403: S3 asks this with the key as the prefix.
            ("s3:ListBucket", DATA, {**FINANCE, "s3:prefix": "departments/mcp-finance/vendors.parquet"}),
        ],
    ),
    *lines(
        "department-operator",
        allowed=True,
        asked=[
            ("eks:CreatePodIdentityAssociation", CLUSTER),
            ("eks:ListPodIdentityAssociations", CLUSTER),
            ("eks:DeletePodIdentityAssociation", ASSOCIATION),
            ("iam:PassRole", ROLE + "department", TO_PODS),
            ("iam:GetRole", ROLE + "department"),
        ],
    ),
    *lines(
        "aws-load-balancer-controller",
        allowed=True,
        asked=[
            ("elasticloadbalancing:RegisterTargets", TARGETS + "{env}-agentgateway/1"),
            ("elasticloadbalancing:DeregisterTargets", TARGETS + "{env}-frontend/1"),
            ("elasticloadbalancing:DescribeTargetHealth", "*"),
            ("ec2:DescribeVpcs", "*"),
        ],
    ),
    *lines(
        "cluster-autoscaler",
        allowed=True,
        asked=[
            ("autoscaling:SetDesiredCapacity", GROUP, OURS),
            ("autoscaling:TerminateInstanceInAutoScalingGroup", GROUP, OURS),
            *((f"autoscaling:Describe{each}", "*") for each in ("AutoScalingGroups", "ScalingActivities")),
            *((f"ec2:Describe{each}", "*") for each in ("Images", "InstanceTypes", "LaunchTemplateVersions")),
        ],
    ),
    *lines(
        "external-secrets", allowed=True, asked=[("secretsmanager:GetSecretValue", SECRET + "{env}-frontend-AbCdEf")]
    ),
    *lines("keda-operator", allowed=True, asked=[("sqs:GetQueueAttributes", QUEUE)]),
    *lines(
        AGENT,
        allowed=True,
        asked=[("logs:CreateLogStream", PODS), ("logs:PutLogEvents", PODS), ("xray:PutTraceSegments", "*")],
    ),
]

REFUSED: Final = [
    *lines(
        "agentgateway",
        allowed=False,
        asked=[
            ("kms:Sign", KEY, {"kms:ResourceAliases": ["alias/{other}-gateway-signing"]}),
            ("kms:Sign", KEY),
            ("kms:ScheduleKeyDeletion", KEY, SIGNING),
            ("dynamodb:DeleteItem", EXCHANGES),
            ("dynamodb:PutItem", JOBS),
            ("s3:GetObject", FILES + "/uploads/1"),
            ("s3:GetObject", DATA + "/departments/mcp-finance/vendors.parquet"),
            ("sqs:SendMessage", QUEUE),
        ],
    ),
    *lines(
        "application",
        allowed=False,
        asked=[
            ("s3:PutObject", FILES + "/results/1/1"),
            ("s3:GetObject", FILES + "/frontend/1/a.csv"),
            ("s3:PutBucketPolicy", FILES),
            ("s3:GetObject", DATA + "/departments/mcp-finance/vendors.parquet"),
            ("s3:GetObject", "arn:aws:s3:::{other}-files-" + ACCOUNT_ID + "/uploads/1"),
            ("s3:GetObject", FILES + "/uploads/1", {"aws:SecureTransport": "false"}),
            ("sqs:ReceiveMessage", QUEUE),
            ("sqs:DeleteMessage", QUEUE),
            ("dynamodb:PutItem", EXCHANGES),
            ("dynamodb:Scan", JOBS),
            ("kms:Sign", KEY, SIGNING),
        ],
    ),
    *lines(
        "application-worker",
        allowed=False,
        asked=[
            ("s3:PutObject", FILES + "/uploads/1"),
            ("s3:DeleteObject", FILES + "/uploads/1"),
            ("s3:GetObject", DATA + "/departments/mcp-finance/vendors.parquet"),
            ("sqs:PurgeQueue", QUEUE),
            ("sqs:ReceiveMessage", DEAD),
            ("dynamodb:Query", JOBS),
            ("dynamodb:DeleteItem", JOBS),
            ("dynamodb:DeleteTable", JOBS),
            ("dynamodb:PutItem", EXCHANGES),
            ("kms:Sign", KEY, SIGNING),
        ],
    ),
    *lines(
        "frontend",
        allowed=False,
        asked=[
            ("s3:GetObject", FILES + "/uploads/1"),
            ("s3:GetObject", FILES + "/results/1/1"),
            ("s3:ListBucket", FILES),
            ("s3:ListBucket", FILES, {"s3:prefix": "uploads/"}),
            ("s3:GetObject", DATA + "/departments/mcp-hr/employees.parquet"),
            ("dynamodb:GetItem", JOBS),
            ("sqs:SendMessage", QUEUE),
            ("rds-db:connect", DATABASE + "{other}_frontend"),
            ("secretsmanager:GetSecretValue", SECRET + "{env}-frontend-AbCdEf"),
        ],
    ),
    *lines(
        "department",
        allowed=False,
        asked=[
            ("s3:GetObject", DATA + "/departments/mcp-hr/employees.parquet", FINANCE),
            ("s3:GetObject", DATA + "/departments/mcp-finance-secret/a.csv", FINANCE),
            ("s3:GetObject", DATA + "/departments/mcp-finance/vendors.parquet"),
            ("s3:PutObject", DATA + "/departments/mcp-finance/vendors.parquet", FINANCE),
            ("s3:ListBucket", DATA, FINANCE),
            ("s3:ListBucket", DATA, {**FINANCE, "s3:prefix": "departments/mcp-hr/"}),
            ("s3:ListBucket", DATA, {**FINANCE, "s3:prefix": "departments/mcp-hr/employees.parquet"}),
            ("s3:GetObject", FILES + "/uploads/1", FINANCE),
            ("dynamodb:GetItem", JOBS, FINANCE),
        ],
    ),
    *lines(
        "department-operator",
        allowed=False,
        asked=[
            ("iam:PassRole", ROLE + "application", TO_PODS),
            ("iam:PassRole", ROLE + "department", {"iam:PassedToService": "ec2.amazonaws.com"}),
            ("eks:CreatePodIdentityAssociation", CLUSTER.replace("{env}", "{other}")),
            ("eks:DeletePodIdentityAssociation", ASSOCIATION.replace("{env}", "{other}")),
            ("eks:UpdateClusterConfig", CLUSTER),
            ("iam:PutRolePolicy", ROLE + "department"),
            ("s3:GetObject", DATA + "/departments/mcp-finance/vendors.parquet"),
        ],
    ),
    *lines(
        "aws-load-balancer-controller",
        allowed=False,
        asked=[
            ("elasticloadbalancing:RegisterTargets", TARGETS + "{other}-agentgateway/1"),
            (
                "elasticloadbalancing:CreateLoadBalancer",
                f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT_ID}:loadbalancer/app/x/1",
            ),
            ("ec2:AuthorizeSecurityGroupIngress", f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:security-group/sg-1"),
        ],
    ),
    *lines(
        "cluster-autoscaler",
        allowed=False,
        asked=[
            ("autoscaling:SetDesiredCapacity", GROUP),
            (
                "autoscaling:SetDesiredCapacity",
                GROUP,
                {"aws:ResourceTag/k8s.io/cluster-autoscaler/{other}-file-processing": "owned"},
            ),
            ("autoscaling:DescribeTags", "*"),
        ],
    ),
    *lines(
        "external-secrets",
        allowed=False,
        asked=[
            ("secretsmanager:GetSecretValue", SECRET + "{other}-frontend-AbCdEf"),
            ("secretsmanager:GetSecretValue", SECRET + "rds!db-0a1b2c3d-AbCdEf"),
            ("secretsmanager:PutSecretValue", SECRET + "{env}-frontend-AbCdEf"),
            ("secretsmanager:DescribeSecret", SECRET + "{env}-frontend-AbCdEf"),
        ],
    ),
    *lines("keda-operator", allowed=False, asked=[("sqs:ReceiveMessage", QUEUE), ("sqs:GetQueueAttributes", DEAD)]),
    *lines(
        AGENT, allowed=False, asked=[("logs:PutLogEvents", LOGS + "eks/{env}-file-processing/cluster:log-stream:a")]
    ),
    *lines(AGENT, allowed=False, asked=[("logs:CreateLogGroup", PODS), ("cloudwatch:PutMetricData", "*")]),
]
TABLE: Final = [*NEEDED, *REFUSED]
OF_PROD: Final = [Line("frontend", True, "rds-db:connect", DATABASE + "prod_frontend")]


def _placed(text: str, environment: str) -> str:
    other = "prod" if environment == "dev" else "dev"
    return text.replace("{env}", environment).replace("{other}", other)


def _request(line: Line, environment: str) -> Request:
    context = {
        _placed(key, environment): [_placed(item, environment) for item in value]
        if isinstance(value, list)
        else _placed(value, environment)
        for key, value in line.context.items()
    }
    return Request(line.action, _placed(line.resource, environment), context)


@pytest.fixture(scope="session")
def decisions(dev_plan: dict[str, Any], prod_plan: dict[str, Any]) -> dict[tuple[str, int], bool]:
    """What is decided of each line of the table, in each environment: one process decides them all."""
    decided: dict[tuple[str, int], bool] = {}
    for environment, plan, table in (("dev", dev_plan, TABLE), ("prod", prod_plan, [*TABLE, *OF_PROD])):
        known = roles(plan)
        asked = [(known[f"{environment}-{line.service}"], _request(line, environment)) for line in table]
        policies = resource_policies(plan)
        answers = decide(asked, policies, endpoint_policies(plan))
        decided |= {(environment, index): answer for index, answer in enumerate(answers)}
    return decided


def resource_policies(plan: Plan) -> dict[str, Document]:
    """The policies of buckets and of the signing key, by ARN; the key's is invented, since AWS gives it."""
    (signing,) = key_policies(plan, "signing")
    return {f"arn:aws:s3:::{name}": policy for name, policy in bucket_policies(plan).items()} | {KEY: signing}


def _name(line: Line) -> str:
    resource = line.resource.rpartition(":")[2].removesuffix("-" + ACCOUNT_ID).replace("-" + ACCOUNT_ID, "")
    given = ",".join(f"{key.rpartition(':')[2]}={value}" for key, value in line.context.items())
    return f"{line.service} {line.action} {resource}{f' [{given}]' if given else ''}"


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("index", range(len(NEEDED)), ids=[_name(line) for line in NEEDED])
def test_what_a_service_needs_is_allowed(environment: str, index: int, decisions: dict[tuple[str, int], bool]) -> None:
    assert decisions[environment, index]


@pytest.mark.parametrize("environment", ["dev", "prod"])
@pytest.mark.parametrize("index", range(len(REFUSED)), ids=[_name(line) for line in REFUSED])
def test_neighbours_data_and_all_else_is_refused(
    environment: str, index: int, decisions: dict[tuple[str, int], bool]
) -> None:
    assert not decisions[environment, len(NEEDED) + index]


def test_the_frontend_logs_in_to_the_database_where_there_is_one(decisions: dict[tuple[str, int], bool]) -> None:
    assert decisions["prod", len(TABLE)]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_no_statement_allows_an_action_that_no_line_needs(
    environment: str, dev_plan: dict[str, Any], prod_plan: dict[str, Any]
) -> None:
    plan = dev_plan if environment == "dev" else prod_plan
    needed = {(line.service, line.action) for line in [*NEEDED, *OF_PROD]}
    services = {line.service for line in NEEDED}
    spare = {
        (service, action)
        for name, role in roles(plan).items()
        if (service := name.removeprefix(f"{environment}-")) in services
        for policy in role.policies.values()
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        # What only looks is left to the controllers' own documentation.
        if not action.partition(":")[2].startswith(("Describe", "Get"))
    }
    assert {action for _, action in spare if "*" in action} == set()
    assert spare - needed == set()


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_on_premises_roles_may_do_nothing_in_aws(
    environment: str, dev_plan: dict[str, Any], prod_plan: dict[str, Any]
) -> None:
    known = roles(dev_plan if environment == "dev" else prod_plan)
    on_premises = [role for name, role in known.items() if name.startswith(f"{environment}-on-premises")]
    assert all(not role.policies for role in on_premises)
    assert environment == "dev" or on_premises

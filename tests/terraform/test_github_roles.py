"""What GitHub's workflows ask of AWS, step by step, decided by the policies of their roles; and nothing beyond it.

Runners are outside the VPC, so no endpoint policy judges them. The registry's repository policy only adds rights, for
other accounts, and the state bucket's only asks for TLS: the roles' own policies decide.
"""

import json
import re
import tarfile
from dataclasses import replace
from typing import Any, Final

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from tests.helpers.registry import oci_archive, running_registry
from tests.terraform.iam_simulator import Request, decide

from delivery.registry import digest, run_program, tag
from infrastructure.policies import key_policies, roles
from infrastructure.resources import resources
from infrastructure.terraform import ACCOUNT_ID, REGION
from local.kubernetes.tools import tool

pytestmark = pytest.mark.slow

MANAGED: Final[dict[str, Any]] = json.loads(aws_managed_policies_data)
PUSH: Final = "github-push-images"
PROMOTE: Final = "github-promote-images"
ECR: Final = f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/"

# The right that ECR asks for each request of the OCI distribution specification:
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImageReferrers.html (BatchGetImage)
RIGHTS: Final = {
    r"GET /v2/": "ecr:GetAuthorizationToken",
    r"(HEAD|GET) /v2/.+/manifests/.+": "ecr:BatchGetImage",
    r"GET /v2/.+/referrers/.+": "ecr:BatchGetImage",
    r"PUT /v2/.+/manifests/.+": "ecr:PutImage",
    r"HEAD /v2/.+/blobs/sha256:.+": "ecr:BatchCheckLayerAvailability",
    r"GET /v2/.+/blobs/sha256:.+": "ecr:GetDownloadUrlForLayer",
    r"POST /v2/.+/blobs/uploads/": "ecr:InitiateLayerUpload",
    r"PATCH /v2/.+/blobs/uploads/.+": "ecr:UploadLayerPart",
    r"PUT /v2/.+/blobs/uploads/.+": "ecr:CompleteLayerUpload",
}
# Of programs that do not run here, since they sign by a workflow's identity: cosign, actions/attest-build-provenance.
# Both write an artifact that refers to the image, after they asked whether the registry can list those; cosign reads
# what a run before it wrote (github.com/sigstore/cosign pkg/oci/remote, github.com/sigstore/sigstore-js packages/oci).
SIGNING: Final = [
    "GET /v2/",
    "GET /v2/agentgateway/manifests/sha256:1",
    "GET /v2/agentgateway/referrers/sha256:1",
    "GET /v2/agentgateway/blobs/sha256:1",
    "HEAD /v2/agentgateway/blobs/sha256:2",
    "POST /v2/agentgateway/blobs/uploads/",
    "PATCH /v2/agentgateway/blobs/uploads/1",
    "PUT /v2/agentgateway/blobs/uploads/1",
    "PUT /v2/agentgateway/manifests/sha256:2",
]
REFUSED: Final = [
    "ecr:BatchDeleteImage",
    "ecr:DeleteRepository",
    "ecr:SetRepositoryPolicy",
    "ecr:PutImageTagMutability",
    "ecr:PutLifecyclePolicy",
]
UPLOADS: Final = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each role's steps ask the registry: crane's requests as it made them, the signers' as listed."""
    crane, folder = str(tool("crane")), tmp_path_factory.mktemp("image")
    oci_archive(folder / "image.tar", b"content")
    with tarfile.open(folder / "image.tar") as archive:
        archive.extractall(folder / "layout", filter="data")
    with running_registry(folder / "log") as registry:
        image = f"{registry.host}/agentgateway"
        # As delivery.publish does.
        assert digest(crane, f"{image}:1") is None
        run_program(crane, "push", str(folder / "layout"), f"{image}:1")
        assert tag(crane, image, "1", "build-1")
        published = registry.asked()
        # As delivery.keep does.
        assert tag(crane, image, "1", "prod-1")
        return {PUSH: published + SIGNING, PROMOTE: registry.asked()[len(published) :]}


def right(request: str) -> str:
    """The right that a request needs."""
    (found,) = {action for pattern, action in RIGHTS.items() if re.fullmatch(pattern, request)}
    return found


def judged(plan: dict[str, Any], name: str, actions: list[str], repository: str = "agentgateway") -> dict[str, bool]:
    """Whether a role may do each action in one repository."""
    role = roles(plan)[name]
    places = ["*" if action == "ecr:GetAuthorizationToken" else ECR + repository for action in actions]
    asked = [(role, Request(action, place)) for action, place in zip(actions, places, strict=True)]
    return dict(zip(actions, decide(asked), strict=True))


@pytest.mark.parametrize("name", [PUSH, PROMOTE])
def test_workflow_may_ask_the_registry_for_what_its_steps_need_and_for_nothing_else(
    shared_plan: dict[str, Any], requests: dict[str, list[str]], name: str
) -> None:
    needed = sorted({right(request) for request in requests[name]})
    assert len(needed) >= 3
    assert judged(shared_plan, name, needed) == dict.fromkeys(needed, True)
    granted = {
        action
        for policy in roles(shared_plan)[name].policies.values()
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert granted == set(needed)
    refused = [*REFUSED, *(UPLOADS if name == PROMOTE else [])]
    assert judged(shared_plan, name, refused) == dict.fromkeys(refused, False)
    # A repository that is not of this registry's list.
    elsewhere = [action for action in needed if action != "ecr:GetAuthorizationToken"]
    assert judged(shared_plan, name, elsewhere, "another") == dict.fromkeys(elsewhere, False)


ARN: Final = f"{REGION}:{ACCOUNT_ID}"
STATES: Final = "example-company-terraform-state"
BUCKET: Final = "arn:aws:s3:::dev-files"
KEY: Final = f"arn:aws:kms:{ARN}:key/0a1b2c3d-0000-4000-8000-000000000001"
CLUSTER: Final = f"arn:aws:eks:{ARN}"
# What a plan asks of AWS about what is there, by the read functions of terraform-provider-aws (internal/service/*) and
# of the backend s3 (hashicorp/terraform internal/backend/remote-state/s3); rights of S3's calls:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
READS: Final = [
    ("s3:ListBucket", f"arn:aws:s3:::{STATES}"),
    ("s3:GetObject", f"arn:aws:s3:::{STATES}/dev/terraform.tfstate"),
    ("acm:DescribeCertificate", f"arn:aws:acm:{ARN}:certificate/1"),
    ("autoscaling:DescribeTags", "*"),
    ("budgets:ViewBudget", f"arn:aws:budgets::{ACCOUNT_ID}:budget/dev"),
    ("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{ARN}:alarm:a"),
    ("cloudwatch:GetDashboard", f"arn:aws:cloudwatch::{ACCOUNT_ID}:dashboard/dev"),
    *(
        (f"cognito-idp:{call}", f"arn:aws:cognito-idp:{ARN}:userpool/{REGION}_1")
        for call in ("DescribeUserPool", "GetGroup")
    ),
    ("dynamodb:DescribeContinuousBackups", f"arn:aws:dynamodb:{ARN}:table/dev-jobs"),
    ("dynamodb:DescribeTimeToLive", f"arn:aws:dynamodb:{ARN}:table/dev-jobs"),
    ("ec2:DescribeLaunchTemplateVersions", "*"),
    ("ec2:DescribeVpcAttribute", f"arn:aws:ec2:{ARN}:vpc/vpc-1"),
    ("ecr:GetLifecyclePolicy", f"{ECR}agentgateway"),
    ("eks:DescribeAddon", f"{CLUSTER}:addon/dev/vpc-cni/1"),
    ("eks:DescribeAccessEntry", f"{CLUSTER}:access-entry/dev/role/{ACCOUNT_ID}/a/1"),
    ("eks:DescribeNodegroup", f"{CLUSTER}:nodegroup/dev/a/1"),
    ("eks:DescribePodIdentityAssociation", f"{CLUSTER}:podidentityassociation/dev/a-1"),
    ("elasticloadbalancing:DescribeTargetGroupAttributes", "*"),
    ("iam:GetOpenIDConnectProvider", f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/token.actions.githubusercontent.com"),
    ("iam:GetRolePolicy", f"arn:aws:iam::{ACCOUNT_ID}:role/dev-application"),
    ("kms:GetKeyPolicy", KEY),
    ("kms:GetKeyRotationStatus", KEY),
    ("logs:DescribeLogGroups", "*"),
    ("route53:ListResourceRecordSets", "arn:aws:route53:::hostedzone/Z1"),
    *((f"s3:Get{what}", BUCKET) for what in ("BucketPolicy", "EncryptionConfiguration", "LifecycleConfiguration")),
    ("secretsmanager:DescribeSecret", f"arn:aws:secretsmanager:{ARN}:secret:dev-frontend-AbCdEf"),
    ("secretsmanager:GetResourcePolicy", f"arn:aws:secretsmanager:{ARN}:secret:dev-frontend-AbCdEf"),
    ("sns:GetSubscriptionAttributes", f"arn:aws:sns:{ARN}:dev-alarms"),
    ("sqs:GetQueueAttributes", f"arn:aws:sqs:{ARN}:dev-jobs"),
    ("wafv2:GetLoggingConfiguration", f"arn:aws:wafv2:{ARN}:regional/webacl/a/1"),
]
READS_OF_PROD: Final = [
    ("directconnect:DescribeDirectConnectGateways", "*"),
    ("ec2:DescribeVpnConnections", "*"),
    ("rds:DescribeDBInstances", f"arn:aws:rds:{ARN}:db:prod-frontend"),
    ("rds:DescribeDBParameters", f"arn:aws:rds:{ARN}:pg:prod-frontend"),
    ("rolesanywhere:GetTrustAnchor", f"arn:aws:rolesanywhere:{ARN}:trust-anchor/1"),
    ("route53resolver:GetResolverEndpoint", f"arn:aws:route53resolver:{ARN}:resolver-endpoint/1"),
]


@pytest.mark.parametrize("name", ["github-terraform-plan", "github-terraform-preview"])
def test_plan_may_read_what_terraform_asks_for_and_change_nothing(
    shared_plan: dict[str, Any], dev_plan: dict[str, Any], name: str
) -> None:
    """By AWS's own ReadOnlyAccess, as far as the role's own policy leaves it."""
    (attached,) = (
        each.values["policy_arn"].rpartition("/")[2]
        for each in resources(shared_plan, "aws_iam_role_policy_attachment")
        if each.values["role"] == name
    )
    own = roles(shared_plan)[name]
    role = replace(own, policies={**own.policies, attached: MANAGED[attached]["Document"]})
    reads = [*READS, *(READS_OF_PROD if name == "github-terraform-plan" else [])]
    changes = [
        ("s3:PutObject", f"arn:aws:s3:::{STATES}/dev/terraform.tfstate"),
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT_ID}:role/a"),
        ("ecr:PutImage", f"{ECR}agentgateway"),
    ]
    (signing,) = key_policies(dev_plan, "signing")  # without its policy's word, IAM's policies say nothing about a key
    answers = decide([(role, Request(*each)) for each in [*reads, *changes]], {KEY: signing})
    refused = [action for (action, _), may in zip(reads, answers, strict=False) if not may]
    assert refused == []
    assert answers[len(reads) :] == [False] * len(changes)

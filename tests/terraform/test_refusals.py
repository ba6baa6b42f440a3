"""A wrong variable of a service's module is refused in words that say the rule: all of them in two plans."""

import json
from typing import Final

import pytest

from infrastructure.terraform import Workspace

pytestmark = pytest.mark.slow

CALLS: Final = """
provider "aws" {
  region = "ap-southeast-1"
}

module "storage" {
  source              = "../../modules/storage"
  environment         = "Dev"
  account_id          = "1"
  app_origin          = "http://app.example.com"
  file_retention_days = 0
}

module "jobs" {
  source      = "../../modules/jobs"
  environment = "dev"
  account_id  = "111122223333"
  region      = "Singapore"
}

module "identity" {
  source             = "../../modules/identity"
  environment        = "dev"
  account_id         = "111122223333"
  region             = "ap-southeast-1"
  app_url            = "app.example.com"
  api_url            = "https://api.example.com"
  argocd_url         = "https://argocd.example.com"
  groups             = ["finance"]
  domain_prefix      = "cognito-login"
  mfa                = "on"
}

module "workload_identity" {
  source                     = "../../modules/workload-identity"
  environment                = "dev"
  account_id                 = "111122223333"
  region                     = "ap-southeast-1"
  cluster_name               = "dev-file-processing"
  cluster_arn                = "arn:aws:eks:ap-southeast-1:111122223333:cluster/dev-file-processing"
  signing_key_alias          = "dev-gateway-signing"
  files_bucket_arn           = "arn:aws:s3:::*"
  department_data_bucket_arn = "arn:aws:s3:::dev-department-data-111122223333"
  queue_arn                  = "arn:aws:sqs:ap-southeast-1:111122223333:dev-jobs"
  jobs_table_arn             = "arn:aws:dynamodb:ap-southeast-1:111122223333:table/dev-jobs"
  exchanges_table_arn        = "arn:aws:dynamodb:ap-southeast-1:111122223333:table/dev-exchanges"
}

module "database" {
  source                   = "../../modules/database"
  environment              = "dev"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1"]
  client_security_group_id = "sg-1"
  allocated_gb             = 5
}

module "observability" {
  source                    = "../../modules/observability"
  environment               = "dev"
  account_id                = "111122223333"
  region                    = "ap-southeast-1"
  cluster_name              = "dev-file-processing"
  alert_emails              = ["nobody"]
  nat_gateway_ids           = {}
  certificate_arn           = "arn:aws:acm:ap-southeast-1:111122223333:certificate/1"
  vpn_connection_ids        = { one = "vpn-1", two = "vpn-2" }
  public_alb_arn_suffix     = "app/dev-public/1"
  internal_alb_arn_suffix   = "app/dev-internal/1"
  target_group_arn_suffixes = {}
  queue_name                = "dev-jobs"
  dead_letter_queue_name    = "dev-jobs-dead"
  jobs_table_name           = "dev-jobs"
}

module "github" {
  source          = "../../modules/github"
  account_id      = "111122223333"
  repository      = "example-company"
  subjects        = ["pull_request"]
  repository_arns = ["arn:aws:ecr:ap-southeast-1:111122223333:repository/*"]
}
"""

RELATED: Final = """
provider "aws" {
  region = "ap-southeast-1"
}

module "identity" {
  source             = "../../modules/identity"
  environment        = "dev"
  account_id         = "111122223333"
  region             = "ap-southeast-1"
  app_url            = "https://app.example.com"
  api_url            = "https://api.example.com"
  argocd_url         = "https://argocd.example.com"
  groups             = ["finance"]
  domain_prefix      = "dev-login"
  on_premises_groups = { dev-batch = ["hr"] }
}

module "workload_identity" {
  source                     = "../../modules/workload-identity"
  environment                = "dev"
  account_id                 = "111122223333"
  region                     = "ap-southeast-1"
  cluster_name               = "dev-file-processing"
  cluster_arn                = "arn:aws:eks:ap-southeast-1:111122223333:cluster/dev-file-processing"
  mode                       = "irsa"
  signing_key_alias          = "alias/dev-gateway-signing"
  files_bucket_arn           = "arn:aws:s3:::dev-files-111122223333"
  department_data_bucket_arn = "arn:aws:s3:::dev-department-data-111122223333"
  queue_arn                  = "arn:aws:sqs:ap-southeast-1:111122223333:dev-jobs"
  jobs_table_arn             = "arn:aws:dynamodb:ap-southeast-1:111122223333:table/dev-jobs"
  exchanges_table_arn        = "arn:aws:dynamodb:ap-southeast-1:111122223333:table/dev-exchanges"
}

module "secrets" {
  source      = "../../modules/secrets"
  environment = "dev"
  secrets     = { prod-frontend = "of another environment" }
}
"""
"""Terraform looks at rules that join two variables only when each of them is right by itself."""

WORDS: Final = (
    "environment must be 2 to 10 lower-case letters or digits",
    "account_id must be 12 digits",
    "app_origin must be an https origin without a path",
    "file_retention_days must be a whole number from 1 to 365",
    "region must be an AWS region, for example ap-southeast-1",
    "app_url must be https without a path",
    "domain_prefix must be 1 to 63 lower-case letters",
    "mfa must be ON, OPTIONAL or OFF",
    "on_premises_groups must give each role at least one group",
    "signing_key_alias must start with alias/",
    "files_bucket_arn must be the ARN of one bucket, without *",
    "oidc_issuer_url must be the cluster's issuer",
    "a database subnet group needs two zones",
    "allocated_gb must be from 20 to 1000",
    "alert_emails must be e-mail addresses",
    "vpn_connection_ids must have one connection at most",
    "repository must be owner/name",
    "a pull request must not push images",
    "repository_arns must be ARNs of ECR repositories",
    "secrets must have names that start with the environment",
)


@pytest.fixture(scope="module")
def told(workspace: Workspace) -> str:
    """What Terraform says of all that is wrong."""
    said: list[str] = []
    for name, calls in (("refused", CALLS), ("refused-together", RELATED)):
        root = f"environments/{name}"
        workspace.path(root).mkdir()
        (workspace.path(root) / "main.tf").write_text(calls)
        workspace.detach(root)
        workspace.init(root)
        done = workspace.run(root, "plan", "-json", check=False)
        assert done.returncode == 1
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        said += [message["diagnostic"]["detail"] for message in messages if message["@level"] == "error"]
    return " ".join(said)


@pytest.mark.parametrize("words", WORDS)
def test_what_is_wrong_is_refused_in_words(told: str, words: str) -> None:
    assert words in told

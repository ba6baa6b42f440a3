"""`python -m delivery.terraform`: a plan that people read, and an apply that does what they read."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.helpers.clones import Clone
from tests.helpers.github import GitHubStandIn

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.slow

BUCKET = "terraform-state"
REGION: Final = "ap-southeast-1"
SECRET = "hunter2-hunter2"
ROOT = """\
terraform {
  backend "s3" {
    key                         = "dev/terraform.tfstate"
    region                      = "ap-southeast-1"
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
  }
}

variable "account" { type = any }

variable "password" {
  type      = string
  default   = "hunter2-hunter2"
  sensitive = true
}

resource "terraform_data" "address" { input = "app.${var.account.domain}" }
resource "terraform_data" "login" { input = var.password }
"""


def s3(environment: dict[str, str]) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        region_name=REGION,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    """S3 with the bucket, and what a job that took a role has in its environment."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "TERRAFORM_STATE_BUCKET": BUCKET,
        "TERRAFORM_ACCOUNTS": '{"dev": {"domain": "example.com"}}',
    }
    s3(environment).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield environment
    server.stop()


@pytest.fixture
def job(workflow: Clone, aws: dict[str, str]) -> Clone:
    """A clone whose dev root makes nothing outside of its state, which is empty."""
    s3(aws).delete_object(Bucket=BUCKET, Key="dev/terraform.tfstate")
    folder = workflow.folder / "infra-terraform/environments/dev"
    for file in (*folder.glob("*.tf"), *folder.glob(".terraform.lock.hcl")):
        file.unlink()
    workflow.write("infra-terraform/environments/dev/versions.tf", ROOT)
    workflow.git("clean", "--quiet", "--force", "-d", "-x", str(folder / ".terraform"))
    return replace(workflow, environment={**workflow.environment, **aws})


def digest(said: str) -> str:
    (found,) = re.findall(r"^digest: (\S+)$", said, re.MULTILINE)
    return str(found)


def outputs(tmp_path: Path) -> dict[str, str]:
    lines = (tmp_path / "output").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_plan_is_a_comment_without_what_is_sensitive(job: Clone, github: GitHubStandIn, tmp_path: Path) -> None:
    job.environment["GITHUB_REF"] = "refs/pull/7/merge"
    said = job.succeed("terraform", "plan", "--no-lock", "--comment", "dev")
    (comment,) = github.comments.values()
    assert comment["issue"] == 7
    assert "### Terraform: dev\n\n2 to create, 0 to update, 0 to replace, 0 to delete." in comment["body"]
    assert 'input  = "app.example.com"' in comment["body"]
    assert "(sensitive value)" in comment["body"]
    assert SECRET not in said + comment["body"]
    assert outputs(tmp_path) == {"changes": "true", "digest": digest(said)}
    # Again: the same plan, the same comment.
    assert digest(job.succeed("terraform", "plan", "--no-lock", "--comment", "dev")) == digest(said)
    assert len(github.comments) == 1


def test_what_was_approved_is_applied_and_what_would_be_lost_stands_first(job: Clone, tmp_path: Path) -> None:
    approved = digest(job.succeed("terraform", "plan", "dev"))
    assert job.succeed("terraform", "apply", "--expect", approved, "dev") == "dev: 2 changes applied\n"
    assert "No changes." in job.succeed("terraform", "plan", "dev")
    assert outputs(tmp_path)["changes"] == "false"
    text = (job.folder / "infra-terraform/environments/dev/versions.tf").read_text()
    job.write("infra-terraform/environments/dev/versions.tf", re.sub(r'resource "terraform_data" "login".*', "", text))
    job.succeed("terraform", "plan", "--comment", "dev")
    summary = (tmp_path / "summary.md").read_text()
    assert "0 to create, 0 to update, 0 to replace, 1 to delete." in summary
    assert "**What is there now goes away:**\n\n- `terraform_data.login` (delete)\n" in summary


def test_what_is_not_what_was_approved_is_not_applied(job: Clone) -> None:
    approved = digest(job.succeed("terraform", "plan", "dev"))
    job.replace("infra-terraform/environments/dev/versions.tf", '"app.$', '"www.$')
    said = job.refuse("terraform", "apply", "--expect", approved, "dev")
    assert "dev: what would be done is not what was approved" in said
    assert "www.example.com" in said
    now = digest(job.succeed("terraform", "plan", "dev"))
    assert now != approved
    assert f"(now {now})" in said


def test_a_plan_that_fails_is_told_in_terraforms_words(job: Clone, github: GitHubStandIn) -> None:
    job.environment["GITHUB_REF"] = "refs/pull/7/merge"
    job.write("infra-terraform/environments/dev/more.tf", 'output "it" { value = var.nowhere }\n')
    said = job.refuse("terraform", "plan", "--comment", "dev")
    assert 'variable can be declared with a variable "nowhere" {} block' in said
    assert "**The plan failed.**" in github.comments[1]["body"]
    assert 'variable can be declared with a variable "nowhere" {} block' in github.comments[1]["body"]


def test_what_is_not_set_or_not_there_is_named(job: Clone) -> None:
    assert "unknown root staging: infra-terraform/environments has dev, prod, shared" in job.refuse(
        "terraform", "plan", "staging"
    )
    job.environment["TERRAFORM_ACCOUNTS"] = '{"prod": {}}'
    assert "TERRAFORM_ACCOUNTS must be JSON with the account of each root" in job.refuse("terraform", "plan", "dev")
    del job.environment["TERRAFORM_ACCOUNTS"], job.environment["TERRAFORM_STATE_BUCKET"]
    assert "TERRAFORM_STATE_BUCKET must be set: the bucket that infra-terraform/state made" in job.refuse(
        "terraform", "plan", "dev"
    )

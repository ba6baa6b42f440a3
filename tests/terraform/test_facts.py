"""What a cluster is told of AWS: by `local` on this machine the same as by Terraform."""

import json
import re
from typing import Final

import pytest

from infrastructure.terraform import REPOSITORY
from local.kubernetes.facts import aws_facts, endpoints

pytestmark = pytest.mark.slow

NOT_HERE: Final = {
    "DATABASE_URL": "the page keeps a file where it has one replica",
    "DATABASE_IAM_AUTH": "as above",
    "STORAGE_BUCKET": "as above",
    "STORAGE_ORIGINS": "browsers reach the stand-in for S3 at the page's own address",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "no agent of CloudWatch's is here: nothing is traced",
    "OTEL_TRACES_SAMPLER_ARG": "as above",
    "LOGOUT_URL": "the page has its own way out, which the edge answers",
}
"""Facts of AWS that the local cluster does without, and why."""
ONLY_HERE: Final = {
    "AWS_ENDPOINT_URL": "botocore's own: AWS is the stand-in",
    "AWS_ACCESS_KEY_ID": "botocore's own: Pod Identity's agent is not here",
    "AWS_SECRET_ACCESS_KEY": "as above",
    "STS_ENDPOINT_URL": "known from the region on AWS",
    "COGNITO_JWKS_URL": "known from the issuer on AWS",
}
"""What the local cluster needs beside, and why AWS does not."""


def local_facts() -> dict[str, str]:
    url = "http://127.0.0.1:1"
    return aws_facts(url) | endpoints(url, url, url, url)


def written(environment: str) -> set[str]:
    """The keys that Terraform writes: those of `facts.tf`, with those of the database where the environment has one."""
    folder = REPOSITORY / "infra-terraform"
    everywhere, with_database = (folder / "modules/platform/facts.tf").read_text().split("var.database == null")
    has_database = re.search(r"^\s*database\s*=", (folder / f"environments/{environment}/main.tf").read_text(), re.M)
    return set(re.findall(r"^\s+([A-Z][A-Z_]+) += ", everywhere + (with_database if has_database else ""), re.M))


def test_the_local_cluster_is_told_what_terraform_writes() -> None:
    assert local_facts().keys() - ONLY_HERE.keys() == written("prod") - NOT_HERE.keys()
    assert NOT_HERE.keys() <= written("prod")


def test_what_dev_is_not_told_is_the_database_alone() -> None:
    assert written("prod") - written("dev") == {"DATABASE_URL", "DATABASE_IAM_AUTH", "STORAGE_BUCKET"}


def test_a_fact_is_of_one_kind_here_and_there() -> None:
    """A list is JSON on both sides, and a map too: a service that can read the one reads the other."""
    text = (REPOSITORY / "infra-terraform/modules/platform/facts.tf").read_text()
    encoded = set(re.findall(r"^\s+([A-Z][A-Z_]+) += jsonencode\(", text, re.M)) - NOT_HERE.keys()
    here = {key for key, value in local_facts().items() if value.startswith(("[", "{"))}
    assert encoded == here
    assert all(isinstance(json.loads(local_facts()[key]), list | dict) for key in encoded)

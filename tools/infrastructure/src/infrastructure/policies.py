"""The IAM statements of a plan: each role's policies and trust, each bucket's policy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.resources import Plan, resources

Document = Mapping[str, Any]
"""A policy document."""


class PolicyUnknown(Exception):
    """A policy cannot be read before it is applied, so that nothing can be said about it."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role: who may take it, and what it may do, by the name of each policy."""

    name: str
    trust: Document
    policies: Mapping[str, Document]


def roles(plan: Plan) -> dict[str, Role]:
    """The roles by their names, with the policies that name them.

    Raises:
        PolicyUnknown: The plan does not know one of the documents yet.
    """
    inline: dict[str, dict[str, Document]] = {}
    for policy in resources(plan, "aws_iam_role_policy"):
        if policy.values.get("role") is None:
            continue
        document = _document(policy.address, policy.values.get("policy"))
        inline.setdefault(policy.values["role"], {})[policy.values["name"]] = document
    return {
        role.values["name"]: Role(
            name=role.values["name"],
            trust=_document(role.address, role.values.get("assume_role_policy")),
            policies=inline.get(role.values["name"], {}),
        )
        for role in resources(plan, "aws_iam_role")
        if role.values.get("name")
    }


def policies_without_role(plan: Plan) -> list[str]:
    """Addresses of policies of which only AWS will say whose they are: `roles` lacks them."""
    return [policy.address for policy in resources(plan, "aws_iam_role_policy") if policy.values.get("role") is None]


def bucket_policies(plan: Plan) -> dict[str, Document]:
    """The policies of buckets by the buckets' names.

    Raises:
        PolicyUnknown: The plan does not know one of the documents yet.
    """
    return {
        policy.values["bucket"]: _document(policy.address, policy.values.get("policy"))
        for policy in resources(plan, "aws_s3_bucket_policy")
        if policy.values.get("bucket")
    }


def endpoint_policies(plan: Plan) -> dict[str, Document]:
    """The policies of VPC endpoints by the ends of their names: `s3`, `ecr.api`.

    Raises:
        PolicyUnknown: The plan does not know one of the documents yet.
    """
    return {
        endpoint.values["service_name"].split(".", 3)[3]: _document(endpoint.address, endpoint.values.get("policy"))
        for endpoint in resources(plan, "aws_vpc_endpoint")
    }


def key_policies(plan: Plan, name: str) -> list[Document]:
    """The policies of the KMS keys that Terraform calls `name`.

    Raises:
        PolicyUnknown: The plan does not know one of the documents yet.
    """
    return [
        _document(key.address, key.values.get("policy")) for key in resources(plan, "aws_kms_key") if key.name == name
    ]


def _document(address: str, text: str | None) -> Document:
    if text is None:
        raise PolicyUnknown(
            f"{address}: the plan does not know its policy; make it from names, not from what AWS gives"
        )
    document: Document = json.loads(text)
    return document

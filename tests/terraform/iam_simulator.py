"""A simulator of IAM's decisions, for the statements of a plan: `@cloud-copilot/iam-simulate`, in a process of its own.

The package is installed once into the user's cache, at a pinned version; Node comes from PyPI. Its process answers
until this one ends, which closes its input: only the first answer takes a second.
"""

import functools
import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from services.common.tests.npm import NODE, install

from infrastructure.policies import Document, Role
from infrastructure.terraform import ACCOUNT_ID

PACKAGE: Final = "@cloud-copilot/iam-simulate"
VERSION: Final = "0.1.173"
SCRIPT: Final = Path(__file__).with_name("simulate.mjs")
ONE_AT_A_TIME: Final = threading.Lock()


@dataclass(frozen=True)
class Request:
    """One request: `context` are IAM's condition keys, `caller` and `owner` the accounts of role and resource."""

    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)
    caller: str = ACCOUNT_ID
    owner: str = ACCOUNT_ID


def decide(
    asked: Sequence[tuple[Role, Request]],
    resource_policies: Mapping[str, Document] | None = None,
    endpoint_policies: Mapping[str, Document] | None = None,
) -> list[bool]:
    """Whether each request is allowed, in order.

    Args:
        asked: The requests, each with the role that makes it.
        resource_policies: Those of buckets and keys, by ARN.
        endpoint_policies: Those of VPC endpoints, by the ends of their names. A request to a service that has one goes
            through it, and its policy decides too: docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    simulations = [
        _simulation(role, request, resource_policies or {}, endpoint_policies or {}) for role, request in asked
    ]
    names = [f"{role.name} {request.action} {request.resource}" for role, request in asked]
    return _decided(simulations, names)


def may_take(asked: Sequence[tuple[Role, str, Mapping[str, str]]], action: str = "sts:AssumeRole") -> list[bool]:
    """Whether a service of AWS (`pods.eks.amazonaws.com`) or the users of an identity provider (its ARN) may take each
    role in a context, by the role's trust."""
    simulations = [
        {
            "identityPolicies": [],
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
            "resourcePolicy": role.trust,
            "request": {
                "action": action,
                "principal": service,
                "resource": {"accountId": ACCOUNT_ID, "resource": f"arn:aws:iam::{ACCOUNT_ID}:role/{role.name}"},
                "contextVariables": dict(context),
            },
        }
        for role, service, context in asked
    ]
    return _decided(simulations, [f"{service} takes {role.name}" for role, service, _ in asked])


def _decided(simulations: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[bool]:
    with ONE_AT_A_TIME:
        process = _simulator()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(simulations) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    assert line, f"the simulator ended, {process.poll()}; its words are on standard error"
    answers = json.loads(line)
    for name, answer in zip(names, answers, strict=True):
        # What the simulator refuses to simulate (no such action, another kind of resource) is a mistake.
        assert answer["outcome"] != "Error", f"{name}: {answer['why']}"
    return [answer["outcome"] == "Allowed" for answer in answers]


@functools.cache
def _simulator() -> subprocess.Popen[str]:
    command = [str(NODE), str(SCRIPT), str(install(f"iam-simulate-{VERSION}", f"{PACKAGE}@{VERSION}") / "package.json")]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _simulation(
    role: Role,
    request: Request,
    resource_policies: Mapping[str, Document],
    endpoint_policies: Mapping[str, Document],
) -> dict[str, Any]:
    endpoint = endpoint_policies.get(request.action.partition(":")[0])
    bucket = request.resource.partition("/")[0] if request.resource.startswith("arn:aws:s3:::") else ""
    owner = bucket or request.resource
    accounts = {"aws:PrincipalAccount": request.caller, "aws:ResourceAccount": request.owner}
    context = {"aws:SecureTransport": "true", **accounts, **request.context}
    if bucket:
        context.setdefault("s3:TlsVersion", "1.3")
    return {
        "identityPolicies": [{"name": name, "policy": policy} for name, policy in role.policies.items()],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        "resourcePolicy": resource_policies.get(owner),
        **({"vpcEndpointPolicies": [{"name": "endpoint", "policy": endpoint}]} if endpoint else {}),
        "request": {
            "action": request.action,
            "principal": f"arn:aws:sts::{request.caller}:assumed-role/{role.name}/session",
            "resource": {"accountId": request.owner, "resource": request.resource},
            "contextVariables": context,
        },
    }

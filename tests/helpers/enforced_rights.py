"""IAM in front of the stand-in for AWS: a running service may do what Terraform gives its role, and no more.

moto's own enforcement (`INITIAL_NO_AUTH_ACTION_COUNT`) cannot judge these policies. It reads no condition but
StringEquals, asks DynamoDB and KMS for rights on `*`, which no policy for one table or key gives, wants a header that
presigned requests lack, and sees no policy of endpoints (moto 5.2.5: core/authorization.py, core/responses.py,
iam/access_control.py).
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web
from moto.s3.responses import ACTION_MAP
from tests.helpers.proxy import SMALL, aws_service
from tests.terraform.iam_simulator import Request, decide

from infrastructure.policies import Document, Role
from infrastructure.terraform import ACCOUNT_ID, REGION
from local import names

ACCOUNT: Final = f"{REGION}:{ACCOUNT_ID}"
BUCKETS: Final = {
    names.FILES_BUCKET: f"dev-files-{ACCOUNT_ID}",
    names.DATA_BUCKET: f"dev-department-data-{ACCOUNT_ID}",
}
KEY: Final = f"arn:aws:kms:{ACCOUNT}:key/0a1b2c3d-0000-4000-8000-000000000001"
# Names of calls whose right has another name. S3: moto's list, and of listings
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
OTHER_RIGHT: Final = {
    "s3:HeadBucket": "s3:ListBucket",
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
IN_A_TRANSACTION: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


@dataclass
class EnforcedRights:
    """One role's rights; as a proxy's fault it refuses what they do not allow.

    Attributes:
        context: Condition keys of each of the role's requests, such as the tags of its session.
        used: The rights that were asked for and given.
        refused: Those that were refused.
    """

    role: Role
    resource_policies: Mapping[str, Document]
    endpoint_policies: Mapping[str, Document]
    context: Mapping[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    _known: dict[str, bool] = field(default_factory=dict)

    async def __call__(self, request: web.Request) -> web.Response | None:
        """Answer as AWS does where a right is missing; None passes the request on."""
        body = await request.read() if (request.content_length or 0) <= SMALL else b""
        for each in requests_of(request, body):
            allowed = await asyncio.to_thread(self._allowed, each)
            (self.used if allowed else self.refused).add(each.action)
            if not allowed:
                return denied(aws_service(request), each)
        return None

    def _allowed(self, asked: Request) -> bool:
        asked = Request(asked.action, asked.resource, {**self.context, **asked.context})
        if (key := repr(asked)) not in self._known:
            (self._known[key],) = decide([(self.role, asked)], self.resource_policies, self.endpoint_policies)
        return self._known[key]


def without(role: Role, action: str) -> Role:
    """The role but for one right."""
    policies: dict[str, Document] = {
        name: {
            **policy,
            "Statement": [
                {**each, "Action": kept}
                for each in policy["Statement"]
                if (kept := [one for one in _list(each["Action"]) if one != action])
            ],
        }
        for name, policy in role.policies.items()
    }
    assert policies != role.policies, f"{role.name} has no right to {action}"
    return Role(role.name, role.trust, policies)


def requests_of(request: web.Request, body: bytes) -> list[Request]:
    """What IAM is asked for one request, as if the names of things were dev's."""
    service, operation = aws_service(request), request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    if service == "s3":
        return [_of_s3(request)]
    document = json.loads(body)
    if service == "dynamodb":
        return [Request(f"dynamodb:{name}", table) for name, table in _of_dynamodb(operation, document)]
    if service == "sqs":
        queue = document["QueueUrl"].rpartition("/")[2].replace("local-", "dev-")
        return [Request(_right(f"sqs:{operation}"), f"arn:aws:sqs:{ACCOUNT}:{queue}")]
    assert service == "kms", f"{request.method} {request.path}: of which service?"
    alias = document["KeyId"].replace("local-", "dev-")
    return [Request(f"kms:{operation}", KEY, {"kms:ResourceAliases": [alias], "kms:RequestAlias": alias})]


def denied(service: str, asked: Request) -> web.Response:
    """AWS's own form of the refusal: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html."""
    message = f"not authorized to perform: {asked.action} on resource: {asked.resource}"
    if service == "s3":
        text = f"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        return web.Response(status=403, text=text, content_type="application/xml")
    document = {"__type": "com.amazonaws#AccessDeniedException", "message": message}
    return web.json_response(document, status=400, content_type="application/x-amz-json-1.0")


def _of_s3(request: web.Request) -> Request:
    assert "x-amz-copy-source" not in request.headers, "a copy needs rights on its source too"
    bucket, _, key = unquote(request.path).lstrip("/").partition("/")
    known = ACTION_MAP["KEY" if key else "BUCKET"][request.method]
    (action,) = {action for part, action in known.items() if part in request.query} or {known["DEFAULT"]}
    context = {"s3:prefix": request.query["prefix"]} if "prefix" in request.query else {}
    return Request(_right(f"s3:{action}"), f"arn:aws:s3:::{BUCKETS[bucket]}{f'/{key}' if key else ''}", context)


def _of_dynamodb(operation: str, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    if operation.startswith("Transact"):
        items = [pair for item in document["TransactItems"] for pair in item.items()]
        return [(IN_A_TRANSACTION[kind], _table(each)) for kind, each in items]
    if "RequestItems" in document:
        return [(operation, _table({"TableName": name})) for name in document["RequestItems"]]
    return [(operation, _table(document))]


def _table(document: Mapping[str, Any]) -> str:
    index = f"/index/{document['IndexName']}" if "IndexName" in document else ""
    return f"arn:aws:dynamodb:{ACCOUNT}:table/{document['TableName'].replace('local-', 'dev-')}{index}"


def _right(call: str) -> str:
    return OTHER_RIGHT.get(call, call)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value

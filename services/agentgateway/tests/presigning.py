"""A client's side of the IAM exchange, by botocore."""

import itertools
from datetime import UTC, datetime, timedelta
from unittest import mock

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from services.agentgateway.tests.fakes import Identity, Sts
from services.agentgateway.tests.world import REGION

NUMBERS = itertools.count(10_000_000)
SESSION_ARN = "arn:aws:sts::123456789012:assumed-role/FinanceBatch/host-7"


def know(sts: Sts, arn: str = SESSION_ARN) -> Credentials:
    """New credentials that `sts` knows as `arn`: the same ones would sign the same twice in a second."""
    access_key = f"ASIATESTING{next(NUMBERS)}"
    sts.identities[access_key] = Identity("a-secret-key", arn, "session+token/with=signs")
    return Credentials(access_key, "a-secret-key", "session+token/with=signs")


def presign(
    credentials: Credentials,
    endpoint: str,
    gateway: str,
    *,
    expires: int = 60,
    region: str = REGION,
    age: float = 0,
    query: str = "Action=GetCallerIdentity&Version=2011-06-15",
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> str:
    """A presigned URL as `fileproc login --iam` makes it, `age` seconds ago; `gateway` is the host that is signed."""
    named = {"x-fileproc-gateway": gateway} if headers is None else headers
    request = AWSRequest(method=method, url=f"{endpoint}/?{query}", headers=named)
    moment = datetime.now(UTC) - timedelta(seconds=age)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment.replace(tzinfo=None)):
        SigV4QueryAuth(credentials, "sts", region, expires=expires).add_auth(request)
    return str(request.url)

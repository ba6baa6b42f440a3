"""Login by AWS credentials: a signed question to STS, that only this gateway can use, in exchange for a token."""

from __future__ import annotations

from urllib.parse import urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from fileproc.errors import InvalidRequest, Refused
from fileproc.login import aws
from fileproc.login.discovery import AuthorizationServer, discover
from fileproc.login.store import Login
from fileproc.login.tokens import TokenAnswer
from fileproc.transport import Transport, parse

GATEWAY_HEADER = "x-fileproc-gateway"
_VALID_SECONDS = 60


def log_in(http: Transport, server: AuthorizationServer, url: str) -> Login:
    """Prove to the gateway `url` which role the credentials of this environment belong to.

    Raises:
        Refused: There are no credentials, or their role has no access.
    """
    signed = presign(_credentials(), aws.region(server), url)
    try:
        # Each signature is good for one exchange, so the same one is not sent twice.
        answer = parse(http.request("POST", f"{url}/auth/iam", json={"url": signed}, harmless=False), TokenAnswer)
    except InvalidRequest as error:
        raise Refused(f"The AWS credentials were not accepted: {error}", error.problem) from error
    return Login(method="iam", access_token=answer.access_token, expires_at=answer.expires_at)


def refresh(http: Transport, url: str) -> Login:
    """The same once more: there is nothing to remember."""
    return log_in(http, discover(http, url), url)


def presign(credentials: Credentials, region: str, url: str) -> str:
    """The address of a `GetCallerIdentity`, signed together with the name of the gateway it is meant for.

    The name is the one that the user gave, so that no other gateway can pass the signature on.
    """
    endpoint = aws.endpoint("STS", f"sts.{region}.amazonaws.com")
    question = f"{endpoint}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest("GET", question, headers={GATEWAY_HEADER: urlsplit(url).netloc.lower()})
    SigV4QueryAuth(credentials, "sts", region, expires=_VALID_SECONDS).add_auth(request)
    return str(request.url)


def _credentials() -> Credentials:
    try:
        found = Session().get_credentials()
        frozen = found.get_frozen_credentials() if found else None
    except BotoCoreError as error:
        raise Refused(f"The AWS credentials cannot be used: {error}") from error
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise Refused("There are no AWS credentials here. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its like.")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

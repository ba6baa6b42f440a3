import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import urllib3
from botocore.auth import S3SigV4QueryAuth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from tools.local.tests.conftest import Aws

from local.names import ACCOUNT, FILES_BUCKET, ON_PREMISES_USER, REGION, role_arn

pytestmark = pytest.mark.slow

ROLE = "on-premises-finance"
PATH = "/?Action=GetCallerIdentity&Version=2011-06-15"


@pytest.fixture(scope="module")
def role_credentials(aws: Aws) -> dict[str, str]:
    key = aws.client("iam").create_access_key(UserName=ON_PREMISES_USER)["AccessKey"]
    sts = aws.client("sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    given = sts.assume_role(RoleArn=role_arn(ROLE), RoleSessionName="batch")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


@pytest.fixture
def presigned(aws: Aws, role_credentials: dict[str, str]) -> str:
    return presign(aws, role_credentials)


def presign(aws: Aws, credentials: dict[str, str], headers: dict[str, str] | None = None, expires: int = 60) -> str:
    request = AWSRequest("GET", aws.url + PATH, headers=headers)
    SigV4QueryAuth(Credentials(*credentials.values()), "sts", REGION, expires=expires).add_auth(request)
    return str(request.url)


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=5) as response:  # noqa: S310
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def changed(url: str, **changes: str | None) -> str:
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **changes}
    kept = {name.replace("_", "-"): value for name, value in query.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(kept)))


def test_a_signed_call_says_who_the_caller_is(aws: Aws, role_credentials: dict[str, str]) -> None:
    identity = aws.client("sts", **role_credentials).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/batch"


def test_a_presigned_call_says_who_signed_it(presigned: str) -> None:
    status, body = get(presigned)
    assert status == 200
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/batch" in body


def test_a_signed_header_has_to_be_sent_as_it_was_signed(aws: Aws, role_credentials: dict[str, str]) -> None:
    url = presign(aws, role_credentials, {"x-fileproc-gateway": "api.example"})
    assert get(url, {"x-fileproc-gateway": "api.example"})[0] == 200
    assert get(url, {"x-fileproc-gateway": "other.example"})[0] == 403
    assert get(url)[0] == 403


FORGERIES: dict[str, Callable[[str], str]] = {
    "another signature": lambda url: changed(url, **{"X-Amz-Signature": "0" * 64}),
    "no signature": lambda url: changed(url, **{"X-Amz-Signature": None}),
    "a later date": lambda url: changed(
        url, **{"X-Amz-Date": (datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y%m%dT%H%M%SZ")}
    ),
    "a longer life": lambda url: changed(url, **{"X-Amz-Expires": "600"}),
    "another action": lambda url: changed(url, Action="GetSessionToken"),
    "a second action": lambda url: url.replace("?", "?Action=AssumeRole&"),
    "another session token": lambda url: changed(url, **{"X-Amz-Security-Token": "forged"}),
    "another access key": lambda url: changed(url, **{"X-Amz-Credential": f"AKIAX/20261124/{REGION}/sts/aws4_request"}),
    "another service's scope": lambda url: url.replace("%2Fsts%2F", "%2Fs3%2F"),
    "no algorithm": lambda url: changed(url, **{"X-Amz-Algorithm": "none"}),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_presigned_call_is_refused(presigned: str, forge: Callable[[str], str]) -> None:
    status, body = get(forge(presigned))
    assert status == 403
    assert "<Error>" in body
    assert "assumed-role" not in body


def test_a_presigned_call_ends_when_it_says(aws: Aws, role_credentials: dict[str, str]) -> None:
    request = AWSRequest("GET", aws.url + PATH)
    signer: Any = SigV4QueryAuth(Credentials(*role_credentials.values()), "sts", REGION, expires=60)
    request.context["timestamp"] = (datetime.now(UTC) - timedelta(seconds=61)).strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    signer._inject_signature_to_request(request, signature)
    status, body = get(str(request.url))
    assert (status, "expired" in body) == (403, True)


def test_a_wrong_secret_is_refused(aws: Aws, role_credentials: dict[str, str]) -> None:
    sts = aws.client("sts", **(role_credentials | {"aws_secret_access_key": "guessed"}))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        sts.get_caller_identity()


def test_an_unknown_access_key_is_refused(aws: Aws) -> None:
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        aws.client("sts").get_caller_identity()


def test_nobody_is_identified_without_a_signature(aws: Aws) -> None:
    assert get(aws.url + PATH)[0] == 403


def upload_url(aws: Aws, seconds: int = 60, size: int = 5) -> str:
    parameters = {"Bucket": FILES_BUCKET, "Key": "uploads/a b", "ContentLength": size}
    s3 = aws.client("s3", config=Config(signature_version="s3v4"))
    return str(s3.generate_presigned_url("put_object", Params=parameters, ExpiresIn=seconds))


def put(url: str, body: bytes, content_type: str = "binary/octet-stream") -> tuple[int, str]:
    answer = urllib3.request("PUT", url, body=body, headers={"content-type": content_type}, timeout=5, retries=False)
    return answer.status, answer.data.decode()


@pytest.mark.parametrize(
    "content_type", ["binary/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
)
def test_a_presigned_upload_takes_any_body_as_it_is(aws: Aws, content_type: str) -> None:
    assert put(upload_url(aws), b"a=b&c", content_type)[0] == 200
    assert aws.client("s3").get_object(Bucket=FILES_BUCKET, Key="uploads/a b")["Body"].read() == b"a=b&c"


S3_FORGERIES: dict[str, Callable[[str], str]] = {
    "another signature": lambda url: changed(url, **{"X-Amz-Signature": "0" * 64}),
    "another object": lambda url: url.replace("uploads/a", "uploads/b"),
    "a longer life": lambda url: changed(url, **{"X-Amz-Expires": "604800"}),
    "one more parameter": lambda url: f"{url}&partNumber=1",
    "the key of another": lambda url: url.replace("local%2F", "other%2F"),
    "another service": lambda url: url.replace("%2Fs3%2F", "%2Fs3%2Fs3%2F"),
}


@pytest.mark.parametrize("forged", S3_FORGERIES.values(), ids=S3_FORGERIES.keys())
def test_a_presigned_upload_is_for_what_was_signed_alone(aws: Aws, forged: Callable[[str], str]) -> None:
    assert put(forged(upload_url(aws)), b"hello")[0] == 403
    assert put(upload_url(aws), b"six!!!")[0] == 403


def test_a_browser_may_ask_without_a_signature_whether_it_may_upload(aws: Aws, app_port: int) -> None:
    page = f"http://127.0.0.1:{app_port}"
    asked = {"origin": page, "access-control-request-method": "PUT"}
    answer = urllib3.request("OPTIONS", upload_url(aws), headers=asked, timeout=5, retries=False)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, page)


def test_a_presigned_upload_ends_when_it_expires(aws: Aws) -> None:
    request = AWSRequest("PUT", f"{aws.url}/{FILES_BUCKET}/uploads/a")
    signer: Any = S3SigV4QueryAuth(Credentials("local", "local"), "s3", REGION, expires=60)
    request.context["timestamp"] = (datetime.now(UTC) - timedelta(seconds=61)).strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    signer._inject_signature_to_request(
        request, signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    )
    status, body = put(str(request.url), b"hello")
    assert (status, "<Code>AccessDenied</Code>" in body, "Request has expired" in body) == (403, True, True)

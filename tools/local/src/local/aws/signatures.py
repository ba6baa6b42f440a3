"""Verify signatures (SigV4), which moto does not: those of calls to STS, and of presigned addresses in S3.

The signature is computed anew by botocore, from the secret that moto's IAM or STS made, and compared in constant time.
Rules: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from werkzeug.wrappers import Response

from local.names import ACCOUNT

SIGNATURE = "SignatureDoesNotMatch"
ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=15)
MAX_EXPIRES = 7 * 24 * 3600
UNSIGNED_ACTIONS = {"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}
IDENTITY = {"GetCallerIdentity"}
SERVICES_KEY = Credentials("local", "local")
"""What the services sign by on this machine."""

Query = Sequence[tuple[str, str]]


class Refused(Exception):
    """AWS would not answer this request; `code` is the error's name there."""

    def __init__(self, code: str, message: str) -> None:
        """What the caller is told."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Signature:
    """The parts of a SigV4 signature, from the header or from the query."""

    credential: str
    signed_headers: tuple[str, ...]
    signature: str
    date: str
    token: str | None
    expires: int | None
    """Seconds; only presigned requests have it."""

    @property
    def access_key(self) -> str:
        """Who signed."""
        return self.credential.split("/")[0]


def read_signature(query: Mapping[str, str], headers: Mapping[str, str]) -> Signature:
    """The signature of a request.

    Raises:
        Refused: There is none, or it lacks a part.
    """
    try:
        if "X-Amz-Signature" in query:
            if query["X-Amz-Algorithm"] != ALGORITHM:
                raise Refused("IncompleteSignature", f"X-Amz-Algorithm has to be {ALGORITHM}")
            return Signature(
                query["X-Amz-Credential"],
                tuple(query["X-Amz-SignedHeaders"].split(";")),
                query["X-Amz-Signature"],
                query["X-Amz-Date"],
                query.get("X-Amz-Security-Token"),
                int(query["X-Amz-Expires"]),
            )
        algorithm, _, rest = headers.get("authorization", "").partition(" ")
        if algorithm != ALGORITHM:
            raise Refused("MissingAuthenticationToken", "Request is missing Authentication Token")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        return Signature(
            parts["Credential"],
            tuple(parts["SignedHeaders"].split(";")),
            parts["Signature"],
            headers["x-amz-date"],
            headers.get("x-amz-security-token"),
            None,
        )
    except (KeyError, ValueError) as error:
        raise Refused("IncompleteSignature", "a part of the signature is missing or malformed") from error


def credentials_of(access_key: str) -> Credentials:
    """The secret that belongs to an access key.

    Raises:
        Refused: No such key, or the session has ended.
    """
    for role in sts_backends[ACCOUNT]["aws"].assumed_roles:
        if role.access_key_id == access_key:
            if role.expiration.replace(tzinfo=UTC) < datetime.now(UTC):
                raise Refused("ExpiredToken", "The security token included in the request is expired")
            return Credentials(access_key, role.secret_access_key, role.session_token)
    user = iam_backends[ACCOUNT]["aws"].get_user_from_access_key_id(access_key)
    if user is None:
        raise Refused("InvalidClientTokenId", "The security token included in the request is invalid.")
    key = user.get_access_key_by_id(access_key)
    return Credentials(access_key, key.secret_access_key)


def verify(
    method: str, url: str, query: Query, headers: Mapping[str, str], body: bytes | None, *, service: str = "sts"
) -> Signature:
    """Check that the holder of the access key's secret signed this very request for `service`, and lately.

    Args:
        method: The HTTP method.
        url: Scheme, host and path, without the query.
        query: Names and values of the URL's query, decoded, in order.
        headers: Names in lower case.
        body: All of it; None where the signature does not cover it.

    Raises:
        Refused: Not signed, not by a known key, not this request, or not now.
    """
    found = read_signature(dict(query), headers)
    # On AWS the services have roles; here their key is nobody's, and STS does not know it.
    is_services = service == "s3" and found.access_key == SERVICES_KEY.access_key
    credentials = SERVICES_KEY if is_services else credentials_of(found.access_key)
    if found.token != credentials.token:
        raise Refused("InvalidClientTokenId", "The security token included in the request is invalid.")
    _check_time(found, service)
    if "host" not in found.signed_headers or any(name not in headers for name in found.signed_headers):
        raise Refused(SIGNATURE, "host and every signed header have to be in the request")
    if body is not None:
        digest = hashlib.sha256(body).hexdigest()
        if headers.get("x-amz-content-sha256", digest) != digest:
            raise Refused(SIGNATURE, "X-Amz-Content-Sha256 is not that of the body")
    if not hmac.compare_digest(_expected(method, url, query, headers, body, found, credentials), found.signature):
        raise Refused(SIGNATURE, "The request signature we calculated does not match the signature")
    return found


def _check_time(found: Signature, service: str) -> None:
    try:
        signed_at = datetime.strptime(found.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise Refused("IncompleteSignature", "X-Amz-Date is not like 20261124T093000Z") from error
    if found.credential.split("/")[1:] != [found.date[:8], *found.credential.split("/")[2:3], service, "aws4_request"]:
        scope = f"<date>/<region>/{service}/aws4_request"
        raise Refused(SIGNATURE, f"the credential's scope has to be {scope}")
    age = datetime.now(UTC) - signed_at
    if age < -MAX_SKEW:
        raise Refused(SIGNATURE, "Signature not yet current")
    if found.expires is not None and not 1 <= found.expires <= MAX_EXPIRES:
        raise Refused("AuthorizationQueryParametersError", "X-Amz-Expires has to be between 1 and 604800")
    if age > (MAX_SKEW if found.expires is None else timedelta(seconds=found.expires)):
        # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        code, message = ("AccessDenied", "Request has expired") if service == "s3" else (SIGNATURE, "Signature expired")
        raise Refused(code, message)


def _expected(
    method: str,
    url: str,
    query: Query,
    headers: Mapping[str, str],
    body: bytes | None,
    found: Signature,
    credentials: Credentials,
) -> str:
    _, _, region, service, _ = found.credential.split("/")
    pairs = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query if name != "X-Amz-Signature"]
    signed = {name: headers[name] for name in found.signed_headers}
    request = AWSRequest(method, f"{url}?{'&'.join(pairs)}", signed, body)
    request.context["timestamp"] = found.date
    presigned = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
    signer: Any = (SigV4Auth if found.expires is None else presigned)(credentials, service, region)
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a WSGI request, names in lower case."""
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers


def url_of(environ: Mapping[str, Any]) -> str:
    """Scheme, host and path of a WSGI request."""
    return f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{quote(environ['PATH_INFO'])}"


class VerifiedPresignedS3:
    """In front of moto's application: S3 answers a presigned address only as it was signed, and before it expires.

    A body is taken as it is: moto would read one whose type is that of a form as parameters.
    """

    def __init__(self, app: Any) -> None:
        """`app` answers all else, and S3 once the signature holds."""
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A WSGI application."""
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        scope = dict(query).get("X-Amz-Credential", "")
        # A browser's preflight is not signed: the bucket's CORS rules alone answer it.
        if "/s3/" not in scope or environ["REQUEST_METHOD"] == "OPTIONS":
            return self._app(environ, start_response)
        try:
            verify(environ["REQUEST_METHOD"], url_of(environ), query, headers_of(environ), None, service="s3")
        except Refused as refusal:
            document = f"<Error><Code>{refusal.code}</Code><Message>{escape(str(refusal))}</Message></Error>"
            return Response(document, 403, content_type="application/xml")(environ, start_response)
        environ["CONTENT_TYPE"] = "binary/octet-stream"
        return self._app(environ, start_response)


class VerifiedSts:
    """In front of moto's application: STS answers only who signed the request."""

    def __init__(self, app: Any) -> None:
        """`app` answers all else, and STS once the signature holds."""
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A WSGI application."""
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        body = _form(environ)
        actions = {value for name, value in [*query, *parse_qsl(body.decode("latin-1"))] if name == "Action"}
        scopes = [
            environ.get("HTTP_AUTHORIZATION", ""),
            *(value for name, value in query if name == "X-Amz-Credential"),
        ]
        if not actions - UNSIGNED_ACTIONS or not (any("/sts/" in scope for scope in scopes) or actions & IDENTITY):
            return self._app(environ, start_response)
        try:
            found = verify(environ["REQUEST_METHOD"], url_of(environ), query, headers_of(environ), body)
        except Refused as refusal:
            return _error(refusal)(environ, start_response)
        # moto finds service and caller in this header alone, never in the query.
        names = ";".join(found.signed_headers)
        environ["HTTP_AUTHORIZATION"] = (
            f"{ALGORITHM} Credential={found.credential}, SignedHeaders={names}, Signature={found.signature}"
        )
        return self._app(environ, start_response)


def _form(environ: dict[str, Any]) -> bytes:
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return b""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _error(refusal: Refused) -> Response:
    request_id = hashlib.sha256(str(refusal).encode()).hexdigest()[:32]
    document = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{refusal.code}</Code><Message>{escape(str(refusal))}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(document, 403, content_type="text/xml")

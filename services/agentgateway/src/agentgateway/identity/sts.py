"""STS: a presigned `GetCallerIdentity` proves an IAM identity without showing its secret."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit
from xml.etree import ElementTree

import aiohttp
from yarl import URL

from agentgateway.http.errors import ExchangeRefused, InvalidExchange, ServiceUnavailable

GATEWAY_HEADER = "x-fileproc-gateway"
MAX_AGE_SECONDS = 60
MAX_SKEW_SECONDS = 15
"""How far the client's clock may be ahead of this one."""

MAX_URL_LENGTH = 8192
MAX_ANSWER_BYTES = 64 * 1024

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_CREDENTIAL = re.compile(r"[A-Z0-9]{16,128}/(?P<date>[0-9]{8})/(?P<region>[a-z0-9-]+)/sts/aws4_request")
_FIXED = {
    "Action": "GetCallerIdentity",
    "Version": "2011-06-15",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-SignedHeaders": f"host;{GATEWAY_HEADER}",
}
_VARYING = frozenset({"X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature"})
_OPTIONAL = frozenset({"X-Amz-Security-Token"})


@dataclass(frozen=True, slots=True)
class PresignedIdentity:
    """A presigned `GetCallerIdentity` that is of the only form that is sent on.

    Attributes:
        parameters: Its query, every name once.
        expires_at: Seconds since the epoch after which it is refused.
    """

    parameters: Mapping[str, str]
    expires_at: int

    @property
    def signature(self) -> str:
        """What is different in each presigned request, and cannot be changed by who sees it."""
        return self.parameters["X-Amz-Signature"]


def parse_presigned(url: str, endpoint: str, region: str) -> PresignedIdentity:
    """Read the URL that a client presigned for `endpoint`.

    Raises:
        InvalidExchange: It is anything but a `GetCallerIdentity` for that endpoint, presigned at most 60 s ago.
    """
    if len(url) > MAX_URL_LENGTH or not _PRINTABLE.fullmatch(url):
        raise InvalidExchange(f"The URL must be printable ASCII of at most {MAX_URL_LENGTH} characters.")
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, max_num_fields=16)
    except ValueError:
        raise InvalidExchange("The URL or its query is malformed.") from None
    _check_address(parts, endpoint)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise InvalidExchange("A query parameter occurs more than once.")
    _check_parameters(parameters, region)
    return PresignedIdentity(parameters, _expiry(parameters))


def _check_address(parts: SplitResult, endpoint: str) -> None:
    expected = urlsplit(endpoint)
    same = (parts.scheme, parts.netloc.lower()) == (expected.scheme, expected.netloc.lower())
    if not same or parts.path not in ("", "/") or parts.fragment:
        raise InvalidExchange(f"The URL must be presigned for {endpoint}/ and nothing else.")


def _check_parameters(parameters: Mapping[str, str], region: str) -> None:
    missing = (_FIXED.keys() | _VARYING) - parameters.keys()
    surplus = parameters.keys() - _FIXED.keys() - _VARYING - _OPTIONAL
    if missing:
        raise InvalidExchange(f"The query lacks {', '.join(sorted(missing))}.")
    if surplus:
        raise InvalidExchange("The query has parameters that a presigned GetCallerIdentity does not have.")
    for name, value in _FIXED.items():
        if parameters[name] != value:
            raise InvalidExchange(f"{name} must be '{value}'.")
    credential = _CREDENTIAL.fullmatch(parameters["X-Amz-Credential"])
    if credential is None or credential["region"] != region:
        raise InvalidExchange(
            f"X-Amz-Credential must be '<access key id>/<day>/{region}/sts/aws4_request', "
            "with the access key id of an AWS role's session."
        )
    if credential["date"] != parameters["X-Amz-Date"][:8]:
        raise InvalidExchange("X-Amz-Credential and X-Amz-Date must name the same day.")
    if not _SIGNATURE.fullmatch(parameters["X-Amz-Signature"]):
        raise InvalidExchange("X-Amz-Signature must be 64 hexadecimal digits in lower case.")


def _expiry(parameters: Mapping[str, str]) -> int:
    expires = parameters["X-Amz-Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) < 4 and 1 <= int(expires) <= MAX_AGE_SECONDS):
        raise InvalidExchange(f"X-Amz-Expires must be between 1 and {MAX_AGE_SECONDS} seconds.")
    try:
        signed_at = datetime.strptime(parameters["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise InvalidExchange("X-Amz-Date must be of the form 20260728T120000Z.") from None
    age = time.time() - signed_at
    if age > int(expires):
        raise InvalidExchange(f"The URL was presigned {age:.0f} s ago, for {expires} s. Presign a new one.")
    if age < -MAX_SKEW_SECONDS:
        raise InvalidExchange(f"The URL was presigned {-age:.0f} s in the future. Set the clock.")
    return int(signed_at) + int(expires)


class Sts:
    """The one endpoint that presigned requests are sent to."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: str, gateway: str) -> None:
        """`gateway` is the value that clients must have signed into the header `x-fileproc-gateway`."""
        self._session = session
        self._endpoint = endpoint
        self._gateway = gateway

    async def caller_arn(self, request: PresignedIdentity) -> str:
        """Whom `request` proves, as STS tells.

        The request is put together anew, so that nothing but what was checked is sent; the header is this gateway's
        own value, so that STS refuses what was signed for another one.

        Raises:
            ExchangeRefused: STS does not accept the signature or the credentials.
            ServiceUnavailable: STS did not answer as it should.
        """
        query = urlencode(request.parameters, quote_via=quote, safe="-_.~")
        try:
            async with self._session.get(
                URL(f"{self._endpoint}/?{query}", encoded=True),
                headers={GATEWAY_HEADER: self._gateway},
                timeout=aiohttp.ClientTimeout(total=5),
                allow_redirects=False,
            ) as response:
                body = await _read(response)
        except ServiceUnavailable:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServiceUnavailable(f"STS did not answer: {type(error).__name__}") from error
        if response.status in (400, 401, 403) and b"Throttl" not in body:
            raise ExchangeRefused(
                f"STS does not accept the request. Sign the headers host and {GATEWAY_HEADER}: {self._gateway}, with"
                " credentials that are valid now."
            )
        if response.status != 200:
            raise ServiceUnavailable(f"STS answered {response.status}")
        return _arn(body)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ServiceUnavailable(f"STS answered more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _arn(body: bytes) -> str:
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - STS's own answer, at most 64 KiB
    except ElementTree.ParseError as error:
        raise ServiceUnavailable("STS gave no XML") from error
    arns = [element.text for element in root.iterfind("{*}GetCallerIdentityResult/{*}Arn")]
    if len(arns) != 1 or not arns[0]:
        raise ServiceUnavailable("STS named no caller")
    return arns[0].strip()

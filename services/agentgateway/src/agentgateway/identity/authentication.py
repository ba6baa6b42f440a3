"""Authenticates callers: access tokens of the user pool, and the tokens that this gateway gives for AWS credentials.

A token's issuer decides how it is verified; both kinds are signed by RS256 and nothing else. A verified token is
remembered, so that a request costs a dictionary look-up rather than an RSA operation.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from cachetools import TLRUCache
from jose import JWTError, jwt
from jose.utils import base64url_decode

from agentgateway.http.errors import Unauthenticated
from agentgateway.metrics import TOKENS_REFUSED
from common.caller import Caller
from common.jwks import JwksCache, JwksUnavailable

log = structlog.get_logger()

MAX_TOKEN_LENGTH = 8192
REMEMBERED_TOKENS = 10_000
REMEMBERED_SECONDS = 300
"""Bounds how long a token outlives the withdrawal of the key that signed it."""

CLOCK_SKEW_SECONDS = 5
"""How far the issuer's clock may be ahead of this one: a token is often used in the second in which it was issued."""

INVALID = "The access token is not valid. Get a new one, and send it as it is."
MISSING = "Send an access token: Authorization: Bearer <token>."

_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_REQUIRED = {"require_exp": True, "require_iat": True, "require_iss": True, "require_sub": True}
_OPTIONS = {**_REQUIRED, "verify_aud": False, "verify_at_hash": False, "leeway": 0}


class InvalidToken(Exception):
    """The token is refused; the message says why, in words for the log alone."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues tokens that are accepted here.

    Attributes:
        name: `iss`.
        keys: What its tokens are signed with.
        identify: The caller that verified claims name; raises `InvalidToken` for a token that was not made for this
            gateway.
    """

    name: str
    keys: JwksCache
    identify: Callable[[Mapping[str, Any]], Caller]


def cognito_identity(client_ids: frozenset[str], resource: str) -> Callable[[Mapping[str, Any]], Caller]:
    """Read access tokens of a user pool, issued to one of `client_ids`.

    Cognito's access tokens name the client and not the audience. Only one that was asked for with a resource indicator
    (RFC 8707) has `aud`; it must then name this gateway, or a part of it.
    """

    def identify(claims: Mapping[str, Any]) -> Caller:
        if claims.get("token_use") != "access":
            raise InvalidToken("not an access token")
        if claims.get("client_id") not in client_ids:
            raise InvalidToken("issued to another client")
        if "aud" in claims and not any(_is_part(name, resource) for name in _strings(claims["aud"], "aud")):
            raise InvalidToken("issued for another audience")
        groups = frozenset(_strings(claims.get("cognito:groups", []), "groups"))
        return Caller(_subject(claims), str(claims.get("username", "")), groups, "cognito")

    return identify


def gateway_identity(audience: str) -> Callable[[Mapping[str, Any]], Caller]:
    """Read tokens of the gateway itself: the subject is the ARN of an IAM role."""

    def identify(claims: Mapping[str, Any]) -> Caller:
        if claims.get("aud") != audience:
            raise InvalidToken("issued for another audience")
        subject = _subject(claims)
        return Caller(subject, subject.rpartition("/")[2], frozenset(_strings(claims.get("groups"), "groups")), "iam")

    return identify


class Authenticator:
    """Tells who calls, from a token of one of the issuers."""

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._verified: TLRUCache[str, tuple[Caller, float]] = TLRUCache(
            REMEMBERED_TOKENS, ttu=lambda _, verified, now: min(verified[1], now + REMEMBERED_SECONDS), timer=time.time
        )

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who calls with these headers (names in lower case).

        Raises:
            Unauthenticated: No bearer token, or one that is not accepted.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(MISSING, None)
        return await self.verify(token.strip())

    async def verify(self, token: str) -> Caller:
        """Whom `token` names.

        Raises:
            Unauthenticated: The token is empty, or not accepted.
        """
        known = self._verified.get(token)
        if known is not None:
            return known[0]
        if not token:
            raise Unauthenticated(MISSING, None)
        try:
            caller, expiry = await self._verify(token)
        except (InvalidToken, JWTError, JwksUnavailable) as error:
            log.info("token.refused", reason=str(error))
            TOKENS_REFUSED.inc()
            raise Unauthenticated(INVALID, "invalid_token") from None
        self._verified[token] = (caller, expiry)
        return caller

    async def _verify(self, token: str) -> tuple[Caller, float]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidToken("longer than any that is issued")
        if not _FORM.fullmatch(token):
            raise InvalidToken("not of the form of a JSON Web Token")
        head, payload, _ = token.split(".")
        header, unverified = _object(head), _object(payload)
        if "crit" in header:
            raise InvalidToken("has critical extensions, and none is known")
        issuer = self._issuers.get(str(unverified.get("iss")))
        if issuer is None:
            raise InvalidToken("of another issuer")
        key = await issuer.keys.key(str(header.get("kid")))
        if key is None:
            raise InvalidToken("signed by an unknown key")
        try:
            claims = jwt.decode(token, key, algorithms=["RS256"], issuer=issuer.name, options=_OPTIONS)
            expiry, issued = float(claims["exp"]), float(claims["iat"])
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidToken("a claim is not of its type") from error
        now = time.time()
        if not (issued <= now + CLOCK_SKEW_SECONDS and now < expiry):
            raise InvalidToken("not valid at this time")
        return issuer.identify(claims), expiry


def _object(segment: str) -> Mapping[str, Any]:
    try:
        document = orjson.loads(base64url_decode(segment.encode()))
    except ValueError as error:
        raise InvalidToken("not JSON") from error
    if not isinstance(document, dict):
        raise InvalidToken("not a JSON object")
    return document


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject:
        raise InvalidToken("has no subject")
    return subject


def _strings(value: Any, claim: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise InvalidToken(f"{claim} is not a list of strings")
    return values


def _is_part(audience: str, resource: str) -> bool:
    return audience == resource or audience.startswith(f"{resource}/")

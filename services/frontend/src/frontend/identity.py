"""Who is logged in: verifies the access token that the load balancer passes on, and keeps it for the components.

The load balancer has verified the login; the token is verified again here, as at every step, because a header is only
text. `x-amzn-oidc-data` says how to call the user on the page, and nothing depends on it.
"""

import asyncio
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.request import urlopen

import jwt
from langflow.services.auth.exceptions import InvalidTokenError
from langflow.services.auth.external import ExternalIdentity

from frontend.settings import Settings

TOKEN_HEADER: Final = "x-amzn-oidc-accesstoken"  # noqa: S105 - the name of a header
DATA_HEADER: Final = "x-amzn-oidc-data"
KEYS_SECONDS, LEAST_SECONDS_BETWEEN_FETCHES = 3600, 30
CLOCK_SKEW_SECONDS: Final = 5

_current: ContextVar["Person | None"] = ContextVar("person", default=None)


class NotLoggedIn(Exception):
    """There is no token, or one that does not count; the message says why, for the log alone."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose request is being answered."""

    subject: str
    username: str
    token: str
    expires: float


class Verifier:
    """Verifies access tokens of the user pool."""

    def __init__(self, settings: Settings) -> None:
        """No key is fetched yet."""
        self._settings = settings
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = 0.0
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> Person:
        """Whom `token` names.

        Raises:
            NotLoggedIn: It was not issued by our user pool, for our page, as an access token, or not for now.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid")))
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._settings.cognito_issuer,
                leeway=CLOCK_SKEW_SECONDS,
                # Cognito's access tokens name a client and no audience.
                options={"require": ["exp", "iat", "iss", "sub"], "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            raise NotLoggedIn(str(error)) from error
        if claims["exp"] <= time.time():
            raise NotLoggedIn("expired")
        if claims.get("token_use") != "access":
            raise NotLoggedIn("not an access token")
        if claims.get("client_id") not in self._settings.cognito_client_ids:
            raise NotLoggedIn("issued to another client")
        return Person(str(claims["sub"]), str(claims.get("username") or claims["sub"]), token, float(claims["exp"]))

    async def _key(self, kid: str) -> jwt.PyJWK:
        age = time.monotonic() - self._fetched
        if not self._fetched or age > KEYS_SECONDS or (kid not in self._keys and age > LEAST_SECONDS_BETWEEN_FETCHES):
            async with self._lock:
                await self._fetch()
        if kid not in self._keys:
            raise NotLoggedIn("signed by an unknown key")
        return self._keys[kid]

    async def _fetch(self) -> None:
        client = jwt.PyJWKClient(self._settings.jwks_url, cache_jwk_set=False, timeout=5)
        keys = await asyncio.to_thread(client.get_signing_keys)
        self._keys = {str(key.key_id): key for key in keys}
        self._fetched = time.monotonic()


def begin(person: Person | None) -> None:
    """From here on, whatever this request starts is done as `person`."""
    _current.set(person)


def current() -> Person:
    """Whose request is being answered.

    Raises:
        NotLoggedIn: Nobody's: no token came with it, or its time is over.
    """
    person = _current.get()
    if person is None or person.expires <= time.time():
        raise NotLoggedIn("no valid login belongs to this run")
    return person


class AccessTokenResolver:
    """Langflow's identity resolver: the gate has verified the same token already."""

    async def resolve(self, token: str, _: object) -> ExternalIdentity:
        """The identity of whose request this is."""
        try:
            person = current()
        except NotLoggedIn as error:
            raise InvalidTokenError(str(error)) from error
        if person.token != token:
            raise InvalidTokenError("the token is not that of this request")
        return ExternalIdentity("cognito", person.subject, person.username, claims={"username": person.username})


async def displayed_name(headers: Mapping[str, str], settings: Settings) -> str | None:
    """How the load balancer calls the user, where it is certain that our load balancer says so."""
    data = headers.get(DATA_HEADER, "")
    try:
        header: dict[str, Any] = jwt.get_unverified_header(data)
        if settings.alb_arn is None or header.get("signer") != settings.alb_arn:
            return None
        pem = await asyncio.to_thread(_load_balancer_key, settings.signer_keys_url, str(header["kid"]))
        claims = jwt.decode(data, pem, algorithms=["ES256"], options={"verify_aud": False})
    except (jwt.PyJWTError, OSError, KeyError, ValueError):
        return None
    return str(claims.get("email") or "") or None


@lru_cache(maxsize=16)
def _load_balancer_key(url: str, kid: str) -> str:
    if not kid.replace("-", "").isalnum():
        raise ValueError("not the name of a key")
    with urlopen(f"{url}/{kid}", timeout=5) as response:  # noqa: S310 - an address of the settings
        return str(response.read(10_000).decode("ascii"))

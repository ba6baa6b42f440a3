"""Services know each other by Kubernetes ServiceAccount tokens.

A caller gets a token for its own ServiceAccount by the TokenRequest API, with the receiving service as the audience, so
that no receiver can replay it elsewhere. A receiver verifies it against the API server's `/openid/v1/jwks` and an
allow-list of callers. `tools/local` answers the same two calls on a laptop.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from cachetools import TTLCache
from jose import JWTError, jwt
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.caller import CALLER_HEADER, Caller, InvalidCaller
from common.jwks import JwksCache, JwksUnavailable, fetch_jwks

TOKEN_SECONDS = 600
"""Life of a requested token: the shortest that the TokenRequest API grants."""

RENEW_EARLY_SECONDS = 120
VERIFIED_SECONDS = 60
MAX_TOKEN_LENGTH = 8192
SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class InvalidServiceToken(Exception):
    """The request does not come from a service that may call this one."""


class ServiceTokenUnavailable(Exception):
    """The API server gave no token, so the other service cannot be called now."""


class ServiceIdentitySettings(BaseSettings):
    """Who this service is in the cluster, and where the cluster's API server answers."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    kubernetes_api_url: str = Field(default="https://kubernetes.default.svc", description="The API server.")
    kubernetes_ca_file: Path = Field(
        default=SERVICE_ACCOUNT_FOLDER / "ca.crt", description="The API server's certificate authority."
    )
    cluster_issuer: str = Field(description="`iss` of the cluster's ServiceAccount tokens.")
    namespace: str = Field(default="file-processing", description="Namespace of all services.")
    service_account: str = Field(description="This service's own ServiceAccount.")
    service_account_token_file: Path = Field(
        default=SERVICE_ACCOUNT_FOLDER / "token",
        description="This service's own token, as the kubelet mounts it.",
    )

    def ssl_context(self) -> ssl.SSLContext | bool:
        """How the API server's certificate is verified."""
        if self.kubernetes_api_url.startswith("http://"):
            return True
        return ssl.create_default_context(cafile=str(self.kubernetes_ca_file))

    def authorization(self) -> dict[str, str]:
        """This service's own credentials for the API server; the kubelet renews the file, so it is read each time."""
        return {"authorization": f"Bearer {self.service_account_token_file.read_text().strip()}"}


class ServiceTokenSource:
    """Tokens with which this service calls others: one per audience, renewed two minutes before the end."""

    def __init__(self, settings: ServiceIdentitySettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session
        self._ssl = settings.ssl_context()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def token(self, audience: str) -> str:
        """A token that only `audience` accepts.

        Raises:
            ServiceTokenUnavailable: The API server refused or did not answer.
        """
        cached = self._tokens.get(audience)
        if cached is not None and time.monotonic() < cached[1]:
            return cached[0]
        async with self._locks.setdefault(audience, asyncio.Lock()):
            cached = self._tokens.get(audience)
            if cached is not None and time.monotonic() < cached[1]:
                return cached[0]
            token = await self._request(audience)
            self._tokens[audience] = (token, time.monotonic() + TOKEN_SECONDS - RENEW_EARLY_SECONDS)
            return token

    async def _request(self, audience: str) -> str:
        settings = self._settings
        url = (
            f"{settings.kubernetes_api_url}/api/v1/namespaces/{settings.namespace}"
            f"/serviceaccounts/{settings.service_account}/token"
        )
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": TOKEN_SECONDS},
        }
        try:
            async with self._session.post(
                url,
                json=body,
                headers=settings.authorization(),
                ssl=self._ssl,
                timeout=aiohttp.ClientTimeout(total=5),
                allow_redirects=False,
            ) as response:
                if response.status != 201:
                    raise ServiceTokenUnavailable(
                        f"the API server answered {response.status} to a TokenRequest for audience {audience}"
                    )
                document = await response.json()
            return str(document["status"]["token"])
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, ValueError) as error:
            raise ServiceTokenUnavailable(f"no token for audience {audience}: {type(error).__name__}") from error


class ServiceTokenVerifier:
    """Accepts tokens that were made for `audience`, of the ServiceAccounts in `allowed_callers`.

    A verified token is remembered for a minute, so a request costs a dictionary look-up rather than an RSA operation.
    """

    def __init__(
        self,
        settings: ServiceIdentitySettings,
        session: aiohttp.ClientSession,
        *,
        audience: str,
        allowed_callers: frozenset[str],
    ) -> None:
        self._audience = audience
        self._issuer = settings.cluster_issuer
        self._subjects = {f"system:serviceaccount:{settings.namespace}:{name}": name for name in allowed_callers}
        ssl_context = settings.ssl_context()
        self.keys = JwksCache(
            fetch_jwks(
                session,
                f"{settings.kubernetes_api_url}/openid/v1/jwks",
                settings.authorization,
                ssl=ssl_context,
            )
        )
        self._verified: TTLCache[str, tuple[str, float]] = TTLCache(maxsize=1024, ttl=VERIFIED_SECONDS)

    async def verify(self, token: str) -> str:
        """The name of the ServiceAccount that calls.

        Raises:
            InvalidServiceToken: Not a token of this cluster, for this audience, of an allowed caller, valid now.
        """
        cached = self._verified.get(token)
        if cached is not None and time.time() < cached[1]:
            return cached[0]
        claims = await self._claims(token)
        name = self._subjects.get(claims.get("sub", ""))
        if name is None:
            raise InvalidServiceToken("this ServiceAccount may not call this service")
        self._verified[token] = (name, float(claims["exp"]))
        return name

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise InvalidServiceToken("the service token is too long")
        try:
            header = jwt.get_unverified_header(token)
            key = await self.keys.key(str(header.get("kid")))
            if key is None:
                raise InvalidServiceToken("the service token is signed by an unknown key")
            return jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=self._issuer,
                options={"require_aud": True, "require_exp": True, "require_iss": True, "require_sub": True},
            )
        except JWTError as error:
            raise InvalidServiceToken(f"the service token is not valid: {error}") from error
        except JwksUnavailable as error:
            raise InvalidServiceToken(str(error)) from error


async def authenticate_service_request(headers: Mapping[str, str], verifier: ServiceTokenVerifier) -> Caller:
    """The user on whose behalf an allowed service calls.

    Raises:
        InvalidServiceToken: No valid service token, or no valid caller beside it.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidServiceToken("a service token is required")
    await verifier.verify(token.strip())
    try:
        return Caller.from_header(headers.get(CALLER_HEADER, ""))
    except InvalidCaller as error:
        raise InvalidServiceToken(str(error)) from error

"""The client's part of a login: codes and refresh tokens for access tokens of the user pool."""

import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
import structlog
from pydantic import BaseModel

from agentgateway.http.errors import ServiceUnavailable
from agentgateway.identity.exchanges import UsedExchanges
from agentgateway.oauth.authorize import CODE_SECONDS, Code
from agentgateway.oauth.clients import Clients, UnknownClient, fingerprint
from agentgateway.oauth.pkce import proves
from agentgateway.oauth.seals import InvalidSeal, Purpose, Seals
from agentgateway.settings import Settings

log = structlog.get_logger()

POOL_SECONDS = 10
MAX_ANSWER_BYTES = 64 * 1024


class TokenError(Exception):
    """An error of RFC 6749, section 5.2."""

    def __init__(self, code: str, description: str) -> None:
        """`code` is one of the specification's."""
        super().__init__(description)
        self.code = code
        self.description = description


class _Refresh(BaseModel):
    """A refresh token of the user pool, bound to the client that got it (RFC 6749, section 10.4)."""

    client: str
    token: str


class Tokens:
    """Answers at the token and revocation endpoints. All clients are public: PKCE and the seal prove who they are."""

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, clients: Clients, seals: Seals, used: UsedExchanges
    ) -> None:
        """`used` remembers, for all replicas, which codes were redeemed."""
        self._settings = settings
        self._session = session
        self._clients = clients
        self._seals = seals
        self._used = used

    async def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer of RFC 6749, section 5.1: the user pool's access token, unchanged.

        Raises:
            TokenError: The grant is not good.
            ServiceUnavailable: The user pool, KMS or DynamoDB did not answer.
        """
        client = await self._client(form)
        match form.get("grant_type"):
            case "authorization_code":
                grant = await self._redeem(form, client)
            case "refresh_token":
                refresh = await self._refresh(form.get("refresh_token", ""), client)
                grant = {"grant_type": "refresh_token", "refresh_token": refresh.token}
            case _:
                raise TokenError("unsupported_grant_type", "use authorization_code or refresh_token")
        answer = await self._ask_pool("token", grant)
        found = {
            "access_token": answer["access_token"],
            "token_type": "Bearer",
            "expires_in": answer["expires_in"],
            "scope": " ".join(self._settings.oauth_scopes),
        }
        # With rotation on, the pool gives a new one at each refresh.
        if renewed := answer.get("refresh_token"):
            found["refresh_token"] = await self._seals.seal(Purpose.REFRESH, _Refresh(client=client, token=renewed))
        return found

    async def revoke(self, form: Mapping[str, str]) -> None:
        """Make a refresh token useless (RFC 7009). One of the pool's own, from a login by password, is passed on.

        Raises:
            TokenError: The refresh token is another client's.
            ServiceUnavailable: The user pool or KMS did not answer.
        """
        token = form.get("token", "")
        try:
            sealed = await self._seals.open(Purpose.REFRESH, token, _Refresh)
        except InvalidSeal:
            pass
        else:
            if sealed.client != fingerprint(form.get("client_id", "")):
                raise TokenError("invalid_grant", "the refresh token is another client's")
            token = sealed.token
        try:
            await self._ask_pool("revoke", {"token": token})
        except TokenError:
            log.info("revocation.ignored")  # section 2.2: an unknown token is no error

    async def _client(self, form: Mapping[str, str]) -> str:
        client_id = form.get("client_id", "")
        try:
            await self._clients.find(client_id)
        except UnknownClient:
            raise TokenError("invalid_client", "client_id is not registered here; register again") from None
        return fingerprint(client_id)

    async def _redeem(self, form: Mapping[str, str], client: str) -> dict[str, str]:
        try:
            code = await self._seals.open(Purpose.CODE, form.get("code", ""), Code, CODE_SECONDS)
        except InvalidSeal:
            raise TokenError("invalid_grant", "the code is unknown or too old") from None
        if code.client != client:
            raise TokenError("invalid_grant", "the code is another client's")
        if code.redirect_uri != form.get("redirect_uri"):
            raise TokenError("invalid_grant", "redirect_uri is not that of the authorization request")
        if not proves(form.get("code_verifier", ""), code.challenge):
            raise TokenError("invalid_grant", "code_verifier does not belong to the code_challenge")
        if not await self._used.claim(f"code:{code.id}", int(time.time()) + 2 * CODE_SECONDS):
            raise TokenError("invalid_grant", "the code was used before")
        return {
            "grant_type": "authorization_code",
            "code": code.code,
            "redirect_uri": self._settings.oauth_callback_url,
            "code_verifier": code.verifier,
        }

    async def _refresh(self, token: str, client: str) -> _Refresh:
        try:
            found = await self._seals.open(Purpose.REFRESH, token, _Refresh)
        except InvalidSeal:
            raise TokenError("invalid_grant", "the refresh token is unknown") from None
        if found.client != client:
            raise TokenError("invalid_grant", "the refresh token is another client's")
        return found

    async def _ask_pool(self, endpoint: str, form: dict[str, str]) -> dict[str, Any]:
        url = f"{self._settings.cognito_domain_url}/oauth2/{endpoint}"
        data = {"client_id": self._settings.cognito_public_client_id, **form}
        timeout = aiohttp.ClientTimeout(total=POOL_SECONDS)
        try:
            async with self._session.post(url, data=data, timeout=timeout, allow_redirects=False) as response:
                body = await response.content.read(MAX_ANSWER_BYTES)
                while len(body) < MAX_ANSWER_BYTES and (more := await response.content.read(MAX_ANSWER_BYTES)):
                    body += more
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceUnavailable(f"the user pool did not answer: {error}") from error
        document = _object(body)
        if response.status == 400 and document.get("error") == "invalid_grant":
            raise TokenError("invalid_grant", "the user pool does not accept the grant any more")
        if response.status != 200:
            raise ServiceUnavailable(f"the user pool answered {response.status} {str(document.get('error'))[:100]}")
        if endpoint == "token" and not {"access_token", "expires_in"} <= document.keys():
            raise ServiceUnavailable("the user pool gave no access token")
        return document


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

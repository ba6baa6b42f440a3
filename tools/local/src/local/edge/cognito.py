"""The user pool, as its own managed login knows it: who may log in, and which clients there are."""

from dataclasses import dataclass
from typing import Any

import aiohttp
from cachetools import TTLCache

from local.names import POOL, REGION

TARGET = "AWSCognitoIdentityProviderService"


class WrongCredentials(Exception):
    """No such user, a wrong password, or a refresh token that does not count any more."""


class UnknownClient(Exception):
    """The user pool has no such client."""


@dataclass(frozen=True, slots=True)
class AppClient:
    """An app client of the user pool; without a secret it is a public one."""

    id: str
    secret: str | None
    callback_urls: tuple[str, ...]
    logout_urls: tuple[str, ...]
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login yields; `expires_in` is in seconds. A refresh yields no new refresh token."""

    access: str
    identity: str
    expires_in: int
    refresh: str | None


class UserPool:
    """Cognito's API, as far as the managed login needs it."""

    def __init__(self, session: aiohttp.ClientSession, aws_url: str) -> None:
        self._session = session
        self._url = aws_url
        self._clients: TTLCache[str, AppClient] = TTLCache(maxsize=100, ttl=60)

    async def client(self, client_id: str) -> AppClient:
        """An app client.

        Raises:
            UnknownClient: There is none of that name.
        """
        if (known := self._clients.get(client_id)) is not None:
            return known
        status, answer = await self._call("DescribeUserPoolClient", {"UserPoolId": POOL, "ClientId": client_id})
        if status != 200:
            raise UnknownClient(client_id)
        found = answer["UserPoolClient"]
        client = AppClient(
            client_id,
            found.get("ClientSecret"),
            tuple(found.get("CallbackURLs", ())),
            tuple(found.get("LogoutURLs", ())),
            frozenset(found.get("AllowedOAuthScopes", ())),
        )
        self._clients[client_id] = client
        return client

    async def log_in(self, client_id: str, username: str, password: str) -> Tokens:
        """Tokens for who knows the password.

        Raises:
            WrongCredentials: The pool does not say whether it is the name or the password.
        """
        parameters = {"USERNAME": username, "PASSWORD": password}
        return await self._authenticate(client_id, "ADMIN_USER_PASSWORD_AUTH", parameters)

    async def refresh(self, client_id: str, refresh_token: str) -> Tokens:
        """New tokens for a refresh token.

        Raises:
            WrongCredentials: It does not count any more.
        """
        return await self._authenticate(client_id, "REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": refresh_token})

    async def _authenticate(self, client_id: str, flow: str, parameters: dict[str, str]) -> Tokens:
        body = {"UserPoolId": POOL, "ClientId": client_id, "AuthFlow": flow, "AuthParameters": parameters}
        status, answer = await self._call("AdminInitiateAuth", body)
        found = answer.get("AuthenticationResult")
        if status != 200 or found is None:
            raise WrongCredentials
        return Tokens(found["AccessToken"], found["IdToken"], found["ExpiresIn"], found.get("RefreshToken"))

    async def _call(self, action: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {
            "x-amz-target": f"{TARGET}.{action}",
            "content-type": "application/x-amz-json-1.1",
            # moto looks at nothing but the scope.
            "authorization": f"AWS4-HMAC-SHA256 Credential=local/20260101/{REGION}/cognito-idp/aws4_request",
        }
        async with self._session.post(self._url, json=body, headers=headers) as response:
            return response.status, await response.json(content_type=None)

"""The user pool's managed login, and the MCP SDK's client in front of a person who logs in."""

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp import web
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from services.agentgateway.tests.fakes import UserPool


class ManagedLogin:
    """`/oauth2/authorize` and `/oauth2/token`, strict about what the protocol demands; the person always agrees."""

    def __init__(self, pool: UserPool, redirect_uri: str) -> None:
        self._pool = pool
        self._redirect_uri = redirect_uri
        self._codes: dict[str, dict[str, str]] = {}

    def app(self) -> web.Application:
        app = self._pool.app()
        app.router.add_get("/oauth2/authorize", self._authorize)
        app.router.add_post("/oauth2/token", self._token)
        return app

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == "cli-client"
        assert asked["redirect_uri"] == self._redirect_uri
        assert asked["code_challenge_method"] == "S256"
        assert asked["scope"] == "openid"
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        return web.Response(
            status=302, headers={"Location": f"{self._redirect_uri}?code={code}&state={asked['state']}"}
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self._codes.pop(str(form["code"]))
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        assert form["client_id"] == asked["client_id"]
        assert form["redirect_uri"] == asked["redirect_uri"]
        token = self._pool.token(None, client_id="cli-client", aud=asked["resource"])
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 3600})


class Memory:
    """Where the SDK keeps what it has learned."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Browser:
    """Opens the address that it is given, and hands over where it is sent to."""

    def __init__(self) -> None:
        self._landed: dict[str, str] = {}
        self.opened: list[str] = []

    async def open(self, url: str) -> None:
        self.opened.append(url)
        async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as response:
            assert response.status == 302, await response.text()
            self._landed = dict(parse_qsl(urlsplit(response.headers["location"]).query))

    async def landed(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=self._landed["code"], state=self._landed["state"])


def provider(address: str, redirect_uri: str, browser: Browser, memory: Memory) -> OAuthClientProvider:
    """The SDK's client, which knows the address and nothing else."""
    metadata: dict[str, Any] = {"redirect_uris": [redirect_uri], "client_name": "An MCP client"}
    return OAuthClientProvider(
        address, OAuthClientMetadata.model_validate(metadata), memory, browser.open, browser.landed
    )

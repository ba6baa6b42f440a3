"""The user pool's managed login, and the MCP SDK's client in front of a person who logs in."""

import base64
import hashlib
import re
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from aiohttp import web
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from services.agentgateway.tests.fakes import UserPool


class ManagedLogin:
    """`/oauth2/authorize`, `/oauth2/token` and `/oauth2/revoke` as Cognito has them; the person always logs in.

    A user pool whose refresh tokens rotate. `callback` is set to the one redirect URI that is registered.
    """

    def __init__(self, pool: UserPool) -> None:
        self._pool = pool
        self.callback = ""
        self.asked: list[dict[str, str]] = []
        self.error: str | None = None
        self.refresh_tokens: set[str] = set()
        self._codes: dict[str, dict[str, str]] = {}

    def app(self) -> web.Application:
        app = self._pool.app()
        app.router.add_get("/oauth2/authorize", self._authorize)
        app.router.add_post("/oauth2/token", self._token)
        app.router.add_post("/oauth2/revoke", self._revoke)
        return app

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        self.asked.append(asked)
        if (asked["client_id"], asked["redirect_uri"]) != ("cli-client", self.callback):
            return web.Response(status=400, text="redirect_mismatch")
        assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "openid")
        if self.error:
            answer = {"error": self.error, "state": asked["state"]}
        else:
            code = secrets.token_urlsafe()
            self._codes[code] = asked
            answer = {"code": code, "state": asked["state"]}
        return web.Response(status=302, headers={"Location": f"{self.callback}?{urlencode(answer)}"})

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if form["grant_type"] == "refresh_token":
            good = form["refresh_token"] in self.refresh_tokens
            self.refresh_tokens.discard(form["refresh_token"])
        else:
            asked = self._codes.pop(form["code"], {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            good = challenge == asked.get("code_challenge") and form["redirect_uri"] == asked["redirect_uri"]
        if not good or form["client_id"] != "cli-client":
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.refresh_tokens.add(renewed := secrets.token_urlsafe())
        token = self._pool.token(None, client_id="cli-client")
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "id_token": "x"}
        return web.json_response(answer | {"refresh_token": renewed})

    async def _revoke(self, request: web.Request) -> web.Response:
        self.refresh_tokens.discard(str((await request.post())["token"]))
        return web.Response()


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
    """A person's browser: it has cookies, and stops where it is sent to the client."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}
        self.opened: list[str] = []
        self.landed_at = ""
        self.answer: dict[str, str] = {}

    async def get(self, url: str, **headers: str) -> tuple[int, str, str]:
        """Status, `Location` and text of one page."""
        return await self._ask("GET", url, None, headers)

    async def post(self, url: str, form: dict[str, str], **headers: str) -> tuple[int, str, str]:
        return await self._ask("POST", url, form, headers)

    async def _ask(
        self, method: str, url: str, form: dict[str, str] | None, headers: dict[str, str]
    ) -> tuple[int, str, str]:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                method, url, data=form, headers=headers, cookies=self.cookies, allow_redirects=False
            ) as response,
        ):
            for name, morsel in response.cookies.items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
            return response.status, response.headers.get("location", ""), await response.text()

    async def consent(self, url: str, decision: str = "continue") -> str:
        """Open a login, answer on the consent page; where it leads."""
        status, _, text = await self.get(url)
        assert status == 200, text
        status, location, text = await self.post(url.partition("?")[0], consent_form(text) | {"decision": decision})
        assert status == 303, text
        return location

    async def open(self, url: str) -> None:
        """Log in, to the end."""
        self.opened.append(url)
        pool = await self.consent(url)
        status, callback, text = await self.get(pool)
        assert status == 302, text
        status, client, text = await self.get(callback)
        assert status == 302, text
        self.landed_at = client.partition("?")[0]
        self.answer = query_of(client)

    async def landed(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self.answer)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def consent_form(text: str) -> dict[str, str]:
    """The hidden field of the consent page."""
    found = re.search(r'name="login" value="([^"]+)"', text)
    assert found, text
    return {"login": found[1]}


def provider(address: str, redirect_uri: str, browser: Browser, memory: Memory) -> OAuthClientProvider:
    """The SDK's client, which knows the address and nothing else."""
    metadata: dict[str, Any] = {"redirect_uris": [redirect_uri], "client_name": "An MCP client"}
    return OAuthClientProvider(
        address, OAuthClientMetadata.model_validate(metadata), memory, browser.open, browser.landed
    )

"""Cognito's managed login: the authorization code flow with PKCE, refresh, revocation, logout.

Rules, all of https://docs.aws.amazon.com/cognito/latest/developerguide/ where no other source is named:

- redirect_uri is one of the client's callback URLs, character for character; a port counts, on loopback addresses too,
  though RFC 8252, section 7.3, asks for any (authorization-endpoint.html, user-pool-settings-client-apps.html)
- an unknown client or redirect_uri is an error page; all else goes back to the client (authorization-endpoint.html)
- PKCE is not required; a challenge that was given is verified, S256 alone (using-pkce-in-authorization-code.html)
- nobody is registered by RFC 7591, and an answer has no `iss` of RFC 9207 (the endpoint reference has neither)
- a code counts once, for five minutes (token-endpoint.html)
- a refresh gives no new refresh token unless rotation is on (amazon-cognito-user-pools-using-the-refresh-token.html)
- an access token has `client_id` and no `aud`, unless `resource` was asked for, which has to be https
  (amazon-cognito-user-pools-using-the-access-token.html, authorization-endpoint.html)
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from aiohttp import BasicAuth, web
from cachetools import LRUCache, TTLCache

from local.edge.alb import COOKIE
from local.edge.cognito import AppClient, Tokens, UnknownClient, UserPool, WrongCredentials
from local.edge.pages import page

CODE_SECONDS: Final = 300
FORM_COOKIE: Final = "login-form"
NO_STORE: Final = {"cache-control": "no-store"}


class InvalidLogin(Exception):
    """The request cannot be sent back to any client, so a page shows the person why."""


@dataclass(frozen=True, slots=True)
class ClientError(Exception):
    """Reaches the client as an error code of RFC 6749."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a client asks for."""

    client: AppClient
    redirect_uri: str
    state: str | None
    challenge: str | None


@dataclass(frozen=True, slots=True)
class Granted:
    """What a code stands for."""

    authorization: Authorization
    tokens: Tokens


def verifier_matches(verifier: str, challenge: str) -> bool:
    """RFC 7636, section 4.6, method S256."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return 43 <= len(verifier) <= 128 and secrets.compare_digest(digest, challenge)


class ManagedLogin:
    """The endpoints."""

    def __init__(self, pool: UserPool) -> None:
        """No code is out yet."""
        self._pool = pool
        self._codes: TTLCache[str, Granted] = TTLCache(maxsize=10_000, ttl=CODE_SECONDS)
        self._refresh_tokens: LRUCache[str, str] = LRUCache(maxsize=10_000)
        """The client that each refresh token was issued to; a revoked one is not there."""

    def routes(self) -> list[web.RouteDef]:
        """To be added to an application."""
        return [
            web.get("/oauth2/authorize", self.authorize),
            web.get("/login", self.show),
            web.post("/login", self.log_in),
            web.post("/oauth2/token", self.token),
            web.post("/oauth2/revoke", self.revoke),
            web.get("/logout", self.log_out),
        ]

    async def _authorization(self, query: Mapping[str, str]) -> Authorization:
        try:
            client = await self._pool.client(query.get("client_id", ""))
        except UnknownClient as error:
            raise InvalidLogin("The program that sent you here is not known (client_id).") from error
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in client.callback_urls:
            raise InvalidLogin("The program that sent you here may not be returned to (redirect_uri).")
        return Authorization(client, redirect_uri, query.get("state"), query.get("code_challenge"))

    async def authorize(self, request: web.Request) -> web.Response:
        """Begin: refuse what cannot end well, otherwise show the login page."""
        try:
            authorization = await self._authorization(request.query)
        except InvalidLogin as error:
            return page("refused.html", status=400, reason=str(error))
        try:
            check_request(authorization, request.query)
        except ClientError as error:
            return _back(authorization, {"error": error.code, "error_description": error.description})
        return web.Response(status=302, headers={"location": f"/login?{request.query_string}", **NO_STORE})

    async def show(self, request: web.Request) -> web.Response:
        """The login page."""
        try:
            await self._authorization(request.query)
        except InvalidLogin as error:
            return page("refused.html", status=400, reason=str(error))
        return _form(request)

    async def log_in(self, request: web.Request) -> web.Response:
        """The login page was sent in."""
        form = await request.post()
        username, password, sent = (str(form.get(name, "")) for name in ("username", "password", FORM_COOKIE))
        try:
            authorization = await self._authorization(request.query)
            check_request(authorization, request.query)
        except (InvalidLogin, ClientError) as error:
            return page("refused.html", status=400, reason=str(error))
        if not sent or not secrets.compare_digest(sent.encode(), request.cookies.get(FORM_COOKIE, "").encode()):
            return _form(request, error="The page was open for too long, or cookies are off. Try again.", status=400)
        try:
            tokens = await self._pool.log_in(authorization.client.id, username, password)
        except WrongCredentials:
            return _form(request, error="Incorrect username or password.", username=username, status=400)
        code = secrets.token_urlsafe(32)
        self._codes[code] = Granted(authorization, tokens)
        return _back(authorization, {"code": code})

    async def token(self, request: web.Request) -> web.Response:
        """Exchange a code, or a refresh token, for tokens."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            client = await self._client(request, form)
            match form.get("grant_type"):
                case "authorization_code":
                    tokens = self._exchange(client, form)
                case "refresh_token":
                    tokens = await self._refresh(client, form.get("refresh_token", ""))
                case _:
                    raise ClientError("unsupported_grant_type", "use authorization_code or refresh_token")
        except ClientError as error:
            return web.json_response({"error": error.code, "error_description": error.description}, status=400)
        answer = {
            "access_token": tokens.access,
            "id_token": tokens.identity,
            "token_type": "Bearer",
            "expires_in": tokens.expires_in,
        }
        if tokens.refresh is not None:
            self._refresh_tokens[tokens.refresh] = client.id
            answer["refresh_token"] = tokens.refresh
        return web.json_response(answer, headers=NO_STORE)

    async def _client(self, request: web.Request, form: Mapping[str, str]) -> AppClient:
        client_id, secret = form.get("client_id", ""), form.get("client_secret")
        if authorization := request.headers.get("authorization"):
            try:
                credentials = BasicAuth.decode(authorization)
            except ValueError as error:
                raise ClientError("invalid_client", "the Authorization header is not Basic") from error
            client_id, secret = credentials.login, credentials.password
        try:
            client = await self._pool.client(client_id)
        except UnknownClient as error:
            raise ClientError("invalid_client", "no such client") from error
        if client.secret is not None and not secrets.compare_digest(client.secret.encode(), (secret or "").encode()):
            raise ClientError("invalid_client", "wrong client secret")
        return client

    def _exchange(self, client: AppClient, form: Mapping[str, str]) -> Tokens:
        granted = self._codes.pop(form.get("code", ""), None)
        if granted is None or granted.authorization.client.id != client.id:
            raise ClientError("invalid_grant", "the code is unknown, used, older than five minutes, or another's")
        if granted.authorization.redirect_uri != form.get("redirect_uri"):
            raise ClientError("invalid_grant", "redirect_uri is not that of the authorization request")
        challenge = granted.authorization.challenge
        if challenge is not None and not verifier_matches(form.get("code_verifier", ""), challenge):
            raise ClientError("invalid_grant", "code_verifier does not belong to the code_challenge")
        return granted.tokens

    async def _refresh(self, client: AppClient, refresh_token: str) -> Tokens:
        if self._refresh_tokens.get(refresh_token) != client.id:
            raise ClientError("invalid_grant", "the refresh token is unknown, revoked, or another client's")
        try:
            return await self._pool.refresh(client.id, refresh_token)
        except WrongCredentials as error:
            raise ClientError("invalid_grant", "the refresh token does not count any more") from error

    async def revoke(self, request: web.Request) -> web.Response:
        """Make a refresh token useless (RFC 7009); an unknown one is no error."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            client = await self._client(request, form)
        except ClientError as error:
            return web.json_response({"error": error.code, "error_description": error.description}, status=400)
        if self._refresh_tokens.get(form.get("token", "")) == client.id:
            del self._refresh_tokens[form["token"]]
        return web.Response()

    async def log_out(self, request: web.Request) -> web.Response:
        """End the session of the browser, and go where the client said."""
        try:
            client = await self._pool.client(request.query.get("client_id", ""))
        except UnknownClient:
            return page("refused.html", status=400, reason="The program that sent you here is not known (client_id).")
        if (target := request.query.get("logout_uri", "")) not in client.logout_urls:
            return page("refused.html", status=400, reason="This is not where logging out may lead to (logout_uri).")
        response = web.Response(status=302, headers={"location": target, **NO_STORE})
        # Here alone: the app edge is on the same host, and cookies do not tell ports apart.
        response.del_cookie(COOKIE)
        return response


def check_request(authorization: Authorization, query: Mapping[str, str]) -> None:
    """What can be told to the client.

    Raises:
        ClientError: The request asks for what this client cannot have.
    """
    if query.get("response_type") != "code":
        raise ClientError("unsupported_response_type", "response_type has to be code")
    if unknown := set(query.get("scope", "").split()) - authorization.client.scopes:
        raise ClientError("invalid_scope", f"this client may not have {' '.join(sorted(unknown))}")
    if authorization.challenge and query.get("code_challenge_method") != "S256":
        raise ClientError("invalid_request", "code_challenge_method has to be S256")


def _back(authorization: Authorization, answer: dict[str, str]) -> web.Response:
    if authorization.state is not None:
        answer["state"] = authorization.state
    joint = "&" if urlsplit(authorization.redirect_uri).query else "?"
    location = f"{authorization.redirect_uri}{joint}{urlencode(answer)}"
    return web.Response(status=302, headers={"location": location, **NO_STORE})


def _form(request: web.Request, error: str = "", username: str = "", status: int = 200) -> web.Response:
    value = secrets.token_urlsafe(16)
    response = page("login.html", status=status, error=error, username=username, name=FORM_COOKIE, value=value)
    response.set_cookie(FORM_COOKIE, value, max_age=3600, httponly=True, samesite="Lax", path="/login")
    return response

"""The load balancer's host for people: sends them to the managed login, and vouches for who comes back from it.

As https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html has it.
"""

import base64
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from cachetools import TTLCache
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwt

from local.edge.cognito import UserPool
from local.edge.proxy import Proxy, end_to_end
from local.names import ALB_ARN, ALB_CLIENT, COGNITO_ISSUER

COOKIE: Final = "AWSELBAuthSessionCookie-0"
NONCE_COOKIE: Final = "AWSALBAuthNonce"
CALLBACK: Final = "/oauth2/idpresponse"
SESSION_SECONDS, LOGIN_SECONDS = 7 * 24 * 3600, 900
RENEW_EARLY_SECONDS: Final = 60


@dataclass(slots=True)
class Session:
    """Someone who is logged in; `access` is valid until `expires` (seconds since the epoch)."""

    access: str
    refresh: str
    subject: str
    username: str
    email: str
    expires: float


@dataclass(frozen=True, slots=True)
class Login:
    """A login that has begun: where it leads back to, and the browser that it belongs to."""

    target: str
    nonce: str


class LoginRequired(Exception):
    """The request has no session that counts."""


class AppEdge:
    """Authenticates, then hands `/gateway/…` on to the gateway and all else to the frontend."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        pool: UserPool,
        *,
        app_url: str,
        login_url: str,
        gateway: Proxy,
        frontends: Sequence[Proxy],
    ) -> None:
        self._http = session
        self._pool = pool
        self._app_url, self._login_url = app_url, login_url
        self._gateway, self._frontends = gateway, frontends
        self._sessions: TTLCache[str, Session] = TTLCache(maxsize=10_000, ttl=SESSION_SECONDS)
        self._logins: TTLCache[str, Login] = TTLCache(maxsize=10_000, ttl=LOGIN_SECONDS)
        key = ec.generate_private_key(ec.SECP256R1())
        self._key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self.public_key = (
            key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
        """Verifies `x-amzn-oidc-data` (PEM)."""

    async def session(self, request: web.Request) -> Session:
        """Who is logged in; the access token is renewed a minute before its end.

        Raises:
            LoginRequired: Nobody, or not any more.
        """
        cookie = request.cookies.get(COOKIE, "")
        found = self._sessions.get(cookie)
        if found is None:
            raise LoginRequired
        if time.time() > found.expires - RENEW_EARLY_SECONDS:
            answer = await self._token({"grant_type": "refresh_token", "refresh_token": found.refresh})
            if answer is None:
                self._sessions.pop(cookie, None)
                raise LoginRequired
            found.access, found.expires = answer["access_token"], time.time() + int(answer["expires_in"])
        return found

    def challenge(self, request: web.Request) -> web.Response:
        """Send a browser to the login; tell a program, which cannot follow there, that it is not logged in."""
        if request.path.startswith("/gateway/"):
            return web.Response(status=401, text="401 Unauthorized: log in first\n")
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        target = request.raw_path if request.method == "GET" and request.raw_path.startswith("/") else "/"
        self._logins[state] = Login(target, nonce)
        query = {
            "client_id": ALB_CLIENT,
            "redirect_uri": f"{self._app_url}{CALLBACK}",
            "response_type": "code",
            "scope": "openid email profile",
            "state": state,
        }
        response = web.Response(
            status=302,
            headers={"location": f"{self._login_url}/oauth2/authorize?{urlencode(query)}", "cache-control": "no-store"},
        )
        response.set_cookie(NONCE_COOKIE, nonce, max_age=LOGIN_SECONDS, httponly=True, samesite="Lax")
        return response

    async def callback(self, request: web.Request) -> web.Response:
        """The end of a login: exchange the code, begin a session, go where the browser wanted to go."""
        login = self._logins.pop(request.query.get("state", ""), None)
        nonce = request.cookies.get(NONCE_COOKIE, "")
        if login is None or not secrets.compare_digest(login.nonce.encode(), nonce.encode()):
            return web.Response(status=401, text="401 Unauthorized: this login was not begun in this browser\n")
        answer = await self._token(
            {
                "grant_type": "authorization_code",
                "code": request.query.get("code", ""),
                "redirect_uri": f"{self._app_url}{CALLBACK}",
            }
        )
        if answer is None:
            return web.Response(status=401, text="401 Unauthorized: the login failed\n")
        claims = jwt.get_unverified_claims(answer["id_token"])
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = Session(
            access=answer["access_token"],
            refresh=answer["refresh_token"],
            subject=claims["sub"],
            username=claims["cognito:username"],
            email=claims.get("email", ""),
            expires=time.time() + int(answer["expires_in"]),
        )
        response = web.Response(
            status=302, headers={"location": f"{self._app_url}{login.target}", "cache-control": "no-store"}
        )
        response.set_cookie(COOKIE, cookie, max_age=SESSION_SECONDS, httponly=True, samesite="Lax")
        response.del_cookie(NONCE_COOKIE)
        return response

    async def _token(self, form: dict[str, str]) -> dict[str, str] | None:
        client = await self._pool.client(ALB_CLIENT)
        credentials = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        headers = {"authorization": f"Basic {credentials}"}
        async with self._http.post(f"{self._login_url}/oauth2/token", data=form, headers=headers) as response:
            if response.status != 200:
                return None
            answer: dict[str, str] = await response.json()
            return answer

    async def forward(self, request: web.Request, session: Session) -> web.StreamResponse | None:
        """Hand a request on, with who sends it; None where there is nothing behind."""
        targets: Sequence[Proxy] = [self._gateway] if request.path.startswith("/gateway/") else self._frontends
        if not targets:
            return None
        # Whoever sends these headers from outside pretends to be the load balancer.
        forged = {name.lower() for name in request.headers if name.lower().replace("_", "-").startswith("x-amzn-oidc-")}
        headers = end_to_end(request.headers, without=forged)
        headers["x-amzn-oidc-accesstoken"] = session.access
        headers["x-amzn-oidc-identity"] = session.subject
        headers["x-amzn-oidc-data"] = self._user_claims(session)
        # As a load balancer without stickiness: any target, whichever answered before, but none that is gone.
        for target in random.sample(targets, len(targets)):
            answer = await target.forward_if_up(request, headers.copy())
            if answer is not None:
                return answer
        return web.Response(status=503, text="503 Service Temporarily Unavailable\n")

    def _user_claims(self, session: Session) -> str:
        expires = int(time.time()) + 120
        claims = {"sub": session.subject, "email": session.email, "username": session.username}
        claims |= {"exp": str(expires), "iss": COGNITO_ISSUER}
        header = {"kid": "local", "iss": COGNITO_ISSUER, "client": ALB_CLIENT, "signer": ALB_ARN, "exp": str(expires)}
        return jwt.encode(claims, self._key, "ES256", headers=header)

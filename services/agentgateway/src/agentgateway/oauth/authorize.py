"""The browser's part of a login: the client's request, the person's consent, and the user pool's answer.

The gateway is an OAuth proxy: the user pool knows one redirect URI, this gateway's, and every client is behind it. So
the pool's session alone must never be enough to give a client a code ("confused deputy", MCP, security best
practices): the person agrees to each login on a page of the gateway's own, and both steps are bound to their browser.
"""

import re
import secrets
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

import structlog
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from agentgateway.identity.exchanges import UsedExchanges
from agentgateway.oauth import pages
from agentgateway.oauth.clients import Client, Clients, UnknownClient, fingerprint
from agentgateway.oauth.metadata import AUTHORIZE
from agentgateway.oauth.pkce import challenge_of, is_challenge
from agentgateway.oauth.redirects import destination, is_allowed, is_registered
from agentgateway.oauth.seals import InvalidSeal, Purpose, Seals
from agentgateway.settings import Settings

log = structlog.get_logger()

LOGIN_SECONDS: Final = 600
"""How long a person may take to agree, and again to log in."""

CODE_SECONDS: Final = 120
MAX_STATE_LENGTH: Final = 1024
MAX_LOGINS: Final = 3
"""Logins that one browser may have under way: each has a cookie of up to 3 KiB, and the firewall blocks 10 KiB."""

PASSED_ON: Final = frozenset({"access_denied", "temporarily_unavailable"})
"""Errors of the user pool that pass to the client unchanged; any other becomes `server_error`."""

_STATE = re.compile(rf"[\x20-\x7e]{{0,{MAX_STATE_LENGTH}}}")  # RFC 6749, appendix A.5
_ID = re.compile(r"[A-Za-z0-9_-]{43}")


class Authorization(BaseModel):
    """What a client asked for, and the secrets of the gateway's own request to the user pool."""

    id: str
    client: str
    redirect_uri: str
    state: str | None
    challenge: str
    verifier: str


class Code(BaseModel):
    """What a code of the gateway stands for."""

    id: str
    client: str
    redirect_uri: str
    challenge: str
    code: str
    verifier: str


class _Refused(Exception):
    """The browser cannot be sent back to any client, so a page shows the person why."""


class _ClientError(Exception):
    """Reaches the client as an error code of RFC 6749, section 4.1.2.1, or RFC 8707, section 2."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


class Login:
    """The handlers that a browser visits."""

    def __init__(self, settings: Settings, clients: Clients, seals: Seals, used: UsedExchanges) -> None:
        """`used` remembers, for all replicas, which logins have ended."""
        self._settings = settings
        self._clients = clients
        self._seals = seals
        self._used = used
        self._is_secure = settings.public_api_url.startswith("https://")
        self._prefix = "__Host-" if self._is_secure else ""
        self._own = re.compile(rf"{self._prefix}(?:consent|login)-[A-Za-z0-9_-]{{12}}")

    async def authorize(self, request: Request) -> Response:
        """RFC 6749, section 4.1.1: ask the person whether the client may have what it asks for."""
        try:
            asked = _parameters(request)
            client = await self._client(asked)
        except _Refused as error:
            return pages.refused(str(error))
        redirect_uri, state = asked["redirect_uri"], asked.get("state")
        try:
            self._check(asked, request)
        except _ClientError as error:
            return self._to_client(redirect_uri, state, {"error": error.code, "error_description": error.description})
        authorization = Authorization(
            id=secrets.token_urlsafe(32),
            client=fingerprint(asked["client_id"]),
            redirect_uri=redirect_uri,
            state=state,
            challenge=asked["code_challenge"],
            verifier=secrets.token_urlsafe(32),
        )
        response = pages.consent(client.name, destination(redirect_uri), action=AUTHORIZE, login=authorization.id)
        others = [name for name in request.cookies if self._own.fullmatch(name)]
        for name in others[: max(0, len(others) - MAX_LOGINS + 1)]:
            self._delete(response, name)
        sealed = await self._seals.seal(Purpose.CONSENT, authorization)
        self._set(response, self._cookie(authorization.id, "consent"), sealed)
        return response

    async def decide(self, request: Request, form: Mapping[str, str]) -> Response:
        """The person has answered on the consent page: send them to the user pool, or back to the client."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return pages.refused("The answer came from another site.")
        name = self._cookie(form.get("login", ""), "consent")
        try:
            asked = await self._read(request, name, form.get("login", ""), Purpose.CONSENT)
        except _Refused as error:
            return pages.refused(str(error))
        if form.get("decision") != "continue":
            denied = {"error": "access_denied", "error_description": "The person did not agree."}
            response = self._to_client(asked.redirect_uri, asked.state, denied, status=303)
            self._delete(response, name)
            return response
        # The consent page's identifier ends here: the user pool gets another one.
        agreed = asked.model_copy(update={"id": secrets.token_urlsafe(32)})
        query = {
            "response_type": "code",
            "client_id": self._settings.cognito_public_client_id,
            "redirect_uri": self._settings.oauth_callback_url,
            "scope": " ".join(self._settings.oauth_scopes),
            "state": agreed.id,
            "code_challenge": challenge_of(agreed.verifier),
            "code_challenge_method": "S256",
        }
        if self._is_secure:
            # Cognito binds a token to it by `aud`, and refuses values that are not https:
            # docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
            query["resource"] = self._settings.public_api_url
        response = _redirect(f"{self._settings.cognito_domain_url}/oauth2/authorize?{urlencode(query)}", 303)
        self._delete(response, name)
        self._set(response, self._cookie(agreed.id), await self._seals.seal(Purpose.LOGIN, agreed))
        return response

    async def callback(self, request: Request) -> Response:
        """The user pool's answer: give the client a code of the gateway's own."""
        try:
            answer = _parameters(request)
            state = answer.get("state", "")
            asked = await self._read(request, self._cookie(state), state, Purpose.LOGIN)
        except _Refused as error:
            return pages.refused(str(error))
        if not await self._used.claim(f"login:{asked.id}", int(time.time()) + 2 * LOGIN_SECONDS):
            return pages.refused("This login has ended already.")
        if code := answer.get("code"):
            sealed = Code(
                id=asked.id,
                client=asked.client,
                redirect_uri=asked.redirect_uri,
                challenge=asked.challenge,
                code=code,
                verifier=asked.verifier,
            )
            told = {"code": await self._seals.seal(Purpose.CODE, sealed)}
        else:
            reason = answer.get("error", "")
            log.info("login.refused", error=reason[:100])
            known = reason if reason in PASSED_ON else "server_error"
            told = {"error": known, "error_description": "The user pool did not complete the login."}
        response = self._to_client(asked.redirect_uri, asked.state, told)
        self._delete(response, self._cookie(state))
        return response

    async def _client(self, asked: Mapping[str, str]) -> Client:
        try:
            client = await self._clients.find(asked.get("client_id", ""))
        except UnknownClient:
            raise _Refused(
                "The program that sent you here is not registered (client_id). Remove its saved login for this "
                "address, and log in again."
            ) from None
        uri = asked.get("redirect_uri", "")
        if not (is_registered(uri, client.redirect_uris) and is_allowed(uri, self._settings.oauth_redirect_uris)):
            raise _Refused("The program that sent you here asks for an answer at an address that it did not register.")
        return client

    def _check(self, asked: Mapping[str, str], request: Request) -> None:
        if asked.get("response_type") != "code":
            raise _ClientError("unsupported_response_type", "response_type must be code")
        if not is_challenge(asked.get("code_challenge", "")) or asked.get("code_challenge_method") != "S256":
            raise _ClientError("invalid_request", "PKCE is required: code_challenge, code_challenge_method=S256")
        if _STATE.fullmatch(asked.get("state", "")) is None:
            raise _ClientError("invalid_request", f"state must be at most {MAX_STATE_LENGTH} characters of ASCII")
        own = self._settings.public_api_url
        for resource in request.query_params.getlist("resource"):
            if resource.rstrip("/") != own and not resource.startswith(f"{own}/"):
                raise _ClientError("invalid_target", f"resource must be {own} or a part of it")

    async def _read(self, request: Request, name: str, identifier: str, purpose: Purpose) -> Authorization:
        """What the cookie of a step of this login has.

        Raises:
            _Refused: This browser has not begun the step.
        """
        wrong = _Refused("This login was not begun in this browser, or it took too long. Begin again in the program.")
        if not _ID.fullmatch(identifier):
            raise wrong
        try:
            found = await self._seals.open(purpose, request.cookies.get(name, ""), Authorization, LOGIN_SECONDS)
        except InvalidSeal:
            raise wrong from None
        if not secrets.compare_digest(found.id, identifier):
            raise wrong
        return found

    def _to_client(self, redirect_uri: str, state: str | None, answer: dict[str, str], status: int = 302) -> Response:
        # RFC 9207: a client that talks to several authorization servers sees which one has answered.
        told = {**answer, **({} if state is None else {"state": state}), "iss": self._settings.public_api_url}
        return _redirect(f"{redirect_uri}?{urlencode(told)}", status)

    def _cookie(self, identifier: str, step: str = "login") -> str:
        # `__Host-`: no other host of the domain can set it (RFC 6265bis, section 4.1.3.2). It needs https.
        return f"{self._prefix}{step}-{identifier[:12]}"

    def _set(self, response: Response, name: str, value: str) -> None:
        # Lax: the user pool's answer comes from another site.
        response.set_cookie(
            name, value, max_age=LOGIN_SECONDS, path="/", secure=self._is_secure, httponly=True, samesite="lax"
        )

    def _delete(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self._is_secure, httponly=True, samesite="lax")


def _parameters(request: Request) -> dict[str, str]:
    """The query's parameters; only `resource` may come more than once (RFC 6749, section 3.1; RFC 8707, section 2)."""
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    given = [name for name, _ in pairs if name != "resource"]
    if len(given) != len(set(given)):
        raise _Refused("The program that sent you here has given a parameter more than once.")
    return dict(pairs)


def _redirect(location: str, status: int) -> Response:
    return Response(status_code=status, headers={"location": location, "cache-control": "no-store"})

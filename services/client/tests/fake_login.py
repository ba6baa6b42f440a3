"""The gateway's discovery documents, a user pool's managed login, and the exchange for AWS credentials."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from services.client.tests.fake_service import FakeService

PASSWORD = "correct horse"
KEYS = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab3dEf/.well-known/jwks.json"


def token_of(user: str, number: int) -> str:
    """Looks like a JWT, which only its reader would notice not to be signed."""
    claims = base64.urlsafe_b64encode(json.dumps({"username": user, "n": number}).encode()).rstrip(b"=").decode()
    return f"header.{claims}.signature"


@dataclass
class FakeLogin:
    """Lets `alice` in."""

    challenges: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    expires_in: int = 3600
    denial: str | None = None
    extra: dict[str, str] = field(default_factory=dict)
    cognito: dict[str, Any] | None = None
    cognito_status: int = 200
    resource: str | None = None
    registered: list[dict[str, Any]] = field(default_factory=list)
    presigned: list[str] = field(default_factory=list)
    issued: int = 0

    def issue(self, service: "FakeService", user: str = "alice") -> str:
        self.issued += 1
        token = token_of(user, self.issued)
        service.tokens.add(token)
        return token

    async def answer(self, request: Request, service: "FakeService") -> Response:
        path = request.url.path
        if path == "/.well-known/oauth-protected-resource":
            resource = {"resource": self.resource or service.url, "authorization_servers": [service.url]}
            return JSONResponse(resource | {"scopes_supported": ["openid"]})
        if path == "/.well-known/oauth-authorization-server":
            ends = ("authorize", "token", "revoke")
            names = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
            found: dict[str, Any] = {name: f"{service.url}/oauth2/{end}" for name, end in zip(names, ends, strict=True)}
            found |= {"issuer": service.url, "jwks_uri": KEYS, "registration_endpoint": f"{service.url}/register"}
            found |= {"authorization_response_iss_parameter_supported": True, "user_pool_client_id": "pool-client"}
            return JSONResponse(found)
        if path == "/register":
            self.registered.append(await request.json())
            return JSONResponse({"client_id": "public-client"}, 201)
        if path == "/oauth2/authorize":
            return self.authorize(dict(request.query_params), service.url)
        if path in ("/oauth2/token", "/oauth2/revoke"):
            form = {name: str(value) for name, value in (await request.form()).items()}
            return self.revoke(form) if path.endswith("revoke") else self.token(form, service)
        if path == "/auth/iam":
            self.presigned.append((await request.json())["url"])
            token = self.issue(service, "arn:aws:iam::123456789012:role/on-premises")
            return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in})
        if path == "/" and request.method == "POST":
            return self.initiate_auth(await request.json(), service)
        return Response("not here", 404)

    def authorize(self, query: dict[str, str], issuer: str) -> Response:
        if self.denial:
            answer = {"error": "access_denied", "error_description": self.denial}
            answer |= {"state": query["state"], "iss": issuer}
        else:
            code = f"code-{len(self.challenges) + 1}"
            self.challenges[code] = query
            answer = {"code": code, "state": query["state"], "iss": issuer} | self.extra
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(answer)}", 302)

    def token(self, form: dict[str, str], service: "FakeService") -> Response:
        if form["grant_type"] == "refresh_token":
            good = form["refresh_token"] in self.refresh_tokens
        else:
            query = self.challenges.pop(form["code"], {})
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            good = query.get("code_challenge") == challenge and query.get("redirect_uri") == form["redirect_uri"]
        if not good or form["client_id"] != "public-client":
            return JSONResponse({"error": "invalid_grant"}, 400)
        refresh = f"refresh-{len(self.refresh_tokens) + 1}"
        self.refresh_tokens.add(refresh)
        tokens = {"access_token": self.issue(service), "expires_in": self.expires_in, "token_type": "Bearer"}
        return JSONResponse(tokens | {"refresh_token": refresh})

    def revoke(self, form: dict[str, str]) -> Response:
        self.refresh_tokens.discard(form["token"])
        return Response()

    def initiate_auth(self, body: dict[str, Any], service: "FakeService") -> Response:
        if self.cognito is not None:
            return JSONResponse(self.cognito, self.cognito_status)
        given = body["AuthParameters"]
        if body["AuthFlow"] == "USER_PASSWORD_AUTH":
            good = given == {"USERNAME": "alice", "PASSWORD": PASSWORD}
            extra = {"RefreshToken": "cognito-refresh"}
        else:
            good, extra = given == {"REFRESH_TOKEN": "cognito-refresh"}, {}
        if not good or body["ClientId"] != "pool-client":
            return JSONResponse({"__type": "NotAuthorizedException", "message": "Incorrect username or password."}, 400)
        tokens = {"AccessToken": self.issue(service), "ExpiresIn": self.expires_in, **extra}
        return JSONResponse({"AuthenticationResult": tokens})

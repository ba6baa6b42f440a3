"""Stand-ins for what the gateway talks to, each a real server on loopback."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestServer
from jose import jwt
from services.agentgateway.tests.sigv4 import expected_signature
from services.common.tests.api_server import SigningKey

from common.caller import Caller
from common.service_tokens import InvalidServiceToken, ServiceTokenVerifier, authenticate_service_request

CHUNK = bytes(range(256)) * 1024


@asynccontextmanager
async def serving(app: web.Application, port: int | None = None) -> AsyncIterator[str]:
    async with TestServer(app, port=port) as server:
        yield str(server.make_url("")).rstrip("/")


class UserPool:
    """A user pool's issuer: signs tokens, and publishes its keys."""

    client_id = "web-client"

    def __init__(self) -> None:
        self.issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool"
        self.keys = [SigningKey("pool-1")]
        self.jwks_requests = 0
        self.available = True

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "0a1b2c3d-alice",
            "username": "alice",
            "client_id": self.client_id,
            "token_use": "access",
            "scope": "openid",
            "cognito:groups": ["finance"],
            "iat": now,
            "exp": now + 3600,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: SigningKey | None = None, **changes: Any) -> str:
        key = key or self.keys[0]
        return jwt.encode(self.claims(**changes), key.pem, "RS256", headers={"kid": key.kid})

    def app(self) -> web.Application:
        async def jwks(_: web.Request) -> web.Response:
            self.jwks_requests += 1
            if not self.available:
                return web.Response(status=503)
            return web.json_response({"keys": [key.public() for key in self.keys]})

        app = web.Application()
        app.router.add_get("/.well-known/jwks.json", jwks)
        return app


@dataclass
class Identity:
    """Credentials that STS knows."""

    secret: str
    arn: str
    token: str | None = None


class Sts:
    """Answers `GetCallerIdentity` to who signed it."""

    def __init__(self) -> None:
        self.identities: dict[str, Identity] = {}
        self.requests: list[dict[str, str]] = []
        self.answer: Callable[[], web.Response] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        if self.answer is not None:
            return self.answer()
        query = dict(parse_qsl(request.query_string, keep_blank_values=True))
        identity = self.identities.get(query["X-Amz-Credential"].split("/")[0])
        headers = {name.lower(): value for name, value in request.headers.items()}
        if identity is None or query.get("X-Amz-Security-Token") != identity.token:
            return self._error("InvalidClientTokenId")
        if query["X-Amz-Signature"] != expected_signature(identity.secret, request.query_string, headers):
            return self._error("SignatureDoesNotMatch")
        return web.Response(
            content_type="text/xml",
            text='<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            f"<Arn>{identity.arn}</Arn><UserId>AROA:session</UserId><Account>123456789012</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>",
        )

    @staticmethod
    def _error(code: str) -> web.Response:
        return web.Response(status=403, text=f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self.handle)
        return app


@dataclass
class Seen:
    """A request as the application got it."""

    method: str
    target: str
    headers: dict[str, str]
    caller: Caller
    body_bytes: int = 0
    body_digest: str = ""
    outcome: str = "open"


@dataclass
class FakeApplication:
    """Takes and gives streams; the identifier in the path tells it how to behave."""

    verifier: ServiceTokenVerifier
    seen: list[Seen] = field(default_factory=list)
    available: bool = True
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not self.available:
            return web.Response(status=503)
        try:
            caller = await authenticate_service_request(
                {name.lower(): value for name, value in request.headers.items()}, self.verifier
            )
        except InvalidServiceToken:
            return web.Response(status=401)
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = Seen(request.method, request.path_qs, headers, caller)
        self.seen.append(seen)
        _, _, behaviour = request.match_info["rest"].partition("/")
        try:
            response = await getattr(self, f"do_{behaviour.partition('/')[0].partition('-')[0]}", self.do_take)(
                request, seen
            )
        except BaseException:
            seen.outcome = "broken"
            raise
        seen.outcome = "done"
        return response

    async def do_take(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        digest = hashlib.sha256()
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            seen.body_bytes += len(chunk)
        seen.body_digest = digest.hexdigest()
        return web.json_response(
            {"id": "f1", "size": seen.body_bytes},
            status=201,
            headers={"Location": "/api/files/f1", "Set-Cookie": "a=b"},
        )

    async def do_size(self, request: web.Request, _: Seen) -> web.StreamResponse:
        left = int(request.match_info["rest"].split("/")[1].split("-")[1])
        response = web.StreamResponse(headers={"Content-Length": str(left), "Content-Type": "text/csv"})
        await response.prepare(request)
        while left:
            await response.write(CHUNK[:left])
            left -= min(left, len(CHUNK))
        return response

    async def do_events(self, request: web.Request, _: Seen) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"event: progress\ndata: {}\n\n")
        await self.release.wait()
        await response.write(b"event: done\ndata: {}\n\n")
        return response

    async def do_cut(self, request: web.Request, _: Seen) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 100)
        assert request.transport is not None
        request.transport.close()
        return response

    async def do_drop(self, request: web.Request, _: Seen) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def do_hang(self, _: web.Request, __: Seen) -> web.StreamResponse:
        await self.release.wait()
        return web.Response()

    async def do_unauthorized(self, _: web.Request, __: Seen) -> web.StreamResponse:
        return web.Response(status=401)

    async def do_early(self, _: web.Request, __: Seen) -> web.StreamResponse:
        return web.json_response({"type": "urn:fileproc:problem:too-large"}, status=413)

    async def health(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.available else 503)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self.health)
        app.router.add_route("*", "/api/{rest:.*}", self.handle)
        return app

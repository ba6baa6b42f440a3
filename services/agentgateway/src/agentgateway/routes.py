"""What the gateway answers itself: health, metadata of OAuth, registration, and the exchange of AWS credentials."""

import asyncio
import re
from typing import Any, TypeVar

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agentgateway import oauth
from agentgateway.errors import (
    ServiceUnavailable,
    not_found,
    rate_limited,
    request_timeout,
    too_large,
    unavailable,
)
from agentgateway.health import Readiness
from agentgateway.iam import TOKEN_SECONDS, IamExchange
from agentgateway.kms import KmsSigner
from agentgateway.metrics import EXCHANGES
from agentgateway.rate_limit import SlidingWindow, client_address
from agentgateway.settings import Settings
from agentgateway.sts import MAX_URL_LENGTH, parse_presigned
from common.problem import Problem, install_problem_handlers, invalid_request, problem_response

log = structlog.get_logger()

MAX_BODY_BYTES = 16 * 1024
BODY_SECONDS = 10

_RESOURCE = re.compile(r"(/mcp(/[a-z][a-z0-9-]{0,39})?)?")
_KEPT = {"cache-control": "public, max-age=300"}
_NOT_KEPT = {"cache-control": "no-store"}

Model = TypeVar("Model", bound=BaseModel)


class Exchange(BaseModel):
    """The body of `POST /auth/iam`."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=MAX_URL_LENGTH)


class OwnRoutes:
    """The handlers, and what they need. Nobody has to be authenticated for them."""

    def __init__(self, settings: Settings, readiness: Readiness, exchange: IamExchange, signer: KmsSigner) -> None:
        """Nothing is asked yet."""
        self._settings = settings
        self._readiness = readiness
        self._exchange = exchange
        self._signer = signer
        self._exchanges = SlidingWindow(settings.exchange_rate_limit)

    async def healthz(self, _: Request) -> Response:
        """The process runs."""
        return _json({"status": "ok"}, headers=_NOT_KEPT)

    async def readyz(self, _: Request) -> Response:
        """The gateway can do its work: 200, or 503 with what is missing."""
        checks = await self._readiness.checks()
        ready = self._readiness.suffices(checks)
        return _json({"ready": ready, "checks": dict(checks)}, 200 if ready else 503, _NOT_KEPT)

    async def protected_resource(self, request: Request) -> Response:
        """RFC 9728; also for departments that do not exist, so that nobody learns which do."""
        resource = request.path_params.get("resource", "")
        path = f"/{resource}" if resource else ""
        if not _RESOURCE.fullmatch(path):
            raise not_found()
        return _json(oauth.protected_resource(self._settings, path), headers=_KEPT)

    async def authorization_server(self, _: Request) -> Response:
        """RFC 8414."""
        return _json(oauth.authorization_server(self._settings), headers=_KEPT)

    async def register(self, request: Request) -> Response:
        """RFC 7591; its errors have a form of their own (section 3.2.2)."""
        try:
            registration = oauth.Registration.model_validate_json(await _body(request))
            return _json(oauth.register(self._settings, registration), 201, _NOT_KEPT)
        except oauth.InvalidRedirectUri as error:
            return _refused("invalid_redirect_uri", str(error))
        except ValidationError as error:
            return _refused("invalid_client_metadata", invalid_request(error.errors(include_input=False)).detail)

    async def jwks(self, _: Request) -> Response:
        """RFC 7517: verifies the gateway's own tokens."""
        return _json(await self._signer.jwks(), headers=_KEPT)

    async def iam(self, request: Request) -> Response:
        """A token of the gateway for who proves an IAM role."""
        outcome = "failed"
        try:
            token = await self._issue(await _model(request, Exchange), client_address(request.scope))
            outcome = "issued"
        except Problem as problem:
            outcome = problem.slug
            raise
        finally:
            EXCHANGES.labels(outcome).inc()
        return _json({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}, headers=_NOT_KEPT)

    async def _issue(self, exchange: Exchange, address: str) -> str:
        settings = self._settings
        request = parse_presigned(exchange.url, settings.sts_url, settings.aws_region)
        # STS throttles by account: who is not authenticated must not use up what others need.
        if (wait := self._exchanges.check(address)) is not None:
            raise rate_limited(wait)
        try:
            return await self._exchange.token(request)
        except ServiceUnavailable as error:
            log.error("iam.unavailable", error=str(error))
            raise unavailable("The exchange of AWS credentials") from None

    def app(self) -> Starlette:
        """The ASGI application of these routes."""
        resource = oauth.PROTECTED_RESOURCE
        routes = [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route(resource, self.protected_resource),
            Route(f"{resource}/{{resource:path}}", self.protected_resource),
            Route(oauth.AUTHORIZATION_SERVER, self.authorization_server),
            Route(oauth.JWKS, self.jwks),
            Route(oauth.REGISTRATION, self.register, methods=["POST"]),
            Route("/auth/iam", self.iam, methods=["POST"]),
        ]
        app = Starlette(routes=routes)
        app.router.redirect_slashes = False
        install_problem_handlers(app)
        app.add_exception_handler(ServiceUnavailable, _on_unavailable)
        return app


async def _on_unavailable(_: Request, error: Exception) -> Response:
    log.error("gateway.unavailable", error=str(error))
    return problem_response(unavailable("A service that this needs"))


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, media_type="application/json")


def _refused(error: str, description: str) -> Response:
    return _json({"error": error, "error_description": description}, 400, _NOT_KEPT)


async def _model(request: Request, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(await _body(request))
    except ValidationError as error:
        raise invalid_request(error.errors(include_input=False)) from None


async def _body(request: Request) -> bytes:
    """The body, which is small and comes soon.

    Raises:
        Problem: 413 or 408.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise too_large(MAX_BODY_BYTES)
    except (TimeoutError, ClientDisconnect):
        raise request_timeout(BODY_SECONDS) from None
    return bytes(body)

"""What the gateway answers itself: health, the login, its keys, and the exchange of AWS credentials."""

from typing import Any

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agentgateway.health import Readiness
from agentgateway.http.bodies import read_model
from agentgateway.http.errors import ServiceUnavailable, rate_limited, unavailable
from agentgateway.http.rate_limit import SlidingWindow, client_address
from agentgateway.identity.iam import TOKEN_SECONDS, IamExchange
from agentgateway.identity.kms import KmsSigner
from agentgateway.identity.sts import MAX_URL_LENGTH, parse_presigned
from agentgateway.metrics import EXCHANGES
from agentgateway.oauth.metadata import JWKS
from agentgateway.oauth.routes import OAuthRoutes, open_to_pages
from agentgateway.settings import Settings
from common.problem import Problem, install_problem_handlers, problem_response

log = structlog.get_logger()

_KEPT = {"cache-control": "public, max-age=300"}
_NOT_KEPT = {"cache-control": "no-store"}


class Exchange(BaseModel):
    """The body of `POST /auth/iam`."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=MAX_URL_LENGTH)


class OwnRoutes:
    """The handlers, and what they need. Nobody has to be authenticated for them."""

    def __init__(
        self, settings: Settings, readiness: Readiness, exchange: IamExchange, signer: KmsSigner, login: OAuthRoutes
    ) -> None:
        self._settings = settings
        self._readiness = readiness
        self._exchange = exchange
        self._signer = signer
        self._login = login
        self._exchanges = SlidingWindow(settings.exchange_rate_limit)

    async def healthz(self, _: Request) -> Response:
        """The process runs."""
        return _json({"status": "ok"}, headers=_NOT_KEPT)

    async def readyz(self, _: Request) -> Response:
        """The gateway can do its work: 200, or 503 with what is missing."""
        checks = await self._readiness.checks()
        ready = self._readiness.suffices(checks)
        return _json({"ready": ready, "checks": dict(checks)}, 200 if ready else 503, _NOT_KEPT)

    async def jwks(self, _: Request) -> Response:
        """RFC 7517: verifies the gateway's own tokens."""
        return _json(await self._signer.jwks(), headers=_KEPT)

    async def iam(self, request: Request) -> Response:
        """A token of the gateway for who proves an IAM role."""
        outcome = "failed"
        try:
            token = await self._issue(await read_model(request, Exchange), client_address(request.scope))
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

    def app(self) -> ASGIApp:
        """The ASGI application of these routes."""
        routes = [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route(JWKS, self.jwks),
            Route("/auth/iam", self.iam, methods=["POST"]),
            *self._login.routes(),
        ]
        app = Starlette(routes=routes)
        app.router.redirect_slashes = False
        install_problem_handlers(app)
        app.add_exception_handler(ServiceUnavailable, _on_unavailable)
        return open_to_pages(app)


async def _on_unavailable(_: Request, error: Exception) -> Response:
    log.error("gateway.unavailable", error=str(error))
    return problem_response(unavailable("A service that this needs"))


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, media_type="application/json")

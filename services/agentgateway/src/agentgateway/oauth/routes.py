"""The endpoints of the login."""

import re
from typing import Any

import orjson
import structlog
from pydantic import ValidationError
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agentgateway.http.bodies import read_body, read_form
from agentgateway.http.errors import ServiceUnavailable, not_found
from agentgateway.oauth import metadata
from agentgateway.oauth.authorize import Login
from agentgateway.oauth.clients import Clients, InvalidRedirectUri, Registration
from agentgateway.oauth.tokens import TokenError, Tokens
from agentgateway.settings import CALLBACK, Settings
from common.problem import invalid_request

log = structlog.get_logger()

_RESOURCE = re.compile(r"(/mcp(/[a-z][a-z0-9-]{0,39})?)?")
_KEPT = {"cache-control": "public, max-age=300"}
_NOT_KEPT = {"cache-control": "no-store"}

_FOR_PAGES = (
    metadata.PROTECTED_RESOURCE,
    metadata.AUTHORIZATION_SERVER,
    metadata.REGISTRATION,
    metadata.TOKEN,
    metadata.REVOCATION,
)


class OAuthRoutes:
    """The handlers, and what they need."""

    def __init__(self, settings: Settings, clients: Clients, login: Login, tokens: Tokens) -> None:
        self._settings = settings
        self._clients = clients
        self._login = login
        self._tokens = tokens

    def routes(self) -> list[Route]:
        """To be added to an application."""
        resource = metadata.PROTECTED_RESOURCE
        return [
            Route(resource, self.protected_resource),
            Route(f"{resource}/{{resource:path}}", self.protected_resource),
            Route(metadata.AUTHORIZATION_SERVER, self.authorization_server),
            Route(metadata.REGISTRATION, self.register, methods=["POST"]),
            Route(metadata.AUTHORIZE, self._login.authorize),
            Route(metadata.AUTHORIZE, self.decide, methods=["POST"]),
            Route(CALLBACK, self._login.callback),
            Route(metadata.TOKEN, self.token, methods=["POST"]),
            Route(metadata.REVOCATION, self.revoke, methods=["POST"]),
        ]

    async def protected_resource(self, request: Request) -> Response:
        """RFC 9728; also for departments that do not exist, so that nobody learns which do."""
        resource = request.path_params.get("resource", "")
        path = f"/{resource}" if resource else ""
        if not _RESOURCE.fullmatch(path):
            raise not_found()
        return _json(metadata.protected_resource(self._settings, path), headers=_KEPT)

    async def authorization_server(self, _: Request) -> Response:
        """RFC 8414."""
        return _json(metadata.authorization_server(self._settings), headers=_KEPT)

    async def register(self, request: Request) -> Response:
        """RFC 7591; its errors have a form of their own (section 3.2.2)."""
        try:
            registration = Registration.model_validate_json(await read_body(request))
            return _json(await self._clients.register(registration), 201)
        except InvalidRedirectUri as error:
            return _refused("invalid_redirect_uri", str(error))
        except ValidationError as error:
            return _refused("invalid_client_metadata", invalid_request(error.errors(include_input=False)).detail)

    async def decide(self, request: Request) -> Response:
        """What the person answered on the consent page."""
        return await self._login.decide(request, await read_form(request))

    async def token(self, request: Request) -> Response:
        """RFC 6749, sections 4.1.3 and 6."""
        try:
            return _json(await self._tokens.token(await read_form(request)))
        except TokenError as error:
            return _refused(error.code, error.description)
        except ServiceUnavailable as error:
            return _unavailable(error)

    async def revoke(self, request: Request) -> Response:
        """RFC 7009."""
        try:
            await self._tokens.revoke(await read_form(request))
        except TokenError as error:
            return _refused(error.code, error.description)
        except ServiceUnavailable as error:
            return _unavailable(error)
        return Response(headers=_NOT_KEPT)


def open_to_pages(app: ASGIApp) -> ASGIApp:
    """Let pages of any origin call what clients call: no cookie counts there, and some clients are pages."""
    opened = CORSMiddleware(app, allow_origins=("*",), allow_methods=("GET", "POST"), allow_headers=("*",))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and scope["path"].startswith(_FOR_PAGES)
        await (opened if is_open else app)(scope, receive, send)

    return answer


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers or _NOT_KEPT, media_type="application/json")


def _refused(error: str, description: str, status: int = 400) -> Response:
    return _json({"error": error, "error_description": description}, status)


def _unavailable(error: ServiceUnavailable) -> Response:
    log.error("login.unavailable", error=str(error))
    return _refused("temporarily_unavailable", "The login does not answer at the moment. Try again.", 503)

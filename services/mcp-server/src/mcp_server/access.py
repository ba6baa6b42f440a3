"""The door in front of the MCP endpoint: which service calls, on whose behalf, and what of the department is theirs."""

import orjson
import structlog
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from common.service_tokens import InvalidServiceToken, ServiceTokenVerifier, authenticate_service_request
from mcp_server.catalog import Catalog
from mcp_server.errors import NotPermitted, NotServed
from mcp_server.turns import SUBJECT

log = structlog.get_logger()

ENTITLEMENTS = "mcp_server.entitlements"
"""Where the caller's `Entitlements` is in the scope of a request that passed."""


class AccessControl:
    """Lets a request pass with the caller's entitlements, or answers it in a shape that is always the same."""

    def __init__(self, app: ASGIApp, verifier: ServiceTokenVerifier, catalog: Catalog) -> None:
        """Guard `app`."""
        self._app = app
        self._verifier = verifier
        self._catalog = catalog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # White space around a header's value is not part of it (RFC 9110, section 5.5); httptools leaves it there.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        try:
            caller = await authenticate_service_request(Headers(scope=scope), self._verifier)
            scope[ENTITLEMENTS] = self._catalog.entitlements(caller)
            scope[SUBJECT] = caller.subject
        except InvalidServiceToken as error:
            log.warning("request.unauthenticated", reason=str(error))
            refused = _refusal(401, INVALID_REQUEST, "Unauthorized", {"www-authenticate": "Bearer"})
        except NotPermitted:
            log.info("request.not_permitted")
            refused = _refusal(403, INVALID_PARAMS, "Unknown tool")
        except NotServed:
            refused = _refusal(503, INTERNAL_ERROR, "The department is not served at the moment", {"retry-after": "5"})
        else:
            await self._app(scope, receive, send)
            return
        await refused(scope, receive, send)


def _refusal(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> Response:
    # The body is not read, so the request's id is not known: null (JSON-RPC 2.0, section 5).
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return Response(orjson.dumps(error), status, headers, media_type="application/json")

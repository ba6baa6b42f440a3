"""Whether the server lives, and whether it can do its work, with what it knows of each data set."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from common.jwks import JwksCache
from mcp_server.catalog import Catalog
from mcp_server.refresh import DatasetState


def health_routes(catalog: Catalog, progress: Mapping[str, float], keys: JwksCache) -> list[Route]:
    """`/healthz` and `/readyz`."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        """Ready when callers can be verified, the department is known, and each data set has some version."""
        entitlements = catalog.complete()
        states: Mapping[str, DatasetState] = {} if entitlements is None else entitlements.states
        ready = keys.loaded and bool(states) and all(state.table is not None for state in states.values())
        details = {
            "ready": ready,
            "department": None if entitlements is None else entitlements.view.department.name,
            "toolset": None if entitlements is None else entitlements.view.department.spec.toolset,
            "tools": [] if entitlements is None else list(entitlements.definitions),
            "callers_verifiable": keys.loaded,
            "datasets": {name: _details(state, progress.get(name)) for name, state in states.items()},
        }
        return Response(orjson.dumps(details), 200 if ready else 503, media_type="application/json")

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _details(state: DatasetState, read: float | None) -> dict[str, Any]:
    if state.table is None:
        loading = "not loaded yet" if read is None else f"{read:.0%} of {state.spec.object} are loaded"
        return {"rows": None, "error": state.error or loading, "building": read}
    table = state.table
    return {
        "rows": table.row_count,
        "version": table.version,
        "loaded_at": datetime.fromtimestamp(table.loaded_at, UTC).isoformat(timespec="seconds"),
        "duplicate_keys": table.duplicate_keys,
        "blank_keys": table.blank_keys,
        "error": state.error,
        "building": read,
    }

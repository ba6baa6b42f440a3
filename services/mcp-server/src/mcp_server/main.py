"""Puts the server of one department together and runs it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvicorn
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from common.collector import keep_what_is_held
from common.http_protocol import HttpProtocol
from common.jwks import JwksCache
from common.logging import configure_logging
from common.service_tokens import ServiceTokenVerifier
from common.settings import load_settings
from common.telemetry import instrument, metrics_server
from mcp_server.access import AccessControl
from mcp_server.catalog import Catalog
from mcp_server.definitions import Toolset
from mcp_server.department import DepartmentFile
from mcp_server.refresh import DatasetStore
from mcp_server.results import Splicing
from mcp_server.routes import health_routes
from mcp_server.s3 import DepartmentObjects, Place
from mcp_server.server import build_server
from mcp_server.settings import Settings
from mcp_server.toolsets import TOOLSETS
from mcp_server.turns import Turns
from mcp_server.versions import Versions

# Callers let go of what they do not use after 4 s: where the server came first, a request could meet that moment.
KEEP_ALIVE_SECONDS = 30
DRAIN_SECONDS = 20
KEYS_RETRY_SECONDS = 1


def create_app(
    settings: Settings,
    toolsets: Mapping[str, Sequence[Toolset]] = TOOLSETS,
    extend: Callable[[Server[Any]], None] | None = None,
    **transport: Any,
) -> ASGIApp:
    """The department's server as an ASGI application.

    Args:
        toolsets: What the toolset that a `Department` names consists of.
        extend: Adds to the MCP server what no department offers, such as prompts.
        transport: Options of the SDK's session manager in place of those of production.
    """
    department = DepartmentFile(settings.department_file, settings.department)
    objects = DepartmentObjects(Place(settings.department_data_bucket, settings.department, settings.aws_region))
    # The rest of the pod's disk is for logs.
    versions = Versions(settings.data_directory, settings.max_data_bytes * 9 // 10)
    store = DatasetStore(department, objects, versions, settings.refresh_seconds)
    catalog = Catalog(department, store, toolsets)
    server = build_server(settings.department, catalog)
    if extend is not None:
        extend(server)
    # No session and no stream: any replica answers any request, and an answer is one JSON document.
    options: dict[str, Any] = {
        "stateless": True,
        "json_response": True,
        "max_request_body_size": settings.max_body_bytes,
        "security_settings": settings.transport_security(),
    }
    manager = StreamableHTTPSessionManager(server, **options | transport)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session, manager.run():
            verifier = ServiceTokenVerifier(
                settings, session, audience=f"mcp-{settings.department}", allowed_callers=settings.allowed_callers
            )
            answering: ASGIApp = Splicing(StreamableHTTPASGIApp(manager))
            methods = None
            if manager.stateless:
                # Without sessions there is nothing to listen to (GET) nor to end (DELETE), so every request ends soon.
                answering, methods = Turns(answering, settings.max_body_bytes), ["POST"]
            endpoint = AccessControl(answering, verifier, catalog)
            app.router.routes += [
                Route("/mcp", endpoint, methods=methods),
                *health_routes(catalog, store.progress, verifier.keys),
            ]
            keep_what_is_held()
            async with _background(store.follow(), _fetch_keys(verifier.keys)):
                yield

    return instrument(Starlette(lifespan=lifespan), f"mcp-{settings.department}", settings)


@asynccontextmanager
async def _background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(job) for job in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _fetch_keys(keys: JwksCache) -> None:
    # Readiness waits for the keys; later ones are fetched when a token names them.
    while not keys.loaded:
        await keys.refresh()
        await asyncio.sleep(KEYS_RETRY_SECONDS)


def app() -> ASGIApp:
    """The application by the settings of the environment."""
    settings = load_settings(Settings)
    configure_logging(f"mcp-{settings.department}", settings)
    return create_app(settings)


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings(Settings)
    # Once it has drained, uvicorn raises the signal again; then everything else is to end in order too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with metrics_server(settings):
        uvicorn.run(
            app(),
            host=settings.host,
            port=settings.port,
            http=HttpProtocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )

"""Assembles the API and serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from application.access import Access
from application.api import departments, events, files, health, jobs, problems, results, uploads
from application.api.authentication import ServiceAuthentication
from application.api.body import WholeBodies
from application.api.context import Context
from application.api.looking import Looking
from application.api.measuring import Measuring
from application.api.openapi import document
from application.aws import make_clients
from application.department_client import DepartmentClient, new_session
from application.file_store import FileStore
from application.job_store import JobStore
from application.objects import Objects
from application.queue import JobQueue
from application.readiness import Readiness
from application.sandbox import Sandbox
from application.settings import ApiSettings
from application.table import Table
from application.usage import Usage
from common.department_source import follow_departments
from common.http_protocol import HttpProtocol
from common.logging import configure_logging
from common.service_tokens import ServiceTokenSource, ServiceTokenVerifier
from common.settings import load_settings
from common.telemetry import instrument, metrics_server

_AWS_TRIES = 4


def create_app(settings: ApiSettings | None = None) -> ASGIApp:
    """The API, with settings from the environment where none are given."""
    chosen = settings or load_settings(ApiSettings)
    app = FastAPI(
        title="File processing",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(chosen),
    )
    app.openapi = document(app)  # type: ignore[method-assign]  # FastAPI has no other way to extend it
    problems.install(app)
    for module in (files, uploads, events, results, jobs, departments, health):
        app.include_router(module.router)
    app.add_middleware(
        WholeBodies,
        streamed=("POST", "/api/files"),
        most=chosen.max_body_bytes,
        seconds=chosen.upload_window_seconds,
    )
    app.add_middleware(ServiceAuthentication)
    app.add_middleware(Measuring)
    return instrument(app, "application", chosen)


def _lifespan(settings: ApiSettings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logging("application", settings)
        clients = make_clients(settings.aws_region, attempts=_AWS_TRIES)
        table = Table(clients.dynamodb, settings.jobs_table)
        objects = Objects(clients.s3, settings.files_bucket)
        queue = JobQueue(clients.sqs, settings.jobs_queue_url)
        with Sandbox() as sandbox:
            async with new_session() as session, follow_departments(settings) as directory:
                app.state.verifier = ServiceTokenVerifier(
                    settings, session, audience="application", allowed_callers=settings.allowed_callers
                )
                app.state.readiness = Readiness(objects, queue, table, directory)
                app.state.context = Context(
                    settings=settings,
                    files=FileStore(table),
                    jobs=JobStore(table),
                    objects=objects,
                    queue=queue,
                    usage=Usage(
                        table,
                        max_jobs=settings.max_active_jobs,
                        max_uploads=settings.max_uploads,
                        max_bytes=settings.max_stored_bytes,
                        retention_days=settings.retention_days,
                    ),
                    access=Access(directory),
                    departments=DepartmentClient(directory, ServiceTokenSource(settings, session), session),
                    loop=asyncio.get_running_loop(),
                    looking=Looking(sandbox, settings),
                )
                yield

    return lifespan


def main() -> None:
    """Serve until told to stop."""
    settings = load_settings(ApiSettings)
    configure_logging("application", settings)
    with metrics_server(settings):
        uvicorn.run(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            http=HttpProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.stop_seconds,
            # The gateway lets go of what it does not use after 4 s: were this first, a request could meet that moment.
            timeout_keep_alive=30,
        )

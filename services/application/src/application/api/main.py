"""Assembles the API and serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from application.aws.clients import make_clients
from application.aws.objects import Objects
from application.aws.queue import JobQueue
from application.aws.readiness import Readiness
from application.aws.table import Table
from application.departments import routes as department_routes
from application.departments.access import Access
from application.departments.client import DepartmentClient, new_session
from application.departments.service import DepartmentService
from application.files import routes as file_routes
from application.files import upload_routes
from application.files.service import FileService
from application.files.store import FileStore
from application.files.uploads import UploadService
from application.http import health, problems
from application.http.authentication import ServiceAuthentication
from application.http.body import WholeBodies
from application.http.measuring import Measuring
from application.http.openapi import document
from application.http.turns import Turns
from application.jobs import event_routes, result_routes
from application.jobs import routes as job_routes
from application.jobs.following import Following
from application.jobs.inspection import FileInspector
from application.jobs.planning import Planner
from application.jobs.service import JobService
from application.jobs.store import JobStore
from application.recipes import routes as recipe_routes
from application.recipes.service import RecipeService
from application.recipes.store import RecipeStore
from application.sandbox import Sandbox
from application.settings import ApiSettings
from application.usage import Usage
from common.collector import keep_what_is_held
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
        telemetry={"tracing": False},  # its own spans keep the query, and so the names of files
        lifespan=_lifespan(chosen),
    )
    app.openapi = document(app)  # type: ignore[method-assign]  # FastAPI has no other way to extend it
    problems.install(app)
    for module in (
        file_routes,
        upload_routes,
        event_routes,
        result_routes,
        job_routes,
        recipe_routes,
        department_routes,
        health,
    ):
        app.include_router(module.router)
    app.openapi()  # now, because it takes a tenth of a second in which nothing else would be answered
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
                usage = Usage(
                    table,
                    max_jobs=settings.max_active_jobs,
                    max_uploads=settings.max_uploads,
                    max_bytes=settings.max_stored_bytes,
                    retention_days=settings.retention_days,
                )
                access, store = Access(directory), FileStore(table)
                client = DepartmentClient(directory, ServiceTokenSource(settings, session), session)
                files = FileService(settings, store, objects, usage)
                departments = DepartmentService(
                    client,
                    access,
                    asyncio.get_running_loop(),
                    seconds=settings.department_seconds,
                    listing_seconds=settings.listing_seconds,
                )
                app.state.settings = settings
                app.state.turns = Turns()
                app.state.following = Following(settings.events_poll_seconds)
                app.state.files = files
                app.state.uploads = UploadService(settings, files, store, objects, usage)
                app.state.departments = departments
                app.state.recipes = recipes = RecipeService(RecipeStore(table), access)
                app.state.planner = planner = Planner(files, departments, FileInspector(sandbox, settings), recipes)
                app.state.jobs = JobService(
                    settings,
                    store=JobStore(table),
                    files=files,
                    objects=objects,
                    queue=queue,
                    usage=usage,
                    access=access,
                    planner=planner,
                )
                keep_what_is_held()
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
            timeout_graceful_shutdown=settings.shutdown_seconds,
            # The gateway lets go of what it does not use after 4 s: were this first, a request could meet that moment.
            timeout_keep_alive=30,
        )

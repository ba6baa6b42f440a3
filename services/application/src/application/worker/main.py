"""Assembles the worker and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import structlog
import uvloop

from application.aws.clients import make_clients
from application.aws.objects import Objects
from application.aws.queue import JobQueue
from application.aws.readiness import Readiness
from application.aws.table import Table
from application.departments.client import DepartmentClient, new_session
from application.jobs.store import JobStore
from application.recipes.store import RecipeStore
from application.sandbox import Sandbox
from application.settings import WorkerSettings
from application.worker.consumer import Consumer
from application.worker.context import Context
from application.worker.health import health_server
from application.worker.shares import Shares
from application.worker.sweeper import Sweeper
from common.collector import keep_what_is_held
from common.department_source import follow_departments
from common.logging import configure_logging
from common.service_tokens import ServiceTokenSource
from common.settings import load_settings
from common.telemetry import metrics_server, traced

log = structlog.get_logger()

_AWS_TRIES = 8
_CALLS_PER_JOB = 4


async def run(settings: WorkerSettings) -> None:
    """Take jobs until SIGTERM or SIGINT; then give back what is not finished."""
    clients = make_clients(settings.aws_region, attempts=_AWS_TRIES)
    table = Table(clients.dynamodb, settings.jobs_table)
    objects = Objects(clients.s3, settings.files_bucket)
    queue = JobQueue(clients.sqs, settings.jobs_queue_url)
    stopping = asyncio.Event()
    slots = settings.jobs_at_once
    with (
        ThreadPoolExecutor(slots * _CALLS_PER_JOB + 2, thread_name_prefix="aws") as calls,
        ThreadPoolExecutor(slots, thread_name_prefix="engine") as work,
        Sandbox() as sandbox,
    ):
        async with (
            new_session() as session,
            follow_departments(settings) as directory,
            health_server(settings.host, settings.port, Readiness(objects, queue, table, directory), stopping),
        ):
            client = DepartmentClient(directory, ServiceTokenSource(settings, session), session)
            context = Context(
                settings, JobStore(table), RecipeStore(table), objects, queue, directory, client, sandbox, calls, work
            )
            shares = Shares()
            consumers = [Consumer(context, stopping, shares) for _ in range(slots)]

            def stop() -> None:
                log.info("worker.stopping")
                stopping.set()
                for consumer in consumers:
                    consumer.release()

            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            log.info("worker.started", jobs_at_once=slots)
            keep_what_is_held()
            async with asyncio.TaskGroup() as group:
                for consumer in consumers:
                    group.create_task(consumer.run())
                group.create_task(Sweeper(context, stopping).run())
    log.info("worker.stopped")


def main() -> None:
    """Load the settings, run."""
    settings = load_settings(WorkerSettings)
    configure_logging("application-worker", settings)
    with (
        metrics_server(settings),
        traced("application-worker", settings),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run(settings))

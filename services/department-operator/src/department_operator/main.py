"""Puts the operator together and runs it."""

import asyncio
import signal
import sys
from contextlib import suppress

import aiohttp
import kopf
import structlog

from common.collector import keep_what_is_held
from common.logging import configure_logging
from common.settings import load_settings
from common.telemetry import metrics_server
from department_operator import handlers
from department_operator.connection import NoCluster, connect
from department_operator.errors import ApiError
from department_operator.kubernetes import Kubernetes
from department_operator.operator import Operator
from department_operator.pod_identity import PodIdentity
from department_operator.routes import health_server
from department_operator.settings import Settings

log = structlog.get_logger()

START_AGAIN_SECONDS = 2


async def run(settings: Settings) -> None:
    """Watch and work until told to stop.

    Raises:
        NoCluster: Nothing says where the API server is.
    """
    identity = PodIdentity(settings.cluster_name, settings.namespace, settings.department_role_arn, settings.aws_region)
    async with connect() as connection, aiohttp.ClientSession() as session:
        operator = Operator(settings, Kubernetes(connection, settings.namespace), identity, session)
        async with health_server(operator, settings):
            # Until Kopf takes the signal over there is nothing to end in order.
            current = asyncio.current_task()
            assert current is not None  # noqa: S101 - this is a coroutine, which a task runs
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
            await _start(operator)
            # Before Kopf, which takes whatever is begun after it for its own, and waits for that in the end.
            keep_what_is_held()
            work = operator.work()
            try:
                await kopf.operator(
                    registry=handlers.registry(operator, connection),
                    settings=handlers.settings(),
                    namespaces=[settings.namespace],
                    standalone=True,
                )
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)


async def _start(operator: Operator) -> None:
    # The API server may not be there yet, nor the kind Department in it.
    while True:
        try:
            await operator.start()
        except ApiError as error:
            log.warning("start.again", error=str(error), status=error.status)
            await asyncio.sleep(START_AGAIN_SECONDS)
        else:
            log.info("started", departments=operator.departments)
            return


def main() -> None:
    """Run until told to stop."""
    settings = load_settings(Settings)
    configure_logging("department-operator", settings)
    with metrics_server(settings), suppress(asyncio.CancelledError, KeyboardInterrupt):
        try:
            asyncio.run(run(settings))
        except NoCluster as error:
            sys.exit(f"department-operator: {error}")

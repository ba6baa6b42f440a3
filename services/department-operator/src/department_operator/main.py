"""Puts the operator together and runs it."""

import asyncio
import signal
import sys

import aiohttp
import kopf
import structlog

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
            await _start(operator)
            work = asyncio.create_task(operator.run())
            watches = asyncio.create_task(
                kopf.operator(
                    registry=handlers.registry(operator, connection),
                    settings=handlers.settings(),
                    namespaces=[settings.namespace],
                    standalone=True,
                )
            )
            # Either of them lasts until the process is told to stop; the end of one is the end of both.
            done, others = await asyncio.wait({work, watches}, return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            for task in done:
                task.result()


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
    # Until Kopf takes the signals over there is nothing to end in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with metrics_server(settings):
        try:
            asyncio.run(run(settings))
        except NoCluster as error:
            sys.exit(f"department-operator: {error}")

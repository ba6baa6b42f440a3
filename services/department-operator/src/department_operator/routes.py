"""Whether the operator lives, and whether it knows the cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from department_operator.operator import Operator
from department_operator.settings import Settings


@asynccontextmanager
async def health_server(operator: Operator, settings: Settings) -> AsyncIterator[None]:
    """Serve `/healthz` and `/readyz` for as long as the context lasts."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        details = {
            "ready": operator.started,
            "departments": operator.departments,
            "pod_template": operator.revision,
        }
        return web.json_response(details, status=200 if operator.started else 503)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        yield
    finally:
        await runner.cleanup()

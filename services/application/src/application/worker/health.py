"""Kubernetes' questions to a worker, on a port of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from application.aws.readiness import Readiness


@asynccontextmanager
async def health_server(host: str, port: int, readiness: Readiness, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Answer ``/healthz`` and ``/readyz`` for as long as the context lasts."""

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_: web.Request) -> web.Response:
        details = {**await readiness.details(), "worker": "stopping" if stopping.is_set() else "ok"}
        return web.json_response(details, status=200 if set(details.values()) == {"ok"} else 503)

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()

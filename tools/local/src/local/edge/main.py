"""Assembles the edge and runs it: three ports of one process."""

import asyncio
import logging
import signal
from typing import Any

import uvloop
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from common.settings import load_settings
from local.addresses import HOST
from local.edge.alb import CALLBACK, AppEdge, LoginRequired
from local.edge.cognito import UserPool
from local.edge.login import ManagedLogin
from local.edge.pages import asset, page
from local.edge.proxy import PIECE, Proxy, end_to_end, open_session
from local.names import ALB_CLIENT
from local.settings import EdgeSettings

# Limits of an Application Load Balancer: 16 KiB for the request line and for each header.
MAX_LINE = 16 * 1024


def api_app(gateway: Proxy) -> web.Application:
    """The host for programs: everything goes to the gateway."""

    async def forward(request: web.Request) -> web.StreamResponse:
        return await gateway.forward(request, end_to_end(request.headers))

    return _application([web.route("*", "/{path:.*}", forward)])


def app_app(edge: AppEdge, *, api_url: str, logout_url: str) -> web.Application:
    """The host for people: login on every path."""

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            session = await edge.session(request)
        except LoginRequired:
            return edge.challenge(request)
        answer = await edge.forward(request, session)
        if answer is not None:
            return answer
        if request.path != "/":
            raise web.HTTPNotFound
        return page("home.html", username=session.username, api_url=api_url, logout_url=logout_url)

    async def assets(request: web.Request) -> web.Response:
        return asset(request.match_info["name"])

    routes = [web.get(CALLBACK, edge.callback), web.get("/edge/{name}", assets), web.route("*", "/{path:.*}", serve)]
    return _application(routes)


def login_app(login: ManagedLogin, load_balancer_key: str) -> web.Application:
    """The managed login, the load balancer's public key, and whether the edge is up."""

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def assets(request: web.Request) -> web.Response:
        return asset(request.match_info["name"])

    async def key(_: web.Request) -> web.Response:
        return web.Response(text=load_balancer_key)

    routes = [web.get("/edge/{name}", assets), web.get("/load-balancer-keys/local", key), web.get("/readyz", ready)]
    return _application([*login.routes(), *routes])


def _application(routes: list[web.RouteDef]) -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    return app


async def serve(settings: EdgeSettings) -> None:
    """Serve until the process is told to stop."""
    urls = {name: f"http://{HOST}:{getattr(settings, name)}" for name in ("app_port", "api_port", "login_port")}
    async with open_session() as session:
        pool = UserPool(session, settings.aws_url)
        edge = AppEdge(
            session,
            pool,
            app_url=urls["app_port"],
            login_url=urls["login_port"],
            gateway=Proxy(session, settings.gateway_url),
            frontends=[Proxy(session, url) for url in settings.frontend_urls],
        )
        logout_url = f"{urls['login_port']}/logout?client_id={ALB_CLIENT}&logout_uri={urls['app_port']}"
        apps = {
            settings.app_port: app_app(edge, api_url=urls["api_port"], logout_url=logout_url),
            settings.api_port: api_app(Proxy(session, settings.gateway_url)),
            settings.login_port: login_app(ManagedLogin(pool), edge.public_key),
        }
        runners = [await _listen(app, port) for port, app in apps.items()]
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        await asyncio.gather(*(runner.cleanup() for runner in runners))


async def _listen(app: web.Application, port: int) -> web.AppRunner:
    limits: dict[str, Any] = {"max_line_size": MAX_LINE, "max_field_size": MAX_LINE, "read_bufsize": PIECE}
    # A load balancer passes a body on as it came, compressed or not.
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=2, auto_decompress=False, **limits
    )
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner


def is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether a record is of our own failure; that of a request that is no HTTP has headers of it, and so secrets."""
    return not (record.exc_info and isinstance(record.exc_info[1], BadHttpMessage))


def main() -> None:
    """Serve until the process is told to stop."""
    logging.getLogger("aiohttp.server").addFilter(is_worth_logging)
    uvloop.run(serve(load_settings(EdgeSettings)))

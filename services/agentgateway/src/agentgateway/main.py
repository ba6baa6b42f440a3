"""Assembles the gateway and runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import boto3
import uvicorn
from botocore.config import Config as AwsConfig
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from agentgateway import audit
from agentgateway.health import Readiness
from agentgateway.http.rate_limit import RateLimiter
from agentgateway.http.server import KEEP_ALIVE_SECONDS, SECURITY_HEADERS, bounded_http
from agentgateway.identity.authentication import Authenticator, Issuer, cognito_identity, gateway_identity
from agentgateway.identity.exchanges import UsedExchanges
from agentgateway.identity.iam import IamExchange
from agentgateway.identity.kms import KmsSigner
from agentgateway.identity.roles import RoleGroups
from agentgateway.identity.sts import Sts
from agentgateway.mcp.endpoint import McpEndpoint
from agentgateway.oauth.authorize import Login
from agentgateway.oauth.clients import Clients
from agentgateway.oauth.routes import OAuthRoutes
from agentgateway.oauth.seals import Seals
from agentgateway.oauth.tokens import Tokens
from agentgateway.rest.application import Application
from agentgateway.rest.forwarding import RestEndpoint, browsers, programs
from agentgateway.router import Endpoints, Router
from agentgateway.routes import OwnRoutes
from agentgateway.settings import Settings
from common.collector import keep_what_is_held
from common.department_source import follow_departments
from common.jwks import JwksCache, fetch_jwks
from common.logging import configure_logging
from common.service_tokens import ServiceTokenSource
from common.settings import load_settings
from common.telemetry import instrument, metrics_server

SERVICE = "agentgateway"
AWS = AwsConfig(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})


@asynccontextmanager
async def open_endpoints(settings: Settings) -> AsyncIterator[Endpoints]:
    """Everything that the endpoints need, for as long as they answer."""
    async with AsyncExitStack() as stack:
        stack.enter_context(metrics_server(settings))
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        departments = await stack.enter_async_context(follow_departments(settings))
        tokens = ServiceTokenSource(settings, session)
        aws = boto3.Session(region_name=settings.aws_region)
        kms = await asyncio.to_thread(aws.client, "kms", config=AWS)
        stack.callback(kms.close)
        dynamodb = await asyncio.to_thread(aws.client, "dynamodb", config=AWS)
        stack.callback(dynamodb.close)

        signer = KmsSigner(kms, settings.gateway_signing_key_id)
        api = settings.public_api_url
        user_pool_keys = JwksCache(fetch_jwks(session, settings.jwks_url))
        authenticator = Authenticator(
            (
                Issuer(settings.cognito_issuer, user_pool_keys, cognito_identity(settings.cognito_client_ids, api)),
                Issuer(api, JwksCache(signer.jwks), gateway_identity(api)),
            )
        )
        limiter = RateLimiter(settings.rate_limit, settings.requests_at_once)
        application = await stack.enter_async_context(
            Application(settings.application_url, tokens, settings.application_timeout_seconds)
        )
        rest = partial(RestEndpoint, application, limiter, settings=settings)
        mcp = await stack.enter_async_context(
            McpEndpoint(
                settings,
                departments=departments,
                tokens=tokens,
                authenticator=authenticator,
                rate_limiter=limiter,
                audit=audit.record,
                application=application,
                public_api_url=api,
                origins=settings.cors_origins | {settings.public_app_url},
                scope=" ".join(settings.oauth_scopes),
            )
        )
        readiness = Readiness(keys=user_pool_keys, tokens=tokens, application=application, departments=departments)
        sts = Sts(session, settings.sts_url, gateway=urlsplit(api).netloc)
        used = UsedExchanges(dynamodb, settings.exchanges_table)
        exchange = IamExchange(sts, used, signer, RoleGroups(settings.iam_role_groups), issuer=api)
        seals = Seals(signer.secret)
        clients = Clients(settings, seals)
        login = OAuthRoutes(
            settings,
            clients,
            Login(settings, clients, seals, used),
            Tokens(settings, session, clients, seals, used),
        )
        cors = partial(allow_origins, settings.cors_origins)
        keep_what_is_held()
        yield Endpoints(
            mcp=cors(mcp),
            programs=cors(rest(programs(authenticator), prefix="")),
            browsers=rest(browsers(authenticator, settings.public_app_url), prefix="/gateway"),
            own=cors(OwnRoutes(settings, readiness, exchange, signer, login).app()),
        )


def allow_origins(origins: frozenset[str], endpoint: ASGIApp) -> ASGIApp:
    """`endpoint`, open to pages of `origins`, which send a token by themselves; closed to all others."""
    if not origins:
        return endpoint
    return CORSMiddleware(
        endpoint,
        allow_origins=sorted(origins),
        allow_methods=("GET", "POST", "PUT", "DELETE"),
        allow_headers=("*",),
        expose_headers=("www-authenticate", "location", "retry-after", "content-disposition", "etag"),
    )


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The gateway as an ASGI application; without `settings` it reads the environment."""
    settings = settings or load_settings(Settings)
    configure_logging(SERVICE, settings)
    return instrument(Router(partial(open_endpoints, settings)), SERVICE, settings, public=True)


def create_server(settings: Settings) -> uvicorn.Server:
    """The server of the gateway's one port."""
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=bounded_http(settings.max_header_bytes, settings.header_timeout_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=SECURITY_HEADERS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    return uvicorn.Server(config)


def run() -> None:
    """Serve until the process is told to stop."""
    create_server(load_settings(Settings)).run()

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from services.common.tests.api_server import ISSUER, ApiServer

from common.service_tokens import ServiceIdentitySettings


@pytest_asyncio.fixture(loop_scope="session")
async def api_server() -> AsyncIterator[ApiServer]:
    api = ApiServer()
    app = web.Application()
    app.router.add_get("/openid/v1/jwks", api.jwks)
    app.router.add_post("/api/v1/namespaces/file-processing/serviceaccounts/{name}/token", api.token)
    async with TestServer(app) as server:
        api.url = str(server.make_url("")).rstrip("/")
        yield api


@pytest_asyncio.fixture(loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
def identity(api_server: ApiServer, tmp_path: Path) -> ServiceIdentitySettings:
    token_file = tmp_path / "token"
    token_file.write_text("own-token\n")
    return ServiceIdentitySettings(
        kubernetes_api_url=api_server.url,
        cluster_issuer=ISSUER,
        service_account="agentgateway",
        service_account_token_file=token_file,
    )

"""Readiness tells the truth: what is missing, and that it has come back."""

import asyncio
from typing import Any

import aiohttp
import pytest
from services.agentgateway.tests.world import World, running_gateway

pytestmark = pytest.mark.slow


async def ready(client: aiohttp.ClientSession, gateway: str) -> tuple[int, dict[str, Any]]:
    async with client.get(f"{gateway}/readyz") as response:
        return response.status, await response.json()


async def test_a_gateway_that_can_do_its_work_says_so(gateway: str, client: aiohttp.ClientSession) -> None:
    status, told = await ready(client, gateway)
    assert status == 200
    assert told["ready"] is True
    assert told["checks"] == dict.fromkeys(("user_pool_keys", "service_tokens", "application", "departments"), True)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"cognito_jwks_url": "http://127.0.0.1:9/jwks.json"}, "user_pool_keys"),
        ({"kubernetes_api_url": "http://127.0.0.1:9"}, "service_tokens"),
        ({"service_account_token_file": "/nowhere/token"}, "service_tokens"),
        ({"departments_dir": "/nowhere"}, "departments"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
async def test_a_gateway_that_lacks_something_names_it_and_stays_alive(
    world: World, client: aiohttp.ClientSession, changes: dict[str, str], missing: str
) -> None:
    async with running_gateway(world, **changes) as gateway:
        status, told = await ready(client, gateway)
        assert status == 503
        assert [name for name, there in told["checks"].items() if not there] == [missing]
        async with client.get(f"{gateway}/healthz") as response:
            assert response.status == 200


async def test_an_application_that_is_away_is_told_and_does_not_take_mcp_with_it(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.application.available = False
    try:
        async with running_gateway(world) as gateway:
            status, told = await ready(client, gateway)
            assert (status, told["checks"]["application"]) == (200, False)
            world.application.available = True
            async with asyncio.timeout(10):
                while not (await ready(client, gateway))[1]["checks"]["application"]:
                    await asyncio.sleep(0.05)
    finally:
        world.application.available = True

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio
from services.agentgateway.tests.world import World, build_world, running_gateway


@pytest.fixture(scope="session")
def aws_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory, aws_environment: None) -> AsyncIterator[World]:
    async with build_world(tmp_path_factory.mktemp("gateway")) as built:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", built.aws_url)
            yield built


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(world: World) -> AsyncIterator[str]:
    async with running_gateway(world) as url:
        yield url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session

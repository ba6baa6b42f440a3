from collections.abc import Iterator
from pathlib import Path

import pytest
from services.application.tests.support.background import BackgroundLoop
from services.application.tests.support.client import Client
from services.application.tests.support.stack import Platform, Stack, moto_server, running_stack


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder: Path = tmp_path_factory.mktemp("application")
    with moto_server(folder / "moto.log") as aws_url, BackgroundLoop() as background:
        platform = Platform(aws_url, background, folder)
        background.run(platform.start())
        yield platform
        background.run(platform.stop())


@pytest.fixture(scope="module")
def stack(platform: Platform, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """An API without a worker."""
    with running_stack(platform, request.module.__name__.rpartition(".")[2]) as stack:
        yield stack


@pytest.fixture(autouse=True)
def all_is_well(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "platform" in request.fixturenames:
        request.getfixturevalue("platform").behave()


@pytest.fixture
def alice(stack: Stack) -> Client:
    return Client(stack, ("finance",))


@pytest.fixture
def dana(stack: Stack) -> Client:
    return Client(stack, ("finance", "hr", "legal"))

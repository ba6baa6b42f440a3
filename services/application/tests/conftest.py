from collections.abc import Iterator
from pathlib import Path

import pytest
from services.application.tests.support.background import BackgroundLoop
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.stack import Platform, Stack, moto_server, running_stack


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder: Path = tmp_path_factory.mktemp("application")
    with moto_server(folder / "moto.log") as aws_url, BackgroundLoop() as background:
        platform = Platform(aws_url, background, folder)
        background.run(platform.start())
        yield platform
        background.run(platform.stop())


@pytest.fixture(scope="session")
def shared_stack(platform: Platform) -> Iterator[Stack]:
    """An API with a worker, for all tests in which neither comes to harm."""
    limits = {
        "MAX_FILE_BYTES": str(32 << 20),
        "MAX_BODY_BYTES": "100000",
        "UPLOAD_WINDOW_SECONDS": "1",
        "UPLOAD_WINDOW_BYTES": "1000",
    }
    with running_stack(platform, "shared", **limits) as stack:
        stack.start_worker(DEPARTMENT_SECONDS="20")
        yield stack


@pytest.fixture(scope="module")
def stack(shared_stack: Stack) -> Stack:
    """What the tests of a module run on."""
    return shared_stack


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


@pytest.fixture
def finance(platform: Platform) -> FakeDepartment:
    return platform.departments["finance"]

"""The page as a browser sees it: the whole system with Langflow, started once, and demo users in front of it."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.frontend.person import PATIENCE, People
from tests.helpers.data import DataSet, read_data_sets
from tests.helpers.stack import ROOT, Settings, Stack

START_SECONDS = 400
"""Langflow takes 25 s of a core; other tests run beside."""
QUICK: Settings = {"gateway": {"RATE_LIMIT": "100000/second"}, "worker": {"RECEIVE_SECONDS": "1"}}


def start(stack: Stack) -> dict[str, float]:
    """Start a stack with the page; the seconds after which each process was ready, and everything."""
    begin = time.monotonic()
    stack.start()
    seconds = {}
    stack.wait(lambda service, after: seconds.update({service.name: after}), seconds=START_SECONDS)
    return {**seconds, "everything": time.monotonic() - begin}


@pytest.fixture(scope="package")
def packages() -> None:
    """Langflow, installed."""
    subprocess.run(["make", "--no-print-directory", "frontend"], cwd=ROOT, check=True, timeout=280)


@pytest.fixture(scope="package")
def started(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, dict[str, float]]]:
    """The whole system with one replica of the page, on SQLite; how long each process took to start."""
    running = Stack(tmp_path_factory.mktemp("site") / "state", frontends=1, settings=QUICK)
    try:
        yield running, start(running)
    finally:
        running.stop()


@pytest.fixture(scope="package")
def site(started: tuple[Stack, dict[str, float]]) -> Stack:
    """The whole system with one replica of the page."""
    return started[0]


@pytest.fixture(scope="package")
def site_data(site: Stack) -> dict[str, DataSet]:
    """Every data set of every department, by its full name."""
    return {data_set.ref: data_set for data_set in read_data_sets(site)}


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium")
    assert path, "there is no chromium: apt-get install chromium"
    expect.set_options(timeout=PATIENCE / 2)
    with sync_playwright() as playwright:
        # Its sandbox needs rights that a container does not have; it only ever sees our own page.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path:
    """Where this test keeps its pictures."""
    name: str = request.node.name
    return ROOT / ".local" / "screenshots" / name.replace("/", "-")


@pytest.fixture
def people(site: Stack, browser: Browser, screenshots: Path) -> Iterator[People]:
    """Anybody of the demo users, each with a browser of their own; at the end nobody's console has an error."""
    opened = People(site.app, browser, screenshots)
    yield opened
    opened.close()

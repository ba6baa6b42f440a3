"""The page as a browser sees it: the whole system with Langflow, started once, and demo users in front of it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.frontend.person import PATIENCE, People
from tests.frontend.site import Site, running_site
from tests.helpers.data import DataSet, read_data_sets
from tests.helpers.stack import ROOT, Stack


@pytest.fixture(scope="package")
def packages() -> None:
    """Langflow, installed."""
    subprocess.run(["make", "--no-print-directory", "frontend"], cwd=ROOT, check=True, timeout=280)


@pytest.fixture(scope="package")
def site(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The whole system with one replica of the page, on SQLite."""
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="package")
def site_data(site: Stack) -> dict[str, DataSet]:
    """Every data set of every department, by its full name."""
    return {data_set.ref: data_set for data_set in read_data_sets(site)}


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium")
    assert path, "there is no chromium: apt-get install chromium"
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        # Its sandbox needs rights that a container does not have; it only ever sees our own page.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path:
    """Where this test keeps its pictures."""
    name: str = request.node.name
    return ROOT / ".local" / "screenshots" / request.path.parent.name / name.replace("/", "-")


@pytest.fixture
def people(site: Stack, browser: Browser, screenshots: Path) -> Iterator[People]:
    """Anybody of the demo users, each with a browser of their own; at the end nobody's console has an error."""
    opened = People(site.app, browser, screenshots)
    yield opened
    opened.close()

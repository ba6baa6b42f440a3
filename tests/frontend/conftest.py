"""The page as a browser sees it: the whole system with Langflow, started once, and demo users in front of it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from tests.frontend.person import PATIENCE, Desks, People, Person, in_chat
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


@pytest.fixture(scope="package")
def desks(browser: Browser) -> Desks:
    """Where people sit: the page's 10 MB of script are fetched by the first who sits there, as in any browser."""
    return Desks(browser)


@pytest.fixture
def people(site: Stack, desks: Desks, screenshots: Path) -> Iterator[People]:
    """Anybody of the demo users, each with a browser of their own; at the end nobody's console has an error."""
    opened = People(site.app, desks, screenshots)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def alice_in_chat(site: Stack, desks: Desks) -> Iterator[Person]:
    """alice, who has opened the chat: it takes longer than most of what is done there."""
    with in_chat("alice", site.app, desks, ROOT / ".local" / "screenshots") as person:
        yield person


@pytest.fixture
def person(alice_in_chat: Person, screenshots: Path) -> Iterator[Person]:
    """alice before an empty conversation; at the end her console has no error."""
    alice_in_chat.screenshots = screenshots
    alice_in_chat.new_chat()
    yield alice_in_chat
    errors, alice_in_chat.errors = alice_in_chat.errors, []
    assert not errors, errors

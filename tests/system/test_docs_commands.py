"""What documents tell people to type is typed, in a clone, and does what the page says it does."""

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.helpers.documents import ROOT, blocks, clone, documents, new_terminal, run
from tests.helpers.stack import COMMANDS, Stack

from local.stack import free_block

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

QUICK_START = "docs/quick-start.md"


def with_blocks(place: str) -> list[str]:
    return [document for document in documents() if any(block.place == place for block in blocks(document))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return clone(tmp_path / "repository")


@pytest.mark.parametrize("document", with_blocks("stack"))
def test_commands_that_use_what_make_run_started_work(stack: Stack, document: str, folder: Path) -> None:
    logged_in = {
        "LOCAL_STATE": str(stack.state.path),
        "FILEPROC_URL": stack.api,
        "FILEPROC_TOKEN": stack.tokens["alice"],
        "XDG_DATA_HOME": str(folder / "logins"),
        "PATH": f"{COMMANDS}:{os.environ['PATH']}",
    }
    said = run("stack", document, folder, logged_in, {})
    if document == QUICK_START:
        assert "finance.vendors" in said
        assert "event: done" in said
        assert "files_submit_job" in said
        assert "'matched': True" in said
        assert "hr_" not in said
        header = (folder / "enriched.csv").read_text().splitlines()[0]
        assert "vendor_id.finance.name" in header


@pytest.mark.parametrize("document", with_blocks("own stack"))
def test_a_department_of_ones_own_is_served_with_ones_own_data(document: str, folder: Path) -> None:
    environment = {"LOCAL_STATE": str(folder / "state"), "LOCAL_PORT": str(free_block())}
    try:
        run("own stack", document, folder, environment, {})
    finally:
        Stack(folder / "state").stop()
    if document == QUICK_START:
        with (folder / "mine/enriched.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["account.treasury.bank"] for row in rows] == ["Second", "First", ""]
        assert "account.treasury.signatory" not in rows[0]


@pytest.mark.parametrize("document", with_blocks("alone"))
def test_commands_that_need_nothing_up_work(document: str, folder: Path) -> None:
    # The clone's own packages, and not those that the environment was made from.
    sources = os.pathsep.join(str(source) for source in folder.glob("*/*/src"))
    run("alone", document, folder, {"PYTHONPATH": sources}, {})


@pytest.mark.parametrize("document", with_blocks("fresh clone"))
def test_what_is_added_to_a_fresh_clone_is_checked_and_taken_away_again(document: str, tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True, timeout=60, env=new_terminal())
    if (ROOT / ".mypy_cache").is_dir():  # or types are checked from nothing, which takes half a minute
        shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
    run("fresh clone", document, folder, {}, {})
    changed = ["git", "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(changed, cwd=folder, check=True, capture_output=True, text=True).stdout == ""

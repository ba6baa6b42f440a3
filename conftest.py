"""For all tests: which are read at all, which share a process, and what they measured.

Those of one file share a process, and those of one folder whose server takes long to start.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

FOLDERS_WITH_ONE_SERVER = ("tests/cluster/", "tests/frontend/", "tests/replicas/", "tests/pods/")

ALL_SLOW = re.compile(r"^pytestmark = .*\bpytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files and folders of slow tests only where others are asked for: each process would import them."""
    if config.option.markexpr != "not slow":
        return None
    if collection_path.is_dir():
        # Others have the packages of environments below them.
        is_of_tests = "tests" in collection_path.relative_to(config.rootpath).parts
        files = [*collection_path.rglob("test_*.py")] if is_of_tests else []
    else:
        files = [collection_path] if collection_path.name.startswith("test_") else []
    return True if files and all(ALL_SLOW.search(file.read_text()) for file in files) else None


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Files are handed out whole, and so are those folders."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in FOLDERS_WITH_ONE_SERVER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Take the place of `--dist`."""
    return Scheduling(config, log)


@pytest.fixture
def report_figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say what was measured: it is printed at the end of the run, of whichever process."""
    return lambda sentence: record_property("figure", sentence)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what tests measured."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    properties = [each for report in reports for each in getattr(report, "user_properties", ())]
    figures = dict.fromkeys(str(value) for name, value in properties if name == "figure")
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(figure)

"""For all tests: which share a process, and what they measured.

Those of one file share a process, and those of one folder whose server takes long to start.
"""

from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

FOLDERS_WITH_ONE_SERVER = ("tests/cluster/", "tests/frontend/", "tests/replicas/", "tests/pods/")


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

"""Which tests share a process: those of one file, and those of one folder whose server takes long to start."""

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

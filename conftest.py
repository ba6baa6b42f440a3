"""Which tests share a process: those of one file, and those of one folder whose server takes long to start."""

import pytest

FOLDERS_WITH_ONE_SERVER = ("tests/cluster/", "tests/frontend/")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group for `--dist loadgroup`."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        group = next((folder for folder in FOLDERS_WITH_ONE_SERVER if file.startswith(folder)), file)
        item.add_marker(pytest.mark.xdist_group(group))

"""A clone for each test, and GitHub's stand-in."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.helpers.clones import NAME, Clone
from tests.helpers.github import GitHubStandIn
from tests.helpers.images import what_is_missing


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of images where none can be built; `make test` has said why."""
    if what_is_missing():
        left_out = [item for item in items if item.path.name == "test_images.py"]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def one_clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Made once for all tests."""
    return Clone.make(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def clone(one_clone: Clone) -> Clone:
    """A clone of what is committed here, with nothing changed; its remote is beside it."""
    one_clone.restore()
    return one_clone


@pytest.fixture
def github(clone: Clone) -> Iterator[GitHubStandIn]:
    """GitHub's API for the clone's remote."""
    with GitHubStandIn(NAME, clone.remote) as running:
        yield running


@pytest.fixture
def workflow(clone: Clone, github: GitHubStandIn, tmp_path: Path) -> Clone:
    """The clone as a step of a workflow has it."""
    return replace(
        clone,
        environment={
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_TOKEN": github.token,
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        },
    )

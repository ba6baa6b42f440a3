"""Terraform's plans, and a stand-in for AWS to apply them to."""

from pathlib import Path
from typing import Any

import pytest

from infrastructure.terraform import Workspace, alone, environment_plan


def _plan(name: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with alone(f"plan-{name}"):
        return environment_plan(name, tmp_path_factory.mktemp(name) / "tree")


@pytest.fixture(scope="session")
def shared_plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `environments/shared` would make in an empty account."""
    return _plan("shared", tmp_path_factory)


@pytest.fixture(scope="session")
def dev_plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `environments/dev` would make in an empty account."""
    return _plan("dev", tmp_path_factory)


@pytest.fixture(scope="session")
def prod_plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `environments/prod` would make in an empty account."""
    return _plan("prod", tmp_path_factory)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A work copy of infra-terraform, without an account."""
    return Workspace(tmp_path_factory.mktemp("terraform") / "tree")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The work tree."""
    return Path(__file__).parents[2]

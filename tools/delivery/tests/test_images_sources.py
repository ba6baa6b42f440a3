"""What the Dockerfiles promise, and when an image is built again; nothing is built here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.clones import Clone

from delivery.git import Repository
from delivery.images.base import local_bases
from delivery.images.inputs import SERVICES, pinned_bases, read_inputs

ROOT = Path(__file__).parents[3]
RUNTIME = re.compile(r"gcr\.io/distroless/python3-debian12:nonroot@sha256:[0-9a-f]{64}")


def instructions(service: str) -> list[list[str]]:
    """The instructions of each stage; a continued line is one."""
    text = (ROOT / "services" / service / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    starts = [index for index, line in enumerate(lines) if line.startswith("FROM ")]
    return [lines[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def default(service: str, argument: str) -> str:
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    found = re.search(rf"^ARG {argument}=(\S+)$", text, re.MULTILINE)
    assert found
    return found[1]


def test_every_service_with_a_deployment_has_an_image() -> None:
    versions = ROOT.glob("overlays/prod/*/version/kustomization.yaml")
    assert sorted(SERVICES) == sorted(path.parents[1].name for path in versions)


def test_what_takes_longest_is_built_first() -> None:
    assert SERVICES[0] == "frontend"


@pytest.mark.parametrize("service", SERVICES)
def test_both_bases_are_build_arguments_and_pinned_by_digest(service: str) -> None:
    build, run = instructions(service)
    assert build[0] == "FROM ${BUILD_BASE} AS build"
    assert run[0] == "FROM ${BASE}"
    assert re.fullmatch(r"docker\.io/library/python:3\.11-\S+@sha256:[0-9a-f]{64}", default(service, "BUILD_BASE"))


@pytest.mark.parametrize("service", SERVICES)
def test_the_final_base_has_no_shell_and_nothing_is_run_on_it(service: str) -> None:
    assert RUNTIME.fullmatch(default(service, "BASE"))
    assert not [line for line in instructions(service)[-1] if line.startswith("RUN ")]
    assert [line for line in instructions(service)[-1] if line.startswith("ENTRYPOINT")] == [
        'ENTRYPOINT ["/usr/bin/python3.11"]'
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_packages_are_those_of_the_lock(service: str) -> None:
    exported = [line for line in instructions(service)[0] if " export " in line]
    assert len(exported) == 1
    assert re.search(r" export --quiet --(frozen|locked) --no-dev .*--output-file /requirements.txt ", exported[0])
    assert "uv pip install --python-version ${PYTHON_VERSION} --no-deps --target /packages --req" in exported[0]
    others = [line for line in instructions(service)[0] if "/opt/uv/bin/uv pip install" in line and line != exported[0]]
    assert len(others) == 1
    assert "uv pip install --offline --no-deps" in others[0]


@pytest.mark.parametrize("service", SERVICES)
def test_how_the_building_machine_reaches_packages_is_mounted_never_written(service: str) -> None:
    for line in instructions(service)[0]:
        if line.startswith("RUN ") and "--offline" not in line:
            assert "--mount=type=secret,id=certificates" in line
        assert not re.search(r"https?://|index-url|_INDEX", line)


def test_the_same_versions_are_pinned_in_all() -> None:
    for argument in ("BUILD_BASE", "BASE", "UV_VERSION", "PYTHON_VERSION"):
        texts = [(ROOT / "services" / service / "Dockerfile").read_text() for service in SERVICES]
        assert (
            len({value for text in texts for value in re.findall(rf"^ARG {argument}=(\S+)$", text, re.MULTILINE)}) == 1
        )
    assert len(pinned_bases(Repository(ROOT))) == 2


def test_an_image_is_built_again_when_what_is_in_it_has_changed_and_only_then(clone: Clone) -> None:
    repository = Repository(clone.folder)
    services = [service for service in SERVICES if (clone.folder / "services" / service).is_dir()]
    before = {service: read_inputs(repository, service, {}) for service in services}
    for path in ("README.md", "services/agentgateway/tests/test_new.py", "base/agentgateway/new.yaml"):
        (clone.folder / path).write_text("changed")
    assert {service: read_inputs(repository, service, {}) for service in services} == before
    (clone.folder / "services/agentgateway/src/agentgateway/new.py").write_text("changed = True")
    after = {service: read_inputs(repository, service, {}) for service in services}
    assert [service for service in services if after[service] != before[service]] == ["agentgateway"]
    assert after["agentgateway"].reference != before["agentgateway"].reference
    assert after["agentgateway"].revision == f"{before['agentgateway'].revision}-modified"
    assert read_inputs(repository, "frontend", local_bases()).key != after["frontend"].key


def test_a_commit_that_changes_no_image_changes_no_label(clone: Clone) -> None:
    repository = Repository(clone.folder)
    before = read_inputs(repository, "mcp-server", {})
    (clone.folder / "README.md").write_text("changed")
    repository.commit(["README.md"], "Words")
    assert read_inputs(repository, "mcp-server", {}) == before
    assert re.fullmatch(r"[0-9a-f]{40}", before.revision)


def ask(*arguments: str, path: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "delivery.images", *arguments],
        cwd=ROOT,
        env={"PATH": path, "XDG_CACHE_HOME": str(cache), "HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


def only_git(folder: Path) -> str:
    git = next(Path(part, "git") for part in os.environ["PATH"].split(":") if Path(part, "git").exists())
    folder.mkdir()
    (folder / "git").symlink_to(git)
    return str(folder)


def test_without_a_builder_it_says_what_to_install(tmp_path: Path) -> None:
    answer = ask(path=only_git(tmp_path / "bin"), cache=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == (
        "error: none of buildah, podman, docker is installed: apt-get install buildah"
    )


def test_a_builder_that_is_there_but_does_not_answer_is_quoted(tmp_path: Path) -> None:
    path = only_git(tmp_path / "bin")
    docker = tmp_path / "bin" / "docker"
    docker.write_text("#!/bin/sh\necho Cannot connect to the daemon >&2\nexit 1\n")
    docker.chmod(0o755)
    answer = ask("--json", path=path, cache=tmp_path)
    assert answer.returncode == 1
    assert "docker is there, but says: " in answer.stderr


def test_an_unknown_service_is_answered_with_those_there_are(tmp_path: Path) -> None:
    answer = ask("gateway", path=os.environ["PATH"], cache=tmp_path)
    assert answer.returncode == 2
    assert f"no image of gateway; there are: {', '.join(SERVICES)}" in answer.stderr
    assert not answer.stdout

"""tools/build: builds what is asked for, once, and prints where it is."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tools_build(*names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "tools" / "build", *names],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_it_lists_every_tool_that_a_go_mod_pins() -> None:
    listed = set(tools_build("--list").stdout.split())
    assert listed >= {"argocd", "etcd", "kube-apiserver", "kubectl", "kustomize", "kwok", "kwokctl", "redis"}


@pytest.mark.parametrize("names", [(), ("kubctl",)], ids=["nothing", "a typing error"])
def test_what_cannot_be_built_is_told_with_what_can(names: tuple[str, ...]) -> None:
    refused = tools_build(*names)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there are: " in refused.stderr
    assert "kubectl" in refused.stderr


def test_without_go_it_says_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    refused = tools_build("redis", PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert refused.returncode == 1
    assert "go is missing: Go 1.21 or newer is needed" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_two_at_once_build_it_once_and_a_third_finds_it(tmp_path: Path) -> None:
    go = subprocess.run(["go", "env", "GOCACHE"], check=True, capture_output=True, text=True).stdout.strip()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: tools_build("redis", XDG_CACHE_HOME=str(tmp_path), GOCACHE=go), range(2))
    third = tools_build("redis", XDG_CACHE_HOME=str(tmp_path), GOCACHE=go)
    assert first.stdout == second.stdout == third.stdout
    assert os.access(first.stdout.strip(), os.X_OK)
    told = [each.stderr.count("Building redis") for each in (first, second, third)]
    assert (sum(told), told[2]) == (1, 0)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of programs as on a bare machine, for somebody who is not root: no browser, no database, no sudo."""
    (tmp_path / "bash").symlink_to(shutil.which("bash") or "")
    program(tmp_path / "id", "echo 1000")
    return tmp_path


def program(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def packages(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(folder)}
    command = [ROOT / "tools" / "packages"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_who_may_not_install_is_told_the_one_line_to_type_before_anything_starts(bare: Path) -> None:
    run = packages(bare)
    assert run.returncode == 1
    line = run.stderr.splitlines()[-1]
    assert line.startswith("  sudo apt-get install --no-install-recommends chromium fonts-dejavu-core ")
    assert {"buildah", "debootstrap", "containerd", "nftables"} <= set(line.split())


def test_who_may_install_gets_what_is_missing_and_nothing_else(bare: Path) -> None:
    asked = bare / "asked"
    program(bare / "sudo", 'shift; exec "$@"')
    program(bare / "true", "exit 0")
    program(bare / "apt-get", f'echo "$@" >> {asked}')
    program(bare / "chromium", "exit 0")
    assert packages(bare).returncode == 0
    update, install = asked.read_text().splitlines()
    assert update == "update -q"
    assert "debootstrap" in install.split()
    assert "chromium" not in install.split()

"""Kustomizations of this repository, built without the network: a remote base comes from its release's Go module."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from local.kubernetes.tools import module_folder, tool

ROOT = Path(__file__).resolve().parents[2]
TREES = ("apps", "argocd", "base", "clusters", "overlays")
REMOTE_BASE = re.compile(r"https://github\.com/argoproj/argo-cd//(manifests/[a-z/-]+)\?ref=(v[0-9.]+)")
# Cold, the Go toolchain and a module come over the network, or a program is compiled.
BUILD_SECONDS = 1200

Manifest = dict[str, Any]


def argocd_module() -> tuple[Path, str]:
    """The folder of Argo CD's module, downloaded, and its version (`v3.6.1`)."""
    folder = module_folder("github.com/argoproj/argo-cd/v3", "argocd")
    return folder, folder.name.partition("@")[2]


def offline_tree(target: Path) -> Path:
    """Copies what is deployed to `target`, with the remote bases in it; returns `target`.

    Raises ValueError where a remote base is not of the release that tools/argocd pins.
    """
    module, version = argocd_module()
    for name in TREES:
        shutil.copytree(ROOT / name, target / name)
    upstream = target / f".argo-cd-{version}"
    shutil.copytree(module / "manifests", upstream / "manifests", copy_function=shutil.copyfile)
    for folder in (path for path in upstream.rglob("*") if path.is_dir()):
        folder.chmod(0o755)  # the module cache is read-only
    for file in kustomizations(target / "argocd"):
        text = file.read_text()
        for base in REMOTE_BASE.finditer(text):
            if base[2] != version:
                raise ValueError(f"{file}: the remote base is {base[2]}, but tools/argocd/go.mod pins {version}")
            text = text.replace(base[0], os.path.relpath(upstream / base[1], file.parent))
        file.write_text(text)
    return target


def kustomizations(tree: Path) -> Iterator[Path]:
    """Every kustomization.yaml under a folder, sorted."""
    yield from sorted(tree.rglob("kustomization.yaml"))


def build(folder: Path) -> list[Manifest]:
    """The objects that the pinned kustomize makes of a folder; raises AssertionError with what it complained of."""
    run = subprocess.run([tool("kustomize"), "build", folder], check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"{folder} does not build: {run.stderr.strip()}"
    return [manifest for manifest in yaml.load_all(run.stdout, yaml.CSafeLoader) if manifest]


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one object of that kind and name."""
    found = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects are {kind} {name}"
    return found[0]

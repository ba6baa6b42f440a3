"""The repository as its pipelines see it: a remote, and a clone in which `python -m delivery…` runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAME = "example-company/internal-file-processing-system"


def _environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what a hook, a workflow or a person's shell says of Git, GitHub, Terraform or AWS."""
    foreign = ("GIT_", "GITHUB_", "TERRAFORM_", "TF_", "AWS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | dict(changes)


@dataclass(frozen=True)
class Clone:
    """A clone of a bare repository beside it, whose main is what is committed here."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, parent: Path) -> "Clone":
        remote = parent / "remote.git"
        head = cls(ROOT).git("rev-parse", "HEAD")
        subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, remote], check=True, env=_environment({}))
        cls(remote).git("update-ref", "refs/heads/main", head)
        cls(remote).git("symbolic-ref", "HEAD", "refs/heads/main")
        subprocess.run(
            ["git", "clone", "--quiet", "--branch", "main", remote, parent / "clone"], check=True, env=_environment({})
        )
        clone = cls(parent / "clone")
        clone.git("tag", "start")
        clone.git("config", "user.name", "A developer")
        clone.git("config", "user.email", "developer@example.com")
        return clone

    def restore(self) -> None:
        """Both as they were when they were made; `start` is the commit that main was then."""
        remote, start = self.remote, self.git("rev-parse", "start")
        shutil.rmtree(remote.folder / "hooks", ignore_errors=True)
        remote.git("update-ref", "refs/heads/main", start)
        for branch in remote.git("for-each-ref", "--format=%(refname)", "refs/heads").splitlines():
            if branch != "refs/heads/main":
                remote.git("update-ref", "-d", branch)
        self.git("checkout", "--quiet", "--force", "-B", "main", start)
        self.git("clean", "--quiet", "--force", "-d")
        self.git("fetch", "--quiet", "--prune", "--force", "origin")

    @property
    def remote(self) -> "Clone":
        return Clone(self.folder.parent / "remote.git")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", self.folder, *arguments], check=True, capture_output=True, text=True, env=_environment({})
        )
        return done.stdout.strip()

    def run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the delivery commands, as it is used: by its module, in the clone."""
        return subprocess.run(
            [sys.executable, "-m", f"delivery.{module}", *arguments],
            cwd=self.folder,
            env=_environment(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def succeed(self, module: str, *arguments: str) -> str:
        done = self.run(module, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def succeed_json(self, module: str, *arguments: str) -> Any:
        return json.loads(self.succeed(module, *arguments, "--json"))

    def refuse(self, module: str, *arguments: str) -> str:
        """What a command says that fails, which is never a traceback."""
        done = self.run(module, *arguments)
        assert done.returncode == 1, f"{done.returncode}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        assert done.stderr.strip().splitlines()[-1]
        return done.stderr.strip()

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text, f"{path} has no {old!r}"
        self.write(path, text.replace(old, new))

    def commit(self, message: str, *, push: bool = False) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        if push:
            self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def changed(self, *revisions: str) -> dict[str, tuple[int, int]]:
        """Path → lines added and removed, between revisions or in the work tree."""
        lines = self.git("diff", "--numstat", *(revisions or ("HEAD",))).splitlines()
        return {path: (int(added), int(removed)) for added, removed, path in (line.split("\t") for line in lines)}


def version_path(environment: str, service: str) -> str:
    return f"overlays/{environment}/{service}/version/kustomization.yaml"

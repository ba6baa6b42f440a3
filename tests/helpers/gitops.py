"""What a team does with the cluster: pushes commits, and looks at what Argo CD makes of them."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from local.kubernetes.kubectl import Kubectl, Object, wait_for

ARGOCD = "argocd"
SERVICES = "file-processing"
# On two idle cores it takes 10; other tests run beside these.
SYNC_SECONDS = 300


@dataclass(frozen=True)
class WorkCopy:
    """A clone of the repository that the cluster follows."""

    folder: Path

    @classmethod
    def clone(cls, url: str, folder: Path) -> "WorkCopy":
        copy = cls(folder)
        subprocess.run(["git", "clone", "--quiet", url, folder], check=True, env=_environment(), timeout=60)
        copy.git("config", "user.name", "A developer")
        copy.git("config", "user.email", "developer@example.com")
        return copy

    def git(self, *arguments: str) -> str:
        run = subprocess.run(
            ["git", "-C", self.folder, *arguments],
            check=True,
            env=_environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        return run.stdout.strip()

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces a text that must be in the file."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new))

    def push(self, message: str) -> str:
        """Commits all changes and pushes them; returns the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    @contextmanager
    def until_reverted(self) -> Iterator[None]:
        """What is pushed within is taken back at the end, as a revert would."""
        before = self.git("rev-parse", "HEAD")
        try:
            yield
        finally:
            self.git("reset", "--quiet", "--hard")
            self.git("clean", "--quiet", "--force", "-d")
            self.git("read-tree", "--reset", "-u", before)
            if self.git("status", "--porcelain"):
                self.push("Take it back")


def _environment() -> dict[str, str]:
    """Without the variables of a hook that runs these tests: they would lead git elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


@dataclass(frozen=True)
class ArgoCD:
    """What Argo CD shows."""

    kubectl: Kubectl
    url: str

    def application(self, name: str) -> Object:
        """An Application; an empty object where there is none."""
        return self.kubectl.get("applications.argoproj.io", name, namespace=ARGOCD) or {}

    def applications(self) -> dict[str, Object]:
        found = self.kubectl.list("applications.argoproj.io", namespace=ARGOCD)
        return {each["metadata"]["name"]: each for each in found}

    def wait(self, name: str, what: str, holds: Callable[[Object], object], seconds: float = SYNC_SECONDS) -> Object:
        """The Application once `holds` is true of it."""

        def application() -> Object:
            found = self.application(name)
            return found if found and holds(found) else {}

        return wait_for(application, seconds, f"{name} {what}", state=lambda: brief(self.application(name)))

    def wait_synced(self, name: str, revision: str, seconds: float = SYNC_SECONDS) -> float:
        """Waits until that commit is synced; returns the time (of `time.monotonic`) when it was seen."""
        self.wait(name, f"is synced to {revision[:8]}", lambda each: is_synced(each, revision), seconds)
        return time.monotonic()

    def wait_healthy(self, name: str, seconds: float = SYNC_SECONDS) -> float:
        self.wait(name, "is Healthy", lambda each: health(each) == "Healthy", seconds)
        return time.monotonic()

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call of Argo CD's own API; raises httpx2.HTTPStatusError where it refuses."""
        answer = httpx2.request(method, f"{self.url}/api/v1/{path}", json=body or {}, timeout=30)
        if answer.is_error:
            raise httpx2.HTTPStatusError(answer.text, request=answer.request, response=answer)
        return answer.json()

    def tree(self, name: str) -> list[Object]:
        """The nodes of an Application's tree."""
        nodes: list[Object] = self.api("GET", f"applications/{name}/resource-tree").get("nodes") or []
        return nodes


def is_synced(application: Object, revision: str | None = None) -> bool:
    """Whether the Application is synced, to that commit, and its last operation is over."""
    status = application.get("status", {})
    sync = status.get("sync", {})
    return bool(
        sync.get("status") == "Synced"
        and sync.get("revision") == (revision or sync.get("revision"))
        # An Application that was made when all was there already has never had to do anything.
        and status.get("operationState", {}).get("phase") in (None, "Succeeded")
    )


def health(application: Object) -> str:
    return str(application.get("status", {}).get("health", {}).get("status", ""))


def conditions(application: Object, kind: str) -> list[str]:
    """What an Application says of one kind, such as ComparisonError."""
    return [each["message"] for each in application["status"].get("conditions", []) if each["type"] == kind]


def brief(application: Object) -> str:
    """How an Application stands, in one line."""
    status = application.get("status", {})
    operation = status.get("operationState", {})
    return (
        f"(sync {status.get('sync', {}).get('status')} to {str(status.get('sync', {}).get('revision'))[:8]}, "
        f"health {health(application)}, operation {operation.get('phase')}: {operation.get('message')}, "
        f"conditions {[each['message'] for each in status.get('conditions', [])]})"
    )


def identities(kubectl: Kubectl) -> dict[tuple[str, str], str]:
    """(kind, name) → UID of what runs: the same UID is the same object, never deleted."""
    kinds = "deployments,services,configmaps,serviceaccounts,horizontalpodautoscalers,departments"
    return {
        (each["kind"], each["metadata"]["name"]): each["metadata"]["uid"]
        for each in kubectl.list(kinds, namespace=SERVICES)
    }

"""kubectl, for programs: objects in, objects out."""

import json
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from local.kubernetes.api_server import ApiServer, NotFound, RequestError
from local.kubernetes.tools import tool

Object = dict[str, Any]
Found = TypeVar("Found")


class KubectlError(Exception):
    """kubectl refused; the message is what it said."""


class NotYet(Exception):
    """What was waited for did not come in time."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl for one cluster, as one user; reads go to the API server without a process.

    Attributes:
        kubeconfig: Says which cluster, who asks, and the namespace of what names none.
    """

    kubeconfig: Path

    def run(self, *arguments: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run a command; returns its standard output.

        Raises:
            KubectlError: It failed, or took longer than `seconds`.
        """
        command = [str(tool("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {' '.join(arguments)} took more than {seconds:.0f} s") from error
        if done.returncode:
            raise KubectlError((done.stderr or done.stdout).strip())
        return done.stdout

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
        """One object, or None where there is none.

        Raises:
            KubectlError: The cluster does not answer, or knows no such kind.
        """
        with self._api_server() as server:
            (resource,) = server.resources([kind])
            try:
                return resource.shown(server.get(resource.path(namespace or server.namespace, name)))
            except NotFound:
                return None

    def list(self, kind: str, *, selector: str = "", namespace: str | None = None) -> list[Object]:
        """All objects of a kind, or those that a label selector finds.

        Args:
            kind: Or kinds, with commas between them.
            selector: Of labels; empty for all objects.
            namespace: `*` for all; the kubeconfig's own by default.

        Raises:
            KubectlError: The cluster does not answer, or knows no such kind.
        """
        with self._api_server() as server:
            place = "" if namespace == "*" else namespace or server.namespace
            return [
                resource.shown(each)
                for resource in server.resources(kind.split(","))
                for each in server.get(resource.path(place), labelSelector=selector)["items"]
            ]

    @contextmanager
    def _api_server(self) -> Iterator[ApiServer]:
        try:
            with ApiServer(self.kubeconfig) as server:
                yield server
        except RequestError as error:
            raise KubectlError(str(error)) from error

    def apply(self, *objects: Mapping[str, Any] | Path, server_side: bool = True, dry_run: bool = False) -> str:
        """Apply objects and files of them (`-f`); returns what kubectl said.

        Raises:
            KubectlError: One was refused; the message says why.
        """
        options = ["--server-side", "--force-conflicts"] if server_side else []
        options += ["--dry-run=server"] if dry_run else []
        said = [self.run("apply", *options, "-f", str(file)) for file in objects if isinstance(file, Path)]
        if written := [each for each in objects if not isinstance(each, Path)]:
            said.append(self.run("apply", *options, "-f", "-", stdin=_as_list(written)))
        return "".join(said)

    def delete(self, kind: str, *names: str, namespace: str | None = None, wait: bool = True) -> None:
        """Delete objects; those that are not there are no error."""
        self.run("delete", kind, *names, "--ignore-not-found", f"--wait={str(wait).lower()}", *_in(namespace))

    def patch(self, kind: str, name: str, patch: Mapping[str, Any], *, namespace: str | None = None) -> None:
        """Change an object by a JSON merge patch."""
        self.run("patch", kind, name, "--type=merge", "--patch", json.dumps(patch), *_in(namespace))


def wait_for(
    condition: Callable[[], Found], seconds: float, what: str, *, every: float = 0.2, state: Callable[[], object] = str
) -> Found:
    """What `condition()` returns once that is true; a refusal by kubectl counts as not yet.

    Args:
        condition: Is asked again and again.
        seconds: How long.
        what: Ends the sentence "not in 30 s: …".
        every: Seconds between the first two questions; then half as long again each time, up to five times as long:
            a question may be a process.
        state: What to say of the state in the error.

    Raises:
        NotYet: It did not come in time.
    """
    deadline = time.monotonic() + seconds
    refusal, pause = "", every
    while True:
        try:
            if found := condition():
                return found
            refusal = ""
        except KubectlError as error:
            refusal = f" ({error})"
        if time.monotonic() > deadline:
            raise NotYet(f"not in {seconds:.0f} s: {what}{refusal} {state()}".strip())
        time.sleep(pause)
        pause = min(1.5 * pause, 5 * every)


def _in(namespace: str | None) -> tuple[str, ...]:
    return () if namespace is None else ("--namespace", namespace)


def _as_list(objects: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})

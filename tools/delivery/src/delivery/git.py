"""The Git repository that a command is run in."""

import base64
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from delivery.errors import DeliveryError

REMOTE = "origin"
MAIN = "main"
AUTHOR = {"NAME": "github-actions[bot]", "EMAIL": "41898282+github-actions[bot]@users.noreply.github.com"}
PUSHES = 5
NETWORK_SECONDS = 120


class GitFailed(DeliveryError):
    """Git refused; the text is what it said."""


@dataclass(frozen=True)
class Repository:
    """A work tree."""

    folder: Path

    @classmethod
    def here(cls) -> "Repository":
        """The one that the current folder is in; raises GitFailed where that is none."""
        return cls(Path(cls(Path.cwd()).git("rev-parse", "--show-toplevel")))

    def git(self, *arguments: str) -> str:
        """What a command of Git prints; raises GitFailed."""
        return self._run(*arguments).strip()

    def succeeds(self, *arguments: str) -> bool:
        """Whether a command of Git that answers by its exit code says yes; what it cannot tell is no."""
        try:
            self._run(*arguments)
        except GitFailed:
            return False
        return True

    def commit_of(self, revision: str) -> str:
        """The full name of the commit that a revision names."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except GitFailed:
            raise GitFailed(
                f"{revision} names no commit of {self.folder}: a branch, tag or commit that was fetched is needed"
            ) from None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether a commit is among those before another one; no, where either is not known here."""
        return self.succeeds("merge-base", "--is-ancestor", older, newer)

    @contextmanager
    def checkout(self, revision: str) -> Iterator["Repository"]:
        """A work tree of that revision in a folder of its own: nothing is changed where people work."""
        with tempfile.TemporaryDirectory(prefix="delivery-") as parent:
            folder = Path(parent) / "tree"
            self.git("worktree", "add", "--quiet", "--detach", str(folder), self.commit_of(revision))
            try:
                yield Repository(folder)
            finally:
                self.git("worktree", "remove", "--force", str(folder))

    def fetch(self, branch: str) -> str:
        """Fetch a branch of the remote, and return its commit."""
        self.git("fetch", "--quiet", REMOTE, f"+refs/heads/{branch}:refs/remotes/{REMOTE}/{branch}")
        return self.commit_of(f"refs/remotes/{REMOTE}/{branch}")

    def commit(self, paths: list[str], message: str) -> str:
        """Commit these paths alone, in the author's name or, where there is none, that of GitHub's workflows."""
        self.git("add", "--", *paths)
        self.git("commit", "--quiet", "--message", message, "--only", "--", *paths)
        return self.git("rev-parse", "HEAD")

    def push_on_top(self, branch: str, change: Callable[["Repository"], str | None]) -> str | None:
        """Let `change` commit on the newest of a remote branch and push that; again where another push came between.

        Returns:
            The commit that was pushed, or None where there was nothing to change.

        Raises:
            GitFailed: The remote refuses for another reason, or for the fifth time.
        """
        for attempt in range(1, PUSHES + 1):
            base = self.fetch(branch)
            with self.checkout(base) as tree:
                made = change(tree)
                if made is None:
                    return None
                try:
                    tree.git("push", "--quiet", REMOTE, f"{made}:refs/heads/{branch}")
                except GitFailed:
                    if attempt == PUSHES or self.fetch(branch) == base:
                        raise
                    continue
                return made
        return None

    def _run(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.folder), *arguments]
        try:
            done = subprocess.run(
                command, env=_environment(), capture_output=True, text=True, check=False, timeout=NETWORK_SECONDS
            )
        except FileNotFoundError:
            raise GitFailed("git is missing: install it, version 2.31 or newer") from None
        except subprocess.TimeoutExpired:
            raise GitFailed(f"git {arguments[0]} took longer than {NETWORK_SECONDS} s in {self.folder}") from None
        if done.returncode:
            raise GitFailed(f"git {arguments[0]}, in {self.folder}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def _environment() -> dict[str, str]:
    """Without a hook's variables, which lead Git elsewhere; in a workflow, with its token for GitHub alone.

    The token is in the environment, since other users of a machine see arguments; no work tree keeps it.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for role in ("AUTHOR", "COMMITTER"):
        for what, fallback in AUTHOR.items():
            if given := os.environ.get(f"GIT_{role}_{what}") or (fallback if "GITHUB_ACTIONS" in environment else None):
                environment[f"GIT_{role}_{what}"] = given
    environment["GIT_TERMINAL_PROMPT"] = "0"
    server, token = environment.get("GITHUB_SERVER_URL"), environment.get("GITHUB_TOKEN")
    if server and token:
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{server}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {basic}",
        }
    return environment

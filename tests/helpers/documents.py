"""Markdown as a reader uses it: its links, its paths, and its commands, which are run or checked in form.

A block of commands says in a comment before it how it is tested:

- `<!-- run: stack -->`: on the stack of the tests, as somebody who is logged in as alice; also `own stack`, `cluster`,
  `alone`, which needs nothing up, and `fresh clone`, which installs its own packages.
- `<!-- not run: tests/system/test_demo.py::test_… -->`: that test does the same.
- `<!-- not run: needs an AWS account -->`: and other reasons in `REASONS`; its form is checked.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PLACES = ("stack", "own stack", "cluster", "alone", "fresh clone")
REASONS = (
    *("needs an AWS account", "needs a cluster on AWS", "needs GitHub"),
    *("needs root", "needs a browser", "needs the internet"),
)
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?(?P<fence>`{3,})(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)")
INLINE_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, what it holds, and how it is tested."""

    document: str
    line: int
    language: str
    text: str
    mark: str | None

    @property
    def place(self) -> str | None:
        """Where it is run."""
        return self.mark.removeprefix("run: ") if self.mark and self.mark.startswith("run: ") else None

    @property
    def reason(self) -> str | None:
        """Why it is not run here."""
        return self.mark.removeprefix("not run: ") if self.mark and self.mark.startswith("not run: ") else None

    def __str__(self) -> str:
        """As an editor opens it."""
        return f"{self.document}:{self.line}"


def documents(*patterns: str) -> list[str]:
    """Every Markdown file in Git, or those that match."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *(patterns or ("*.md",))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted({line for line in listing.stdout.splitlines() if (ROOT / line).is_file()})


def read(document: str) -> str:
    """Its text."""
    return (ROOT / document).read_text()


def blocks(document: str) -> list[Block]:
    """Its fenced blocks, in order."""
    text = read(document)
    return [
        Block(document, text.count("\n", 0, found.start("text")), found["language"], found["text"], found["mark"])
        for found in FENCE.finditer(text)
    ]


def prose(document: str) -> str:
    """Its text without blocks."""
    return FENCE.sub("", read(document))


def anchors(document: str) -> set[str]:
    """What `#…` may name in it: headings as GitHub turns them into anchors."""
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading) for heading in HEADING.findall(prose(document)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def run(place: str, document: str, folder: Path, environment: Mapping[str, str], changes: Mapping[str, str]) -> str:
    """Type the blocks of a document that belong to a place, one after the other in one shell; returns what was said.

    Args:
        place: As in the blocks' marks.
        document: The page.
        folder: A clone of the repository, in which they are typed.
        environment: What the shell knows beside what every shell does.
        changes: What a page says, and what it is here: ports, for example.
    """
    script = "\n".join(block.text for block in blocks(document) if block.place == place)
    for old, new in changes.items():
        assert old in script, f"{document} says no more {old!r}"
        script = script.replace(old, new)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**new_terminal(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, f"{document} ({place}):\n{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def new_terminal() -> dict[str, str]:
    """The environment without what this run of tests, or a hook of Git that runs it, has added."""
    ours = ("AWS_", "FILEPROC_", "GIT_", "LOCAL_", "PYTEST_", "VIRTUAL_ENV", "KUBECONFIG")
    # UV_NO_SYNC: the packages are those of the environment that this test runs in.
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"UV_NO_SYNC": "1"}


def clone(folder: Path) -> Path:
    """What a reader has in front of them: a clone, with the Python packages installed."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True, timeout=60, env=new_terminal())
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder

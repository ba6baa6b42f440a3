"""`python -m delivery.rendered --from REVISION`: what a change means for the cluster, object by object, as Markdown."""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from delivery.errors import DeliveryError, run
from delivery.git import Repository
from delivery.github import tell
from delivery.markdown import Section, report
from delivery.objects import Change, changes
from delivery.tools import tool

BUILD_SECONDS = 60
KINDS = ("changed", "added", "removed")
DESCRIPTION = "What a change means for the cluster, object by object, as Markdown that fits a comment on GitHub."
Built = dict[str, Any]


@dataclass(frozen=True)
class Overlay:
    """What one folder renders to on both sides; where a side does not build, the reason instead.

    Attributes:
        folder: From the repository's root.
    """

    folder: str
    changes: list[Change]
    broken_before: str = ""
    broken_after: str = ""


def environments(tree: Path) -> list[str]:
    """The environments that the repository knows: each has a folder in clusters/."""
    return sorted(folder.name for folder in (tree / "clusters").iterdir() if folder.is_dir())


def folders(tree: Path, environment: str | None) -> list[str]:
    """The folders that an environment is deployed from: `overlays/<env>/<service>`, `apps/<env>`, `clusters/<env>`."""
    patterns = [
        pattern
        for name in ([environment] if environment else environments(tree))
        for pattern in (f"overlays/{name}/*", f"apps/{name}", f"clusters/{name}")
    ]
    found = (file.parent for pattern in patterns for file in sorted(tree.glob(f"{pattern}/kustomization.yaml")))
    return [folder.relative_to(tree).as_posix() for folder in found]


def build(kustomize: str, folder: Path) -> list[Built] | str:
    """The objects of a folder, or what kustomize complained of; nothing where there is no such folder."""
    if not (folder / "kustomization.yaml").is_file():
        return []
    done = subprocess.run(
        [kustomize, "build", folder], capture_output=True, text=True, check=False, timeout=BUILD_SECONDS
    )
    if done.returncode:
        # The paths of this machine say nothing to who reads.
        return done.stderr.strip().replace(str(folder.resolve().parents[2]) + "/", "")
    return [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]


def compare(kustomize: str, before: Path, after: Path, environment: str | None = None) -> Iterator[Overlay]:
    """Build what both trees deploy, and yield each folder that renders to something else, in order."""
    names = sorted({*folders(before, environment), *folders(after, environment)})
    with ThreadPoolExecutor() as pool:
        olds = pool.map(partial(build, kustomize), (before / name for name in names))
        news = pool.map(partial(build, kustomize), (after / name for name in names))
        for name, old, new in zip(names, olds, news, strict=True):
            overlay = Overlay(
                name,
                [] if isinstance(new, str) else changes([] if isinstance(old, str) else old, new),
                old if isinstance(old, str) else "",
                new if isinstance(new, str) else "",
            )
            if overlay.changes or overlay.broken_after:
                yield overlay


def markdown(overlays: list[Overlay], title: str) -> str:
    """The comment: how much changes, then each object's difference, as far as GitHub takes it."""
    return report(title, _summary(overlays), _sections(overlays))


def _summary(overlays: list[Overlay]) -> str:
    if not overlays:
        return "Nothing that is deployed changes."
    numbers = Counter(change.kind for overlay in overlays for change in overlay.changes)
    told = ", ".join(f"{numbers[kind]} {kind}" for kind in KINDS)
    lines = [f"{told}: {_count(numbers.total(), 'object')} in {_count(len(overlays), 'folder')}."]
    if numbers["removed"]:
        lines.append("**Objects are removed.** dev prunes them; in prod they stay until somebody prunes them by hand.")
    lines += [f"**`{overlay.folder}` does not build.**" for overlay in overlays if overlay.broken_after]
    return "\n\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _sections(overlays: Iterable[Overlay]) -> Iterator[Section]:
    for overlay in overlays:
        if overlay.broken_after:
            yield Section(overlay.folder, "does not build", overlay.broken_after, "text")
        if overlay.broken_before and overlay.changes:
            yield Section(overlay.folder, "did not build before, so that all is new", overlay.broken_before, "text")
        for change in overlay.changes:
            yield Section(overlay.folder, f"{change.kind}: {change.name}", change.difference, "diff")


@contextmanager
def _tree(repository: Repository, revision: str | None) -> Iterator[Path]:
    if revision is None:
        yield repository.folder
    else:
        with repository.checkout(revision) as tree:
            yield tree.folder


def render(
    repository: Repository, before: str, after: str | None, environment: str | None
) -> tuple[str, list[Overlay]]:
    """The Markdown of what changes between two revisions, or from one to the work tree as it is, and what it is of."""
    old = repository.commit_of(before)
    new = repository.commit_of(after) if after else None
    with _tree(repository, old) as left, _tree(repository, new) as right:
        overlays = list(compare(tool(repository.folder, "kustomize"), left, right, environment))
    title = f"Rendered manifests{f' of {environment}' if environment else ''}: `{old[:8]}` → "
    return markdown(overlays, title + (f"`{new[:8]}`" if new else "work tree")), overlays


def main() -> int:
    """Print the Markdown; 1 if something does not build."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.rendered",
        description=DESCRIPTION,
    )
    parser.add_argument("--from", dest="before", required=True, metavar="REVISION", help="such as origin/main")
    parser.add_argument("--to", dest="after", metavar="REVISION", help="the work tree as it is, unless given")
    parser.add_argument("--environment", metavar="NAME", help="only this one, such as prod")
    parser.add_argument("--comment", action="store_true", help="in a workflow: say it on the run's pull request too")
    parser.add_argument("--json", action="store_true", help="for a program")
    arguments = parser.parse_args()
    repository = Repository.here()
    known = environments(repository.folder)
    if arguments.environment not in (None, *known):
        raise DeliveryError(f"unknown environment {arguments.environment}: there are {', '.join(known)}")
    text, overlays = render(repository, arguments.before, arguments.after, arguments.environment)
    if arguments.json:
        print(json.dumps({each.folder: _as_json(each) for each in overlays}))
    else:
        print(text)
    if arguments.comment:
        tell("rendered", text)
    broken = [overlay.folder for overlay in overlays if overlay.broken_after]
    if broken:
        print(f"does not build: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _as_json(overlay: Overlay) -> dict[str, Any]:
    return {
        "error": overlay.broken_after or None,
        "objects": [{"object": each.name, "change": each.kind} for each in overlay.changes],
    }


if __name__ == "__main__":
    run(main)

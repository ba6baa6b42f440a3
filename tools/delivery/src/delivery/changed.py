"""`python -m delivery.changed [--json]`: the services whose image would be another one than dev runs."""

import argparse
import json
import shlex
from pathlib import Path

from delivery.errors import DeliveryError, run
from delivery.git import Repository
from delivery.github import output
from delivery.version_files import COMMIT, DEV, services, version_file


def inputs(root: Path, service: str) -> list[str]:
    """What an image is made of: its Dockerfile, and what that copies from the repository."""
    name = f"services/{service}/Dockerfile"
    try:
        text = (root / name).read_text()
    except FileNotFoundError:
        raise DeliveryError(
            f"{name} is missing: overlays/{DEV}/{service} has a version, so there must be an image"
        ) from None
    found = {name, ".dockerignore"}
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True) if line.lstrip().upper().startswith(("COPY ", "ADD ")) else []
        if words and not any(word.startswith("--from=") for word in words):
            found |= {word for word in words[1:-1] if not word.startswith("--")}
    return sorted(found)


def changed(repository: Repository) -> list[str]:
    """The services, sorted, for which an input differs between the commit that dev runs and this one."""
    return [
        service
        for service in services(repository.folder, DEV)
        if not _same(
            repository, version_file(repository.folder, DEV, service).version, inputs(repository.folder, service)
        )
    ]


def _same(repository: Repository, version: str, paths: list[str]) -> bool:
    """Whether these paths are as they were at a version; no, where that is no commit, or not one that is known here."""
    return bool(COMMIT.fullmatch(version)) and repository.succeeds("diff", "--quiet", version, "HEAD", "--", *paths)


def main() -> int:
    """Print them, one a line."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.changed", description="Services whose image would be another one than dev runs."
    )
    parser.add_argument("--json", action="store_true", help="for a program; in a workflow, the output `services` too")
    arguments = parser.parse_args()
    found = changed(Repository.here())
    if arguments.json:
        output("services", json.dumps(found))
        print(json.dumps(found))
    else:
        print(*found, sep="\n")
    return 0


if __name__ == "__main__":
    run(main)

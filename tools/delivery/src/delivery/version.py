"""`python -m delivery.version SERVICE… VERSION [--push]`: raises the version of services in dev."""

import argparse
import json
from dataclasses import asdict, dataclass

from delivery.errors import DeliveryError, run
from delivery.git import MAIN, Repository
from delivery.version_files import COMMIT, DEV, SEMANTIC, check_version, version_file


@dataclass(frozen=True)
class Raised:
    """One service, before and after; the same where it had that version already."""

    service: str
    before: str
    after: str


def raise_versions(repository: Repository, services: list[str], version: str) -> list[Raised]:
    """Set the version in the work tree: of all these services or, where one of them cannot have it, of none."""
    check_version(version)
    files = [version_file(repository.folder, DEV, service) for service in sorted(set(services))]
    for file in files:
        if _is_older(repository, version, file.version):
            raise DeliveryError(
                f"{version} is older than {file.version}, which {file.path} has: a run that was repeated or came late "
                "must not take dev back; to go back, revert the commit that raised it"
            )
    texts = [file.with_version(version) for file in files]
    raised = [Raised(file.service, file.version, version) for file in files]
    for file, text, change in zip(files, texts, raised, strict=True):
        if change.before != change.after:
            file.write(text)
    return raised


def commit(repository: Repository, services: list[str], version: str) -> tuple[list[Raised], str | None]:
    """Raise the versions and commit that; no commit where nothing changes."""
    raised = raise_versions(repository, services, version)
    changed = [each.service for each in raised if each.before != each.after]
    if not changed:
        return raised, None
    paths = [version_file(repository.folder, DEV, service).path for service in changed]
    return raised, repository.commit(paths, f"{DEV}: {', '.join(changed)} {version}")


def push(repository: Repository, services: list[str], version: str) -> tuple[list[Raised], str | None]:
    """Commit on the newest main of the remote, and push; the work tree stays as it is."""
    raised: list[Raised] = []

    def change(tree: Repository) -> str | None:
        nonlocal raised
        raised, made = commit(tree, services, version)
        return made

    made = repository.push_on_top(MAIN, change)
    return raised, made


def _is_older(repository: Repository, version: str, present: str) -> bool:
    """Whether the version is certainly older than the present one: a commit before it, or a lower number."""
    if version == present:
        return False
    if COMMIT.fullmatch(version) and COMMIT.fullmatch(present):
        return repository.is_ancestor(version, present)
    new, old = SEMANTIC.fullmatch(version), SEMANTIC.fullmatch(present)
    return bool(new and old and [int(part) for part in new.groups()] < [int(part) for part in old.groups()])


def main() -> int:
    """Raise, and say what changed."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.version",
        description="Raises the version of services in dev: writes overlays/dev/<service>/version/kustomization.yaml.",
    )
    parser.add_argument("services", nargs="+", metavar="SERVICE", help="such as agentgateway; blanks separate, too")
    parser.add_argument("version", metavar="VERSION", help="a full commit, or a semantic version such as 1.4.2")
    parser.add_argument(
        "--push", action="store_true", help="commit on the newest main of origin and push it; the work tree stays"
    )
    parser.add_argument("--json", action="store_true", help="for a program")
    arguments = parser.parse_args()
    services = " ".join(arguments.services).split()
    repository = Repository.here()
    if arguments.push:
        raised, made = push(repository, services, arguments.version)
    else:
        raised, made = raise_versions(repository, services, arguments.version), None
    if arguments.json:
        print(json.dumps({"environment": DEV, "services": [asdict(each) for each in raised], "commit": made}))
        return 0
    for each in raised:
        if each.before == each.after:
            print(f"{DEV}/{each.service}: has {each.after} already")
        else:
            print(f"{DEV}/{each.service}: {each.before} -> {each.after}")
    if made:
        print(f"pushed to {MAIN}: {made}")
    return 0


if __name__ == "__main__":
    run(main)

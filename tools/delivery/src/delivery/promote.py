"""`python -m delivery.promote [SERVICE…] [--pull-request]`: prod gets the versions of dev, by copying their files."""

import argparse
import json
from dataclasses import asdict, dataclass

from delivery.errors import DeliveryError, run
from delivery.git import MAIN, REMOTE, GitFailed, Repository
from delivery.github import GitHub, summarize
from delivery.markdown import LIMIT, block, cut
from delivery.rendered import render
from delivery.version_files import COMMIT, DEV, PROD, check_version, services, version_file

BRANCH = "promote-to-prod"
CHECKS = "ci.yaml"
COMMITS = 20
"""Subjects of commits that the pull request shows for a service."""


@dataclass(frozen=True)
class Promotion:
    """One service: the version that prod has, and the one that it gets."""

    service: str
    before: str
    after: str


def promote(repository: Repository, names: list[str]) -> list[Promotion]:
    """Copy the version files that differ, of these services or of all; of none where one of them is not right."""
    root = repository.folder
    pairs = [
        (version_file(root, DEV, name), version_file(root, PROD, name))
        for name in sorted(set(names)) or services(root, DEV)
    ]
    differing = [(dev, prod) for dev, prod in pairs if dev.read() != prod.read()]
    promotions = [Promotion(dev.service, prod.version, check_version(dev.version)) for dev, prod in differing]
    for dev, prod in differing:
        if dev.image != prod.image:
            raise DeliveryError(
                f"{dev.path} names {dev.image}, {prod.path} {prod.image}: both environments use one registry, so that "
                "what runs in prod is what ran in dev"
            )
    for dev, prod in differing:
        prod.write(dev.read())
    return promotions


def describe(repository: Repository, promotions: list[Promotion]) -> str:
    """The pull request's text: versions, since when dev has them, and the commits that come to prod."""
    rows, parts = [], []
    for each in promotions:
        path = version_file(repository.folder, DEV, each.service).path
        since = repository.git("log", "-1", "--format=%cs", "--", path)
        rows.append(f"| {each.service} | `{each.before}` | `{each.after}` | {since} |")
        parts.append(f"\n**{each.service}**: {_commits(repository, each)}")
    table = "\n".join(("| service | prod has | prod gets | dev has it since |", "| --- | --- | --- | --- |", *rows))
    text = (
        f"Copies the version files of `{DEV}` to `{PROD}`, and nothing else. "
        "A comment shows what that makes of the manifests.\n\n"
        f"{table}\n\n"
        f"Before merging: dev's Applications are Healthy in Argo CD. After it: prod follows {MAIN} by itself. "
        "Back: revert the merge.\n"
    )
    return cut("\n".join((text, *parts)), LIMIT)


def _commits(repository: Repository, promotion: Promotion) -> str:
    ends = promotion.before, promotion.after
    if not all(COMMIT.fullmatch(end) and repository.succeeds("cat-file", "-e", f"{end}^{{commit}}") for end in ends):
        return f"from {promotion.before} to {promotion.after}"
    paths = [f"services/{name}" for name in (promotion.service, "common")]
    log = ("--no-merges", "--", *paths)
    subjects = repository.git("log", "--format=%h %s", f"{ends[0]}..{ends[1]}", *log).splitlines()
    if not subjects:
        return f"no commit to {' or '.join(paths)}"
    more = [f"… and {len(subjects) - COMMITS} more"] if len(subjects) > COMMITS else []
    # In a block, since a subject may name people or have Markdown of its own.
    shown = block("\n".join([*subjects[:COMMITS], *more]), "text")
    return f"{len(subjects)} commit{'s' if len(subjects) > 1 else ''} to {' and '.join(paths)}\n\n{shown}"


def pull_request(repository: Repository, names: list[str]) -> tuple[list[Promotion], str | None]:
    """Open the pull request, or bring the open one up to date; the work tree stays as it is.

    Returns:
        What is promoted, and the pull request's address; nothing and None where prod has what dev has.
    """
    github = GitHub()
    base = repository.fetch(MAIN)
    with repository.checkout(base) as tree:
        promotions = promote(tree, names)
        if not promotions:
            return [], None
        _check_tested(github, promotions)
        listed = ", ".join(each.service for each in promotions)
        title = f"Promote to {PROD}: {listed}"
        paths = [version_file(tree.folder, PROD, each.service).path for each in promotions]
        made = tree.commit(paths, title)
        pushed = _push(tree, base, made)
        request = github.open_pull_request(BRANCH, MAIN, title, describe(tree, promotions))
        if pushed:
            github.start_workflow(CHECKS, BRANCH)
        text, overlays = render(tree, base, made, PROD)
        github.comment(request.number, "rendered", text)
        if broken := [overlay.folder for overlay in overlays if overlay.broken_after]:
            raise DeliveryError(f"{request.html_url} must not be merged: {', '.join(broken)} does not build")
        return promotions, request.html_url


def _check_tested(github: GitHub, promotions: list[Promotion]) -> None:
    """Raise DeliveryError where a commit that comes to prod has no successful run of every test on main."""
    for each in promotions:
        if COMMIT.fullmatch(each.after) and not github.succeeded(CHECKS, MAIN, each.after):
            raise DeliveryError(
                f"{each.service} {each.after} has no successful run of {CHECKS} on {MAIN}: wait for it, or run it again"
            )


def _push(tree: Repository, base: str, made: str) -> bool:
    """Make the branch this commit, unless it is one with the same content on the same base: reviews of it stay."""
    try:
        there = tree.fetch(BRANCH)
    except GitFailed:
        there = ""
    if there and tree.commit_of(f"{there}^") == base and tree.succeeds("diff", "--quiet", there, made):
        return False
    lease = f"--force-with-lease=refs/heads/{BRANCH}:{there}"
    tree.git("push", "--quiet", lease, REMOTE, f"{made}:refs/heads/{BRANCH}")
    return True


def main() -> int:
    """Promote, and say what changed."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.promote", description="Copies the version files that differ from dev to prod."
    )
    parser.add_argument(
        "services", nargs="*", metavar="SERVICE", help="all whose versions differ, unless given; blanks separate, too"
    )
    parser.add_argument(
        "--pull-request",
        action="store_true",
        help=f"as a pull request from the branch {BRANCH}, on the newest main of origin; the work tree stays",
    )
    parser.add_argument("--json", action="store_true", help="for a program")
    arguments = parser.parse_args()
    repository, address = Repository.here(), None
    names = " ".join(arguments.services).split()
    if arguments.pull_request:
        promotions, address = pull_request(repository, names)
    else:
        promotions = promote(repository, names)
    if arguments.json:
        print(json.dumps({"promotions": [asdict(each) for each in promotions], "pull_request": address}))
        return 0
    lines = [f"{PROD}/{each.service}: {each.before} -> {each.after}" for each in promotions]
    lines = lines or [f"nothing to promote: {PROD} has the versions of {DEV}"]
    text = "\n".join([*lines, *([address] if address else [])])
    print(text)
    if arguments.pull_request:
        summarize(text)
    return 0


if __name__ == "__main__":
    run(main)

"""`python -m delivery.version`: exactly the intended change, or none and a reason."""

import os
from pathlib import Path

import pytest
import yaml
from tests.helpers.clones import Clone, version_path

from delivery.images.inputs import SERVICES

pytestmark = pytest.mark.slow

GATEWAY = version_path("dev", "agentgateway")
COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"


def tag(clone: Clone, path: str = GATEWAY) -> object:
    (image,) = yaml.safe_load((clone.folder / path).read_text())["images"]
    return image["newTag"]


def test_one_line_of_one_file_changes(clone: Clone) -> None:
    before = (clone.folder / GATEWAY).read_text()
    said = clone.succeed("version", "agentgateway", COMMIT)
    assert said == f"dev/agentgateway: 0.1.0 -> {COMMIT}\n"
    assert clone.changed() == {GATEWAY: (1, 1)}
    assert (clone.folder / GATEWAY).read_text() == before.replace("newTag: 0.1.0", f"newTag: {COMMIT}")
    assert clone.git("status", "--porcelain") == f"M {GATEWAY}"


def test_a_comment_in_the_file_stays(clone: Clone) -> None:
    clone.replace(GATEWAY, "newTag: 0.1.0", "newTag: 0.1.0 # kept until the audit is over")
    clone.succeed("version", "agentgateway", "0.2.0")
    assert "  newTag: 0.2.0 # kept until the audit is over\n" in (clone.folder / GATEWAY).read_text()


def test_the_same_version_again_changes_nothing(clone: Clone) -> None:
    clone.succeed("version", "agentgateway", COMMIT)
    text = (clone.folder / GATEWAY).read_text()
    assert clone.succeed("version", "agentgateway", COMMIT) == f"dev/agentgateway: has {COMMIT} already\n"
    assert (clone.folder / GATEWAY).read_text() == text


def test_a_commit_that_yaml_takes_for_a_number_stays_a_text(clone: Clone) -> None:
    for version in ("1" * 40, "12e4" + "0" * 36, COMMIT):
        clone.succeed("version", "agentgateway", version)
        assert tag(clone) == version


def test_several_services_at_once(clone: Clone) -> None:
    # A workflow has them in one text.
    clone.succeed("version", "agentgateway application", "mcp-server", COMMIT)
    paths = [version_path("dev", name) for name in ("agentgateway", "application", "mcp-server")]
    assert clone.changed() == dict.fromkeys(paths, (1, 1))


def test_an_unknown_service_is_refused_and_none_is_changed(clone: Clone) -> None:
    said = clone.refuse("version", "agentgateway", "gateway", COMMIT)
    assert said == f"error: unknown service gateway: overlays/dev has versions of {', '.join(sorted(SERVICES))}"
    assert clone.changed() == {}


def test_what_is_no_version_of_an_image_is_refused(clone: Clone) -> None:
    for version in ("latest", "v1.2.3", "1.2", "01.2.3", COMMIT[:12], COMMIT.upper(), "1.2.3\n", ""):
        said = clone.refuse("version", "agentgateway", version)
        assert f"{version!r} is no version of an image" in said
        assert "git rev-parse HEAD" in said
    assert clone.changed() == {}


def test_an_older_commit_is_refused(clone: Clone) -> None:
    older, newer = clone.git("rev-parse", "HEAD~2"), clone.git("rev-parse", "HEAD")
    clone.succeed("version", "agentgateway", newer)
    said = clone.refuse("version", "application", "agentgateway", older)
    assert f"{older} is older than {newer}, which {GATEWAY} has" in said
    assert "revert the commit that raised it" in said
    assert (tag(clone), tag(clone, version_path("dev", "application"))) == (newer, "0.1.0")


def test_a_lower_number_is_refused(clone: Clone) -> None:
    clone.succeed("version", "agentgateway", "0.10.0")
    assert "0.9.0 is older than 0.10.0" in clone.refuse("version", "agentgateway", "0.9.0")


def test_a_file_that_is_not_as_expected_is_named(clone: Clone) -> None:
    clone.replace(GATEWAY, "newTag: 0.1.0", "digest: sha256:0")
    said = clone.refuse("version", "agentgateway", COMMIT)
    assert said == (
        f"error: {GATEWAY} must have, under images:, one entry of name: agentgateway with newName: and newTag:"
    )


def test_outside_a_repository_that_is_said(clone: Clone, tmp_path: Path) -> None:
    elsewhere = Clone(tmp_path / "elsewhere", {"GIT_CEILING_DIRECTORIES": str(tmp_path)})
    elsewhere.folder.mkdir()
    assert "not a git repository" in elsewhere.refuse("version", "agentgateway", COMMIT)


def test_a_push_is_one_commit_on_the_newest_main_and_leaves_the_work_tree_alone(workflow: Clone) -> None:
    behind = workflow.git("rev-parse", "HEAD")
    workflow.write("docs/new.md", "What somebody else pushed meanwhile.\n")
    newest = workflow.commit("Docs", push=True)
    workflow.git("reset", "--quiet", "--hard", behind)
    workflow.write("README.md", "Somebody works on this.\n")
    done = workflow.succeed_json("version", "--push", "agentgateway frontend", COMMIT)
    assert done["services"] == [
        {"service": "agentgateway", "before": "0.1.0", "after": COMMIT},
        {"service": "frontend", "before": "0.1.0", "after": COMMIT},
    ]
    pushed = workflow.remote.git("rev-parse", "main")
    assert done["commit"] == pushed
    assert workflow.remote.git("rev-parse", "main^") == newest
    changed = workflow.remote.changed("main^", "main")
    assert changed == {GATEWAY: (1, 1), version_path("dev", "frontend"): (1, 1)}
    assert workflow.remote.git("log", "-1", "--format=%s%n%an", "main") == (
        f"dev: agentgateway, frontend {COMMIT}\ngithub-actions[bot]"
    )
    assert workflow.git("rev-parse", "HEAD") == behind
    assert workflow.git("status", "--porcelain") == "M README.md"
    assert len(workflow.git("worktree", "list").splitlines()) == 1


def test_a_push_again_makes_no_commit(workflow: Clone) -> None:
    workflow.succeed("version", "--push", "agentgateway", COMMIT)
    main = workflow.remote.git("rev-parse", "main")
    assert workflow.succeed_json("version", "--push", "agentgateway", COMMIT)["commit"] is None
    assert workflow.remote.git("rev-parse", "main") == main


def test_a_push_that_another_one_overtakes_is_made_again_on_top_of_it(workflow: Clone) -> None:
    workflow.write("docs/new.md", "It comes while the version is pushed.\n")
    other = workflow.commit("Docs")
    workflow.git("push", "--quiet", "origin", "HEAD:refs/heads/other")
    workflow.git("reset", "--quiet", "--hard", "origin/main")
    # The remote takes the other push between the moment it told what main is and the moment it takes ours.
    hook = workflow.remote.folder / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\n[ -e overtaken ] && exit 0\ntouch overtaken\ngit update-ref refs/heads/main refs/heads/other\n"
    )
    hook.chmod(0o755)
    workflow.succeed("version", "--push", "agentgateway", COMMIT)
    assert (workflow.remote.folder / "overtaken").exists()
    assert workflow.remote.git("rev-parse", "main^") == other
    assert workflow.remote.changed("main^", "main") == {GATEWAY: (1, 1)}


def test_a_push_that_is_refused_says_why(workflow: Clone) -> None:
    hook = workflow.remote.folder / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\necho "main is protected" >&2\nexit 1\n')
    hook.chmod(0o755)
    said = workflow.refuse("version", "--push", "agentgateway", COMMIT)
    assert "main is protected" in said
    assert len(workflow.git("worktree", "list").splitlines()) == 1


def test_a_push_shows_the_jobs_token_to_github_alone(workflow: Clone, tmp_path: Path) -> None:
    # A git in front of the real one, that writes down what it is given.
    shim = tmp_path / "bin/git"
    shim.parent.mkdir()
    shim.write_text(
        f'#!/bin/sh\necho "arguments: $*" >> {tmp_path}/seen\nenv | grep GIT_CONFIG_ >> {tmp_path}/seen\n'
        f'PATH={os.environ["PATH"]} exec git "$@"\n'
    )
    shim.chmod(0o755)
    workflow.environment.update(
        {"PATH": f"{shim.parent}:{os.environ['PATH']}", "GITHUB_SERVER_URL": "https://github.example.com"}
    )
    workflow.succeed("version", "--push", "agentgateway", COMMIT)
    seen = (tmp_path / "seen").read_text()
    assert "GIT_CONFIG_KEY_0=http.https://github.example.com/.extraheader" in seen
    assert workflow.environment["GITHUB_TOKEN"] not in seen
    arguments = [line for line in seen.splitlines() if line.startswith("arguments:")]
    assert not [line for line in arguments if "basic" in line.lower()]
    assert "extraheader" not in (workflow.folder / ".git/config").read_text()

"""`python -m delivery.promote`: prod gets dev's version files, and nothing else; a pull request says what they do."""

from pathlib import Path

import pytest
import yaml
from tests.helpers.clones import Clone, version_path
from tests.helpers.github import GitHubStandIn

from delivery.images.inputs import SERVICES

pytestmark = pytest.mark.slow

BRANCH = "promote-to-prod"
GATEWAY, APPLICATION = version_path("prod", "agentgateway"), version_path("prod", "application")


def raise_dev(clone: Clone, version: str, *services: str, push: bool = False) -> str:
    """Dev runs another version, as if its images had been pushed; returns the commit that says so."""
    clone.succeed("version", *services, version)
    return clone.commit(f"dev: {', '.join(services)} {version}", push=push)


def same_bytes(clone: Clone, service: str) -> bool:
    dev, prod = (clone.folder / version_path(environment, service) for environment in ("dev", "prod"))
    return dev.read_bytes() == prod.read_bytes()


def test_the_files_that_differ_are_copied_and_nothing_else_changes(clone: Clone) -> None:
    raise_dev(clone, "0.2.0", "agentgateway", "application")
    said = clone.succeed("promote")
    assert said == "prod/agentgateway: 0.1.0 -> 0.2.0\nprod/application: 0.1.0 -> 0.2.0\n"
    assert clone.changed() == {GATEWAY: (1, 1), APPLICATION: (1, 1)}
    assert same_bytes(clone, "agentgateway")
    assert same_bytes(clone, "application")


def test_only_the_service_that_was_named(clone: Clone) -> None:
    raise_dev(clone, "0.2.0", "agentgateway", "application")
    done = clone.succeed_json("promote", "application")
    assert done == {
        "promotions": [{"service": "application", "before": "0.1.0", "after": "0.2.0"}],
        "pull_request": None,
    }
    assert clone.changed() == {APPLICATION: (1, 1)}


def test_again_there_is_nothing_to_promote(clone: Clone) -> None:
    raise_dev(clone, "0.2.0", "agentgateway")
    clone.succeed("promote")
    before = clone.changed()
    assert clone.succeed("promote") == "nothing to promote: prod has the versions of dev\n"
    assert clone.changed() == before


def test_an_unknown_service_is_refused_and_none_is_copied(clone: Clone) -> None:
    raise_dev(clone, "0.2.0", "agentgateway")
    said = clone.refuse("promote", "agentgateway", "gateway")
    assert said.startswith("error: unknown service gateway: overlays/dev has versions of agentgateway, application")
    assert clone.changed() == {}


def test_what_must_not_reach_prod_is_refused_and_none_is_copied(clone: Clone) -> None:
    raise_dev(clone, "0.2.0", "agentgateway")
    path = version_path("dev", "mcp-server")
    text = (clone.folder / path).read_text()
    clone.replace(path, "newTag: 0.1.0", "newTag: try-this")
    assert "'try-this' is no version of an image" in clone.refuse("promote")
    clone.write(path, text.replace("newName: 111122223333.dkr", "newName: 444455556666.dkr"))
    said = clone.refuse("promote")
    assert f"{path} names 444455556666.dkr" in said
    assert "both environments use one registry" in said
    assert clone.changed().keys() == {path}


def test_the_pull_request_changes_prods_version_files_alone_and_tells_what_comes(
    workflow: Clone, github: GitHubStandIn
) -> None:
    workflow.write("services/agentgateway/NOTES.md", "One.\n")
    first = workflow.commit("Gateway: answers @everyone in ```blocks```")
    workflow.succeed("version", "agentgateway", workflow.git("rev-parse", "start"))
    workflow.succeed("promote")
    workflow.commit("Both environments run the same", push=True)
    raise_dev(workflow, first, "agentgateway")
    main = raise_dev(workflow, "0.2.0", "application", push=True)
    workflow.write("README.md", "Somebody works on this.\n")

    github.succeeded = [("ci.yaml", main, "push"), ("ci.yaml", first, "pull_request"), ("promote.yaml", first, "push")]
    said = workflow.refuse("promote", "--pull-request")
    assert said == f"error: agentgateway {first} has no successful run of ci.yaml on main: wait for it, or run it again"
    assert github.writes == []
    github.succeeded.append(("ci.yaml", first, "push"))
    done = workflow.succeed_json("promote", "--pull-request")

    start = workflow.git("rev-parse", "start")
    assert done["promotions"] == [
        {"service": "agentgateway", "before": start, "after": first},
        {"service": "application", "before": "0.1.0", "after": "0.2.0"},
    ]
    (request,) = github.pull_requests.values()
    assert done["pull_request"] == request["html_url"]
    assert (request["head"]["ref"], request["base"]["ref"]) == (BRANCH, "main")
    assert request["title"] == "Promote to prod: agentgateway, application"

    assert workflow.remote.git("rev-parse", "main") == main, "main is as it was"
    assert workflow.remote.git("rev-parse", f"{BRANCH}^") == main
    assert workflow.remote.changed("main", BRANCH) == {GATEWAY: (1, 1), APPLICATION: (1, 1)}
    for service in ("agentgateway", "application"):
        blobs = {
            workflow.remote.git("rev-parse", f"{BRANCH}:{version_path(environment, service)}")
            for environment in ("dev", "prod")
        }
        assert len(blobs) == 1
    assert workflow.git("status", "--porcelain") == "M README.md"

    today = workflow.git("log", "-1", "--format=%cs")
    body = request["body"]
    assert f"| agentgateway | `{start}` | `{first}` | {today} |" in body
    assert f"| application | `0.1.0` | `0.2.0` | {today} |" in body
    # Shown as it is: nobody is called, and nothing ends the block.
    assert f"1 commit to services/agentgateway and services/common\n\n````text\n{first[:7]}" in body
    assert "from 0.1.0 to 0.2.0" in body

    (comment,) = github.comments.values()
    assert comment["issue"] == request["number"]
    images = "111122223333.dkr.ecr.ap-southeast-1.amazonaws.com"
    assert "Rendered manifests of prod" in comment["body"]
    assert "3 changed, 0 added, 0 removed: 3 objects in 2 folders." in comment["body"]
    lines = [line.replace(" ", "") for line in comment["body"].splitlines()]
    assert lines.count(f"-image:{images}/application:0.1.0") == lines.count(f"+image:{images}/application:0.2.0") == 2
    assert "overlays/dev" not in comment["body"]
    assert github.started == [("ci.yaml", BRANCH)], "its checks run, which a job's own push does not start"


def test_the_pull_request_is_brought_up_to_date_and_its_reviews_stay_where_nothing_changed(
    workflow: Clone, github: GitHubStandIn
) -> None:
    raise_dev(workflow, "0.2.0", "agentgateway", push=True)
    workflow.succeed("promote", "--pull-request")
    head, writes = workflow.remote.git("rev-parse", BRANCH), list(github.writes)

    workflow.succeed("promote", "--pull-request")
    assert workflow.remote.git("rev-parse", BRANCH) == head
    assert len(github.started) == 1
    assert [write for write in github.writes[len(writes) :] if "comments" not in write] == []

    raise_dev(workflow, "0.3.0", "agentgateway", "application", push=True)
    workflow.succeed("promote", "--pull-request")
    (request,) = github.pull_requests.values()
    assert request["title"] == "Promote to prod: agentgateway, application"
    assert "`0.3.0`" in request["body"]
    assert len(github.comments) == 1
    assert "agentgateway:0.3.0" in github.comments[1]["body"]
    assert workflow.remote.git("rev-parse", f"{BRANCH}^") == workflow.remote.git("rev-parse", "main")
    assert len(github.started) == 2


def test_without_a_difference_there_is_no_pull_request(workflow: Clone, github: GitHubStandIn, tmp_path: Path) -> None:
    assert workflow.succeed("promote", "--pull-request", "") == "nothing to promote: prod has the versions of dev\n"
    assert github.writes == []
    assert not workflow.remote.git("branch", "--list", BRANCH)
    assert "nothing to promote" in (tmp_path / "summary.md").read_text()


def test_a_promotion_that_does_not_build_is_shown_and_fails(workflow: Clone, github: GitHubStandIn) -> None:
    workflow.write("overlays/prod/frontend/kustomization.yaml", "resources: [nowhere]\n")
    workflow.commit("A folder that is not there", push=True)
    raise_dev(workflow, "0.2.0", "frontend", push=True)
    said = workflow.refuse("promote", "--pull-request")
    assert "https://github.com/example-company/internal-file-processing-system/pull/1 must not be merged" in said
    assert "overlays/prod/frontend does not build" in said
    assert "**`overlays/prod/frontend` does not build.**" in github.comments[1]["body"]


def test_what_github_refuses_is_said_in_its_words(workflow: Clone, github: GitHubStandIn) -> None:
    raise_dev(workflow, "0.2.0", "agentgateway", push=True)
    github.may_write = False
    said = workflow.refuse("promote", "--pull-request")
    assert "GitHub refuses the pull request of promote-to-prod: 403 Resource not accessible by integration" in said
    assert github.token not in said


def test_without_a_token_that_is_said_before_anything_is_pushed(clone: Clone) -> None:
    raise_dev(clone, "0.2.0", "agentgateway", push=True)
    said = clone.refuse("promote", "--pull-request")
    assert said.startswith("error: GITHUB_REPOSITORY and GITHUB_TOKEN must be set")
    assert not clone.remote.git("branch", "--list", BRANCH)


def test_both_environments_start_with_one_registry(clone: Clone) -> None:
    names = {
        (file.parts[-3], yaml.safe_load(file.read_text())["images"][0]["newName"])
        for file in (clone.folder / "overlays").glob("*/*/version/kustomization.yaml")
        if file.parts[-4] in ("dev", "prod")
    }
    assert {service for service, _ in names} == {*SERVICES}
    assert len(names) == len(SERVICES)

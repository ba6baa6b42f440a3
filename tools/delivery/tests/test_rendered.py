"""`python -m delivery.rendered`: what a change means for the cluster, as a comment that GitHub takes; no secrets."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.clones import Clone, version_path
from tests.helpers.github import LIMIT, GitHubStandIn

from delivery.markdown import Section, block, report
from delivery.objects import Change, changes

SECRET = "hunter2-hunter2"
TEXTS = st.text(st.sampled_from("ab`<&~\n \U0001f600") | st.characters(codec="utf-8"), max_size=60)
SECTIONS = st.builds(Section, st.sampled_from(["a", "b"]), TEXTS, TEXTS.map(lambda text: text * 40), st.just("diff"))


def manifest(kind: str, name: str = "one", data: Any = None, field: str = "data") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "file-processing"}, field: data}


def secret(data: dict[str, str], field: str) -> dict[str, Any]:
    return manifest("Secret", data=data, field=field)


def the_change(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Change:
    (found,) = changes([each for each in (before,) if each], [each for each in (after,) if each])
    return found


def test_an_object_is_added_removed_or_changed() -> None:
    old, new = manifest("ConfigMap", data={"a": "1"}), manifest("ConfigMap", data={"a": "2"})
    assert changes([old], [dict(old)]) == []
    assert the_change(old, new).difference.splitlines()[-2:] == ["-  a: '1'", "+  a: '2'"]
    assert [each.kind for each in changes([old], [manifest("ConfigMap", "two")])] == ["removed", "added"]
    assert the_change(None, new).name == "ConfigMap file-processing/one"


def test_an_object_of_a_newer_version_of_its_api_is_the_same_object() -> None:
    old = manifest("HorizontalPodAutoscaler") | {"apiVersion": "autoscaling/v1"}
    assert the_change(old, old | {"apiVersion": "autoscaling/v2"}).kind == "changed"


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_what_a_secret_holds_is_never_shown(field: str) -> None:
    old = secret({"password": SECRET, "user": SECRET + "-u", "old": SECRET + "-o"}, field)
    new = secret({"password": SECRET + "-2", "user": SECRET + "-u", "new": SECRET + "-n"}, field)
    last = secret({"password": SECRET}, field)
    last["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": SECRET}
    for before, after in ((old, new), (None, new), (old, None), (old, last)):
        assert SECRET not in the_change(before, after).difference
    assert old[field]["password"] == SECRET, "the objects stay as they are"
    shown = the_change(old, new).difference
    # That it is another one is seen, and of which key.
    assert "-  password: (hidden)\n" in shown
    assert "+  password: (hidden, another value)" in shown
    assert "   user: (hidden)" in shown
    assert "+  new: (hidden)" in shown


def test_the_password_of_an_address_is_never_shown() -> None:
    new = manifest("ConfigMap", data={"URL": f"postgresql://frontend:{SECRET}@database:5432/langflow"})
    assert "+  URL: postgresql://(hidden)@database:5432/langflow" in the_change(None, new).difference


@given(st.lists(SECTIONS, max_size=8), TEXTS, TEXTS, st.integers(6_000, 12_000))
def test_a_report_is_never_longer_than_github_takes(
    sections: list[Section], title: str, summary: str, limit: int
) -> None:
    assert len(report(title, summary, sections, limit)) <= limit


def test_what_does_not_fit_is_named_and_what_is_cut_says_so() -> None:
    long = "\n".join(f"+ line {number}" for number in range(9_000))
    text = report("Title", "Summary.", [Section("overlays/dev/a", f"changed: {name}", long, "diff") for name in "xyz"])
    assert LIMIT - 5_000 < len(text) <= LIMIT
    assert "… cut here: 9000 lines in all" in text
    assert "**2 more do not fit into a comment**; `python -m delivery.rendered` prints them:" in text
    assert text.endswith("- overlays/dev/a: changed: y\n- overlays/dev/a: changed: z")


@given(TEXTS)
def test_no_text_ends_the_block_that_it_is_shown_in(body: str) -> None:
    lines = block(body, "diff").split("\n")
    fence = lines[0].removesuffix("diff")
    assert lines[-1] == fence
    assert set(fence) == {"`"}
    assert all(fence not in line for line in lines[1:-1])


@pytest.mark.slow
def test_a_version_is_one_object_of_one_folder(clone: Clone) -> None:
    clone.succeed("version", "agentgateway", "0.2.0")
    text = clone.succeed("rendered", "--from", "HEAD")
    assert text.startswith(f"### Rendered manifests: `{clone.git('rev-parse', 'HEAD')[:8]}` → work tree\n")
    assert "\n1 changed, 0 added, 0 removed: 1 object in 1 folder.\n" in text
    assert (
        "#### overlays/dev/agentgateway\n\n<details><summary>changed: Deployment file-processing/agentgateway" in text
    )
    changed = [line for line in text.splitlines() if line.startswith(("+", "-"))]
    image = "111122223333.dkr.ecr.ap-southeast-1.amazonaws.com/agentgateway"
    assert [line[1:].strip() for line in changed] == [f"image: {image}:0.1.0", f"image: {image}:0.2.0"]


@pytest.mark.slow
def test_a_change_of_a_base_is_shown_in_each_environment_that_has_it(clone: Clone) -> None:
    clone.replace("base/agentgateway/kustomization.yaml", "resources:\n", "resources:\n- more.yaml\n")
    clone.write("base/agentgateway/more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n")
    clone.commit("More")
    found = clone.succeed_json("rendered", "--from", "HEAD~1", "--to", "HEAD")
    assert {"overlays/dev/agentgateway", "overlays/prod/agentgateway"} <= found.keys()
    for folder in found.values():
        assert folder == {"error": None, "objects": [{"object": "ConfigMap file-processing/more", "change": "added"}]}
    back = clone.succeed("rendered", "--from", "HEAD", "--to", "HEAD~1", "--environment", "prod")
    assert "0 changed, 0 added, 1 removed" in back
    assert "**Objects are removed.** dev prunes them; in prod they stay until somebody prunes them by hand." in back
    assert "overlays/dev" not in back


@pytest.mark.slow
def test_what_does_not_build_is_shown_in_kustomizes_words_and_fails(workflow: Clone, github: GitHubStandIn) -> None:
    workflow.replace(version_path("dev", "frontend"), "kind: Component", "kind: Compound")
    workflow.environment["GITHUB_REF"] = "refs/pull/7/merge"
    done = workflow.run("rendered", "--from", "HEAD", "--environment", "dev", "--comment")
    assert done.returncode == 1
    assert "**`overlays/dev/frontend` does not build.**" in done.stdout
    assert "Compound" in done.stdout
    assert str(workflow.folder) not in done.stdout
    assert done.stderr.strip().endswith("does not build: overlays/dev/frontend")
    assert [(each["issue"], "does not build" in each["body"]) for each in github.comments.values()] == [(7, True)]


@pytest.mark.slow
def test_a_fork_whose_job_may_not_comment_has_it_in_its_summary(
    workflow: Clone, github: GitHubStandIn, tmp_path: Path
) -> None:
    github.may_write = False
    workflow.environment["GITHUB_REF"] = "refs/pull/7/merge"
    done = workflow.run("rendered", "--from", "HEAD", "--environment", "dev", "--comment")
    assert done.returncode == 0
    assert "warning: this job may not comment on pull request 7; its summary has it" in done.stderr
    assert "Nothing that is deployed changes." in (tmp_path / "summary.md").read_text()


@pytest.mark.slow
def test_a_revision_or_an_environment_that_is_not_there_is_named(clone: Clone) -> None:
    assert "error: no-such-branch names no commit of" in clone.refuse("rendered", "--from", "no-such-branch")
    said = clone.refuse("rendered", "--from", "HEAD", "--environment", "staging")
    assert said.startswith("error: unknown environment staging: there are dev, local, prod")

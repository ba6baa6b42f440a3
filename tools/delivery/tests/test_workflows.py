"""The workflows: clean by their linters; nothing but calls of scripts that are here; rights that AWS's side grants."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.helpers.workflows import FOLDER, JOBS, LOCAL, ROOT, WORKFLOWS, Job, Workflow, callers, taken, variables

from delivery.images.builder import CACHE
from delivery.promote import CHECKS
from infrastructure.policies import Role, roles
from infrastructure.terraform import REGION, environment_plan
from local.kubernetes.tools import tool

USES = re.compile(r"uses: (?P<action>[^@\s]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v[0-9]+\.[0-9]+\.[0-9]+)$")
SCRIPT = "tools/uv run --locked --no-dev --package delivery python -m delivery."
ALL_GREEN = "all-green"
REPOSITORY = "example-company/internal-file-processing-system"
RUN_JOBS = [job for job in JOBS if not job.calls]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Role]:
    """The roles that `environments/shared` makes."""
    return roles(environment_plan("shared", tmp_path_factory.mktemp("shared") / "tree"))


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("zizmor")
    options = ("--offline", "--persona=pedantic", "--no-progress", "--strict-collection", "--format=plain")
    return subprocess.run([program, *options, folder], capture_output=True, text=True, check=False, timeout=60)


def test_the_workflows_of_the_design_are_here() -> None:
    assert {"ci.yaml", "images.yaml", "promote.yaml", "terraform.yaml"} <= {workflow.file for workflow in WORKFLOWS}


@pytest.mark.slow
def test_actionlint_finds_nothing() -> None:
    # Without the linters of other languages that a machine may have: no script is written in the YAML.
    command = [str(tool("actionlint")), "-no-color", "-shellcheck=", "-pyflakes="]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_zizmor_finds_nothing_and_would_find_a_tag(tmp_path: Path) -> None:
    found = zizmor(ROOT / ".github")
    assert found.returncode == 0, found.stdout
    copy = tmp_path / ".github/workflows/ci.yaml"
    copy.parent.mkdir(parents=True)
    copy.write_text(re.sub(r"(actions/checkout@)[0-9a-f]{40} # (v\S+)", r"\1\2", (FOLDER / "ci.yaml").read_text()))
    found = zizmor(tmp_path)
    assert found.returncode != 0
    assert "unpinned-uses" in found.stdout


def test_every_action_is_pinned_by_its_commit_with_its_version_beside_it() -> None:
    lines = [line.strip(" -") for workflow in WORKFLOWS for line in workflow.text.splitlines() if "uses:" in line]
    lines = [line for line in lines if LOCAL not in line]
    assert len(lines) > 10
    assert [line for line in lines if not USES.fullmatch(line)] == []
    pins = {match["action"]: set[tuple[str, str]]() for line in lines if (match := USES.fullmatch(line))}
    for line in lines:
        if match := USES.fullmatch(line):
            pins[match["action"]].add((match["commit"], match["version"]))
    assert [action for action, versions in pins.items() if len(versions) != 1] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.file)
def test_a_workflow_starts_with_no_right_and_does_not_overtake_itself(workflow: Workflow) -> None:
    assert workflow.content["permissions"] == {}
    if list(workflow.events) != ["workflow_call"]:
        concurrency = workflow.content["concurrency"]
        assert concurrency["group"].startswith(workflow.file.removesuffix(".yaml"))
        # Only what nobody waits for any more is broken off: never what pushes or applies.
        assert concurrency.get("cancel-in-progress", "${{ github.event_name == 'pull_request' }}") == (
            "${{ github.event_name == 'pull_request' }}"
        )
    assert not re.search(r"\bsecrets\b", workflow.text), "no secret is kept on GitHub"
    assert "pull_request_target" not in workflow.events


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_a_job_asks_for_the_rights_that_it_needs(job: Job) -> None:
    assert job.permissions or job.name == ALL_GREEN
    assert job.content["name"]
    writes = {right for right, level in job.permissions.items() if level == "write"}
    if job.calls:
        (called,) = (workflow for workflow in WORKFLOWS if workflow.file == job.calls)
        asked = [each.permissions for each in called.jobs]
        assert job.permissions == {right: level for permissions in asked for right, level in permissions.items()}
        return
    assert job.content["runs-on"] == "ubuntu-24.04"
    assert 0 < int(job.content["timeout-minutes"]) <= 120
    if job.name == ALL_GREEN:
        assert job.permissions == {}
        return
    assert ("id-token" in writes) == bool(job.roles)
    assert ("GITHUB_TOKEN" in str(job.steps)) == bool(writes - {"id-token", "attestations"})
    (checkout,) = (step for step in job.steps if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["persist-credentials"] == "false"


def help_of(called: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command says of its options: `called` is its module and, where it has some, its own command."""
    module, *command = called.split()
    name = f"delivery.{module}"
    package = (ROOT / "tools/delivery/src/delivery" / module).is_dir()
    monkeypatch.setattr(sys, "argv", [name, *command, "--help"])
    with pytest.raises(SystemExit):
        importlib.import_module(f"{name}.__main__" if package else name).main()
    return capsys.readouterr().out


def test_every_command_is_one_script_of_this_repository_with_options_that_it_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = [command for job in JOBS if job.workflow.file != CHECKS for command in job.commands]
    assert [command for command in scripts if not command.startswith(SCRIPT)] == []
    checks = [command for job in JOBS if job.workflow.file == CHECKS for command in job.commands]
    tests = 'sudo --preserve-env env "HOME=$HOME" "PATH=$PATH" .ci/run'
    assert checks == ["make check-static", tests, 'test "$RESULTS" = "success success"']
    helps = dict[str, str]()
    for command in scripts:
        assert "\n" not in command
        assert "${{" not in command, "what others write is no code: it comes by the environment"
        assert not set(command) & set(";|&<>`*("), command
        module, *words = shlex.split(command.removeprefix(SCRIPT))
        called = " ".join([module, *(word for word in words if word in ("plan", "apply"))])
        if called not in helps:
            helps[called] = help_of(called, capsys, monkeypatch)
        assert [word for word in words if word.startswith("--") and word not in helps[called]] == [], command
    assert len(helps) >= 7


def test_ci_runs_make_test_and_keeps_what_is_slow_to_make() -> None:
    run = (ROOT / ".ci/run").read_text()
    assert run.rstrip().endswith("exec make test")
    assert re.search(r"^test:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (job,) = (job for job in JOBS if job.workflow.file == CHECKS and job.name == "test")
    (cache,) = (step["with"] for step in job.steps if step.get("uses", "").startswith("actions/cache@"))
    ours = f"~/.cache/{CACHE.name}"
    assert {f"{ours}/*", f"!{ours}/buildah", "~/.cache/uv"} <= set(cache["path"].split())
    for pattern in re.findall(r"'([^']+)'", cache["key"]):
        assert list(ROOT.glob(pattern)), pattern


def test_images_are_made_of_main_alone_and_after_its_tests() -> None:
    (images,) = (workflow for workflow in WORKFLOWS if workflow.file == "images.yaml")
    # No event starts it by itself, so the tests of the same commit have run in the same run.
    assert list(images.events) == ["workflow_call"]
    (caller,) = callers(images)
    assert caller.workflow.file == CHECKS
    assert caller.content["needs"] == ALL_GREEN
    assert caller.content["if"] == "github.ref == 'refs/heads/main' && github.event_name != 'pull_request'"
    assert all("ref" not in step.get("with", {}) for job in images.jobs for step in job.steps)


def test_jobs_of_ci_run_side_by_side_and_end_in_one_that_is_green_only_if_all_are() -> None:
    jobs = {job.name: job for job in JOBS if job.workflow.file == CHECKS and not job.calls}
    last = jobs.pop(ALL_GREEN)
    assert [job.content.get("needs") for job in jobs.values()] == [None] * len(jobs)
    assert set(last.content["needs"]) == set(jobs)
    # Without it, a job whose needs failed is skipped, which a ruleset takes for a success.
    assert last.content["if"] == "${{ !cancelled() }}"
    (step,) = last.steps
    assert step["env"] == {"RESULTS": "${{ join(needs.*.result, ' ') }}"}
    for results, code in ((["success"] * len(jobs), 0), (["success", "failure"], 1), (["skipped", "success"], 1)):
        said = subprocess.run(["bash", "-ec", step["run"]], env={"RESULTS": " ".join(results)}, check=False)
        assert said.returncode == code


def test_ci_can_be_started_by_the_promotion() -> None:
    (checks,) = (workflow for workflow in WORKFLOWS if workflow.file == CHECKS)
    assert "workflow_dispatch" in checks.events


def test_every_path_that_starts_a_workflow_is_here() -> None:
    paths = [
        path
        for workflow in WORKFLOWS
        for options in workflow.events.values()
        for path in (options or {}).get("paths", ())
    ]
    assert len(paths) > 6
    assert [path for path in paths if not list(ROOT.glob(path.removesuffix("/**")))] == []


def test_every_root_of_terraform_is_planned_and_applied_in_the_environment_of_its_name() -> None:
    roots = {folder.name for folder in (ROOT / "infra-terraform/environments").iterdir() if folder.is_dir()}
    (called,) = (workflow for workflow in WORKFLOWS if workflow.file == "terraform-root.yaml")
    assert {caller.content["with"]["root"] for caller in callers(called)} == roots
    assert {caller.name for caller in callers(called)} == roots
    order = {caller.name: caller.content.get("needs") for caller in callers(called)}
    assert order == {"shared": None, "dev": "shared", "prod": "dev"}
    (apply,) = (job for job in called.jobs if "apply" in job.name)
    assert apply.content["environment"] == "${{ inputs.root }}"
    assert apply.content["needs"] == "plan"
    assert apply.content["if"] == "github.ref == 'refs/heads/main' && needs.plan.outputs.changes == 'true'"
    assert [job for job in RUN_JOBS if any(" apply " in command for command in job.commands)] == [apply]


@pytest.mark.slow
def test_a_role_trusts_exactly_the_runs_that_take_it(known: dict[str, Role]) -> None:
    asking: dict[str, set[str]] = {}
    for job in JOBS:
        for role, ends in taken(job):
            asking.setdefault(role, set()).update(ends)
    assert asking == {
        "github-push-images": {"ref:refs/heads/main"},
        "github-promote-images": {"ref:refs/heads/main"},
        "github-terraform-plan": {"ref:refs/heads/main"},
        "github-terraform-preview": {"pull_request"},
        "github-terraform-apply": {"environment:shared", "environment:dev", "environment:prod"},
    }
    assert asking.keys() == known.keys()
    for name, ends in asking.items():
        (statement,) = known[name].trust["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert statement["Condition"].keys() == {"StringEquals"}
        condition = statement["Condition"]["StringEquals"]
        assert condition["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
        trusted = condition["token.actions.githubusercontent.com:sub"]
        trusted = {trusted} if isinstance(trusted, str) else set(trusted)
        names = (REPOSITORY, "example-company@123456/internal-file-processing-system@456789")
        assert trusted == {f"repo:{name}:{end}" for name in names for end in ends}


def test_the_region_and_the_repository_are_those_of_the_infrastructure() -> None:
    regions = [step["with"]["aws-region"] for job in JOBS for step in job.steps if "role-to-assume" in str(step)]
    assert set(regions) == {REGION}
    assert f'"{REPOSITORY}"' in (ROOT / "infra-terraform/environments/shared/main.tf").read_text()


def test_what_is_set_on_github_by_hand_is_in_the_readme() -> None:
    readme = (ROOT / "tools/delivery/README.md").read_text()
    used = {name for workflow in WORKFLOWS for name in variables(workflow.text)}
    assert used == {"TERRAFORM_ACCOUNTS", "TERRAFORM_STATE_BUCKET"}
    assert [name for name in used if f"`{name}`" not in readme] == []


def test_images_go_to_a_repository_that_exists() -> None:
    shared = (ROOT / "infra-terraform/environments/shared/main.tf").read_text()
    assert 'fileset("${path.root}/../../../services", "*/Dockerfile")' in shared
    made = {file.parent.name for file in ROOT.glob("services/*/Dockerfile")}
    files = list((ROOT / "overlays/dev").glob("*/version/kustomization.yaml"))
    assert {yaml.safe_load(file.read_text())["images"][0]["newName"].partition("/")[2] for file in files} == made

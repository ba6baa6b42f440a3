"""The workflows of .github, as data: jobs, steps, and by which events they run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github/workflows"
LOCAL = "./.github/workflows/"
BY_EVENT = re.compile(
    r"(?P<start>[a-z-]+)\$\{\{ github\.event_name == '(?P<event>[a-z_]+)' "
    r"&& '(?P<then>\w+)' \|\| '(?P<otherwise>\w+)' \}\}"
)


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        content: As it is in the file; every value is a text.
    """

    workflow: "Workflow"
    name: str
    content: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.workflow.file}: {self.name}"

    @property
    def permissions(self) -> dict[str, str]:
        return dict(self.content.get("permissions") or {})

    @property
    def calls(self) -> str | None:
        """The file of the workflow of this repository that it calls."""
        called = self.content.get("uses")
        return str(called).removeprefix(LOCAL) if called else None

    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self.content.get("steps") or ())

    @property
    def commands(self) -> list[str]:
        return [step["run"] for step in self.steps if "run" in step]

    @property
    def roles(self) -> list[str]:
        """Names of the AWS roles that it takes."""
        arns = (step.get("with", {}).get("role-to-assume") for step in self.steps)
        return [arn.partition(":role/")[2] for arn in arns if arn]


@dataclass(frozen=True)
class Workflow:
    """One file."""

    file: str

    @cached_property
    def content(self) -> dict[str, Any]:
        # It makes texts only, so that `on` is no truth value.
        loaded = yaml.load(self.text, yaml.BaseLoader)  # noqa: S506
        assert isinstance(loaded, dict)
        return loaded

    @property
    def text(self) -> str:
        return (FOLDER / self.file).read_text()

    @property
    def events(self) -> dict[str, Any]:
        return dict(self.content["on"])

    @property
    def jobs(self) -> list[Job]:
        return [Job(self, name, content) for name, content in self.content["jobs"].items()]


WORKFLOWS = [Workflow(file.name) for file in sorted(FOLDER.iterdir())]
JOBS = [job for workflow in WORKFLOWS for job in workflow.jobs]


def callers(workflow: Workflow) -> list[Job]:
    """The jobs that call a workflow."""
    return [job for job in JOBS if job.calls == workflow.file]


def subjects(job: Job) -> set[str]:
    """How the subject ends of the tokens that GitHub gives a job: by its environment, else by event or branch.

    https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims
    """
    asking = callers(job.workflow)
    if environment := job.content.get("environment"):
        if environment == "${{ inputs.root }}":
            return {f"environment:{caller.content['with']['root']}" for caller in asking}
        return {f"environment:{environment}"}
    found = set()
    for runs in asking or [job]:
        for event, options in runs.workflow.events.items():
            if not _runs_for(event, runs.content.get("if", "")):
                continue
            if event == "push":
                found |= {f"ref:refs/heads/{branch}" for branch in options["branches"]}
            elif event == "workflow_dispatch":
                found.add("ref:refs/heads/main")  # of other branches, no role is given
            elif event == "pull_request":
                found.add("pull_request")
            else:
                raise AssertionError(f"{job}: what is the subject of {event}?")
    return found


def _runs_for(event: str, condition: str) -> bool:
    """Whether a job runs for an event; a condition that could be true by another of its parts excludes none."""
    if "||" in condition:
        return True
    compared = re.findall(r"github\.event_name (==|!=) '([a-z_]+)'", condition)
    return all((event == name) == (operator == "==") for operator, name in compared)


def taken(job: Job) -> Iterator[tuple[str, set[str]]]:
    """Each AWS role that a job takes, with the ends of the subjects of the runs that take it."""
    for role in job.roles:
        found = subjects(job)
        if choice := BY_EVENT.fullmatch(role):
            yield choice["start"] + choice["then"], found & {choice["event"]}
            yield choice["start"] + choice["otherwise"], found - {choice["event"]}
        else:
            yield role, found


def variables(text: str) -> Iterator[str]:
    """The names of the repository's variables that a text uses."""
    yield from re.findall(r"\bvars\.([A-Z_]+)", text)

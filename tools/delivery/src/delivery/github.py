"""GitHub, as a workflow meets it: the repository, its pull requests and their comments."""

import os
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from github import Auth, Github, GithubException
from github.PullRequest import PullRequest
from github.Repository import Repository as Remote

from delivery.errors import DeliveryError
from delivery.markdown import LIMIT, cut

SUMMARY_BYTES = 1024 * 1024
"""What the summary of a step may have in all."""
READ_ONLY = 403
PULL_REQUEST_REF = re.compile(r"refs/pull/([0-9]+)/(?:merge|head)")


class GitHub:
    """The repository that a workflow runs for, by the variables that GitHub gives each step, and the job's token."""

    def __init__(self) -> None:
        """Raise DeliveryError where a variable is missing."""
        names = ("GITHUB_REPOSITORY", "GITHUB_TOKEN")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise DeliveryError(
                f"{' and '.join(missing)} must be set: owner/name and a token. A workflow's step has "
                "GITHUB_REPOSITORY, and GITHUB_TOKEN by env: GITHUB_TOKEN: ${{ github.token }}"
            )
        self.name = os.environ["GITHUB_REPOSITORY"]

    @cached_property
    def _remote(self) -> Remote:
        api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        client = Github(base_url=api, auth=Auth.Token(os.environ["GITHUB_TOKEN"]), timeout=30, retry=3)
        return client.get_repo(self.name, lazy=True)

    def open_pull_request(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request, or give the one that is open for the branch this title and body."""
        try:
            head = f"{self.name.partition('/')[0]}:{branch}"
            for found in self._remote.get_pulls(state="open", head=head, base=base):
                if (found.title, found.body) != (title, body):
                    found.edit(title=title, body=body)
                return found
            return self._remote.create_pull(base=base, head=branch, title=title, body=body)
        except GithubException as error:
            raise self._refused(f"the pull request of {branch}", error) from None

    def comment(self, number: int, about: str, text: str) -> None:
        """Say something on a pull request: the comment that is there about the same matter is replaced.

        In a workflow the step's summary says it too; a fork's pull request, whose job may not write, has only that.
        """
        mark = f"<!-- {about} -->\n"
        body = mark + cut(text, LIMIT - len(mark))
        summarize(text)
        try:
            issue = self._remote.get_issue(number)
            for found in issue.get_comments():
                if (found.body or "").startswith(mark):
                    if found.body != body:
                        found.edit(body)
                    return
            issue.create_comment(body)
        except GithubException as error:
            if error.status != READ_ONLY:
                raise self._refused(f"a comment on pull request {number}", error) from None
            print(f"warning: this job may not comment on pull request {number}; its summary has it", file=sys.stderr)

    def start_workflow(self, file: str, branch: str) -> None:
        """Run a workflow for a branch: what a job's token pushes starts none by itself."""
        try:
            started = self._remote.get_workflow(file).create_dispatch(branch, throw=True)
        except GithubException as error:
            raise self._refused(f"a run of {file} for {branch}", error) from None
        if not started:
            raise DeliveryError(f"{self.name}: GitHub did not start {file} for {branch}")

    def succeeded(self, file: str, branch: str, commit: str) -> bool:
        """Whether a workflow succeeded for this commit of a branch; what ran for a pull request does not count."""
        try:
            runs = self._remote.get_workflow(file).get_runs(branch=branch, head_sha=commit, status="success")
            return any(each.event in ("push", "workflow_dispatch") for each in runs)
        except GithubException as error:
            raise self._refused(f"the runs of {file} for {commit}", error) from None

    def _refused(self, what: str, error: GithubException) -> DeliveryError:
        said: Any = error.data.get("message") if isinstance(error.data, dict) else None
        return DeliveryError(
            f"{self.name}: GitHub refuses {what}: {error.status} {said or error.message or ''}".strip()
        )


def pull_request_number() -> int | None:
    """The pull request that this workflow's run is for; none for a run of another event."""
    found = PULL_REQUEST_REF.fullmatch(os.environ.get("GITHUB_REF", ""))
    return int(found[1]) if found else None


def tell(about: str, text: str) -> None:
    """Say something where those who started the run look: on its pull request, else in its summary alone."""
    number = pull_request_number()
    if number:
        GitHub().comment(number, about, text)
    else:
        summarize(text)


def summarize(text: str) -> None:
    """Put Markdown on the page of the workflow's run, if this is one."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if file:
        with Path(file).open("a") as summary:
            summary.write(cut(text, SUMMARY_BYTES // 4) + "\n\n")


def output(name: str, value: str) -> None:
    """Give the workflow's next steps and jobs a value of one line, if this is one."""
    file = os.environ.get("GITHUB_OUTPUT")
    if file:
        with Path(file).open("a") as outputs:
            outputs.write(f"{name}={value}\n")

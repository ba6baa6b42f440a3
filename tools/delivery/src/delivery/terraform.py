"""`python -m delivery.terraform plan|apply ROOT`: says what would change; does that and nothing else."""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from delivery.errors import DeliveryError, run
from delivery.git import Repository
from delivery.github import output, summarize, tell
from delivery.markdown import LIMIT, Section, report

BUCKET = "TERRAFORM_STATE_BUCKET"
ACCOUNTS = "TERRAFORM_ACCOUNTS"
NO_CHANGE, CHANGES = 0, 2  # `terraform plan -detailed-exitcode`
IDLE = (["no-op"], ["read"])
LOCK_TIMEOUT = "5m"


class TerraformFailed(DeliveryError):
    """A command of Terraform failed; the text is what it said."""


@dataclass(frozen=True)
class Plan:
    """What Terraform would do.

    Attributes:
        text: As Terraform shows it to people, sensitive values hidden.
        actions: (address, what is done: `create`, `update`, `delete`, `replace`), in Terraform's order.
        digest: The same for plans that do the same, whenever they are made.
    """

    root: str
    text: str
    actions: list[tuple[str, str]]
    digest: str

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.digest)

    @property
    def markdown(self) -> str:
        """For a comment: what is lost first, then all, as far as GitHub takes it."""
        done = [action for _, action in self.actions]
        title = f"Terraform: {self.root}"
        if not self.changes:
            return report(title, "Nothing to change.", [])
        counts = ", ".join(f"{done.count(action)} to {action}" for action in ("create", "update", "replace", "delete"))
        lost = [f"- `{address}` ({action})" for address, action in self.actions if action in ("delete", "replace")]
        warning = "\n\n**What is there now goes away:**\n\n" + "\n".join(lost) if lost else ""
        return report(title, f"{counts}.{warning}", [Section("Plan", "all of it", self.text, "text")], LIMIT - 100)


class Root:
    """A folder of `infra-terraform/environments`, with Terraform initialised in it."""

    def __init__(self, repository: Repository, name: str) -> None:
        """Raise DeliveryError where there is no such root, or what it needs is not set."""
        parent = repository.folder / "infra-terraform/environments"
        known = sorted(folder.name for folder in parent.iterdir() if (folder / "versions.tf").is_file())
        if name not in known:
            raise DeliveryError(f"unknown root {name}: infra-terraform/environments has {', '.join(known)}")
        self.name = name
        self.folder = parent / name
        self._environment = {**os.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", **_account(name)}
        bucket = os.environ.get(BUCKET)
        if not bucket:
            raise DeliveryError(f"{BUCKET} must be set: the bucket that infra-terraform/state made")
        self._terraform("init", "-no-color", "-lockfile=readonly", f"-backend-config=bucket={bucket}")

    def plan(self, file: Path, *, lock: bool) -> Plan:
        """Plan, and keep the plan in `file`, which holds secrets."""
        locking = f"-lock-timeout={LOCK_TIMEOUT}" if lock else "-lock=false"
        self._terraform(
            "plan", "-no-color", "-detailed-exitcode", locking, f"-out={file}", expected=(NO_CHANGE, CHANGES)
        )
        shown = json.loads(self._terraform("show", "-json", str(file)))
        text = self._terraform("show", "-no-color", str(file)).strip()
        changes = [each for each in shown.get("resource_changes", []) if each["change"]["actions"] not in IDLE]
        outputs = {
            name: change for name, change in shown.get("output_changes", {}).items() if change["actions"] != ["no-op"]
        }
        essence = [{"address": each["address"], **each["change"]} for each in changes]
        digest = hashlib.sha256(json.dumps([essence, outputs], sort_keys=True).encode()).hexdigest()
        actions = [(each["address"], _action(each["change"]["actions"])) for each in changes]
        return Plan(self.name, text, actions, digest if changes or outputs else "")

    def apply(self, file: Path) -> None:
        """Apply a plan, saying on standard error what happens."""
        self._terraform("apply", "-no-color", f"-lock-timeout={LOCK_TIMEOUT}", str(file))

    def _terraform(self, *arguments: str, expected: tuple[int, ...] = (0,)) -> str:
        """Run Terraform; its progress goes to standard error, except of `show`, which tells what is returned."""
        command = ["terraform", f"-chdir={self.folder}", *arguments]
        said: list[str] = []
        try:
            with subprocess.Popen(
                command,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
            ) as process:
                for line in process.stdout or ():
                    said.append(line)
                    if arguments[0] != "show":
                        sys.stderr.write(line)
        except FileNotFoundError:
            raise TerraformFailed("terraform is missing: install it, version 1.11 or newer") from None
        if process.returncode not in expected:
            raise TerraformFailed(f"terraform {arguments[0]} failed for {self.name}:\n{''.join(said).strip()}")
        return "".join(said)


def _action(actions: list[str]) -> str:
    """One word; to replace is to delete and to create, in either order."""
    return "replace" if len(actions) > 1 else actions[0]


def _account(name: str) -> dict[str, str]:
    """What is of the account: from one variable for all roots, where there is one, or as each root has it in a file."""
    text = os.environ.get(ACCOUNTS)
    if not text:
        return {}
    try:
        account = json.loads(text)[name]
    except (ValueError, KeyError, TypeError):
        raise DeliveryError(
            f'{ACCOUNTS} must be JSON with the account of each root: {{"{name}": {{"id": …}}, …}}'
        ) from None
    return {"TF_VAR_account": json.dumps(account)}


def plan(root: Root, *, comment: bool, lock: bool) -> Plan:
    """Plan, and say it in a workflow, with a comment or without."""
    with tempfile.TemporaryDirectory() as folder:
        made = root.plan(Path(folder) / "plan.tfplan", lock=lock)
    _say(root.name, made.markdown, comment=comment)
    output("changes", json.dumps(made.changes))
    output("digest", made.digest)
    return made


def apply(root: Root, expected: str) -> Plan:
    """Plan again, and apply that if it does what the plan of that digest did."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.tfplan"
        made = root.plan(file, lock=True)
        if made.digest != expected:
            summarize(made.markdown)
            raise DeliveryError(
                f"{root.name}: what would be done is not what was approved: code, variables or AWS have changed "
                f"(now {made.digest or 'nothing to change'}). Look at the plan above, and start again from a plan"
            )
        if made.changes:
            root.apply(file)
    return made


def _say(name: str, text: str, *, comment: bool) -> None:
    if comment:
        tell(f"terraform {name}", text)
    else:
        summarize(text)


def main() -> int:
    """Plan or apply one root."""
    parser = argparse.ArgumentParser(
        prog="python -m delivery.terraform",
        description=f"Plans and applies a root of infra-terraform/environments. {BUCKET} names the state's bucket, "
        f"{ACCOUNTS} is JSON with the account of each root, unless each has account.auto.tfvars.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan", help="say what would change")
    planning.add_argument("--comment", action="store_true", help="in a workflow: say it on the run's pull request too")
    planning.add_argument("--no-lock", action="store_true", help="for who may only read the state")
    applying = commands.add_parser("apply", help="do it")
    applying.add_argument("--expect", required=True, metavar="DIGEST", help="of the plan that was approved")
    for command in (planning, applying):
        command.add_argument("root", metavar="ROOT", help="shared, dev or prod")
    arguments = parser.parse_args()
    repository = Repository.here()
    if arguments.command == "apply":
        root = Root(repository, arguments.root)
        made = apply(root, arguments.expect)
        print(f"{root.name}: {f'{len(made.actions)} changes applied' if made.changes else 'nothing to change'}")
        return 0
    try:
        made = plan(Root(repository, arguments.root), comment=arguments.comment, lock=not arguments.no_lock)
    except TerraformFailed as error:
        said = Section("What Terraform said", "all of it", str(error), "text")
        told = report(f"Terraform: {arguments.root}", "**The plan failed.**", [said], LIMIT - 100)
        _say(arguments.root, told, comment=arguments.comment)
        raise
    print(made.text)
    print(f"\ndigest: {made.digest or 'none, nothing to change'}")
    return 0


if __name__ == "__main__":
    run(main)

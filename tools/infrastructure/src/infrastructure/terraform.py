"""Terraform in a work copy of the tree: no account, no state of anyone's, nothing written where people work."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).parents[4]
TREE: Final = "infra-terraform"
DEPARTMENTS: Final = "base/departments"
DOCKERFILES: Final = "services/*/Dockerfile"
"""Each is of a service that has a repository for images."""

ACCOUNT_ID: Final = "111122223333"
REGION: Final = "ap-southeast-1"
ACCOUNT: Final[Mapping[str, Any]] = {
    "id": ACCOUNT_ID,
    "domain": "example.com",
    "hosted_zone_id": "Z0123456789ABCDEFGHIJ",
    "alert_emails": ["platform@example.com"],
    "admin_role_arns": [f"arn:aws:iam::{ACCOUNT_ID}:role/platform-engineers"],
    "api_cidrs": ["203.0.113.0/24"],
    "customer_gateway_ip": "198.51.100.7",
    "repository_ids": {"owner": 123456, "repository": 456789},
}
"""An account as it could be; addresses and names are those that are kept for documentation."""

WITHOUT_ACCOUNT: Final = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  allowed_account_ids         = null
}
"""
AGAINST_STAND_IN: Final = """
provider "aws" {
  skip_metadata_api_check = true
  s3_use_path_style       = true
  max_retries             = 3
}
"""
LOCAL_STATE: Final = 'terraform {\n  backend "local" {}\n}\n'
FILESYSTEM_MIRROR: Final = re.compile(r'\bfilesystem_mirror\s*\{[^}]*?\bpath\s*=\s*"([^"]+)"')
GRAPH_EDGE: Final = re.compile(r'^\s*"([^"]+)" -> "([^"]+)";$', re.MULTILINE)
FAKE_CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": REGION}


class TerraformFailed(Exception):
    """A command of Terraform ended with an error; the text is what it said."""


def cache() -> Path:
    """This project's folder in the user's cache."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "internal-file-processing-system"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One process at a time: what the others wait for is in the cache when it is their turn."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def provider_mirrors() -> list[Path]:
    """Folders that hold unpacked providers on this machine; Terraform's registry is asked for what they lack.

    Those that the user's CLI configuration names (TF_CLI_CONFIG_FILE, else ~/.terraformrc); where there is none, those
    in which Terraform looks by itself, and add-on packages' (/opt). Last, what this project built.
    """
    configuration = Path(os.environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")
    if configuration.is_file():
        places = [Path(found) for found in FILESYSTEM_MIRROR.findall(configuration.read_text())]
    else:
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        data = [os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share", *shared.split(":")]
        implied = [Path.home() / ".terraform.d/plugins", *(Path(folder) / "terraform/plugins" for folder in data)]
        places = [*implied, *(found.parent for found in sorted(Path("/opt").glob("*/registry.terraform.io")))]
    return [place for place in (*places, cache() / "terraform-plugins") if place.is_dir()]


def cli_configuration(mirrors: Sequence[Path]) -> str:
    """The CLI configuration: these mirrors first, and what must come from the registry kept for the next time.

    Terraform removes and makes a cache's entry at each `init` without a lock file; beside another run that is an
    error. So there is no cache where a mirror has the large provider already.
    """
    found = sorted(
        {f"{provider.parent.name}/{provider.name}" for mirror in mirrors for provider in mirror.glob("*/*/*")}
    )
    blocks = [f"  filesystem_mirror {{\n    path = {json.dumps(str(mirror))}\n  }}" for mirror in mirrors]
    direct = f"  direct {{\n    exclude = {json.dumps(found)}\n  }}"
    lines = ["disable_checkpoint = true"]
    if "hashicorp/aws" not in found:
        plugin_cache = cache() / "terraform-plugin-cache"
        plugin_cache.mkdir(exist_ok=True)
        lines.append(f"plugin_cache_dir = {json.dumps(str(plugin_cache))}")
    return "\n".join((*lines, "provider_installation {", *blocks, direct, "}", ""))


def source_hash(override: str = "") -> str:
    """One value for the content of the tree, and of what is planned for: equal content gives equal plans."""
    digest = hashlib.sha256(json.dumps(ACCOUNT).encode() + override.encode())
    digest.update(repr(sorted(REPOSITORY.glob(DOCKERFILES))).encode())
    for file in sorted(file for folder in (TREE, DEPARTMENTS) for file in (REPOSITORY / folder).rglob("*")):
        if file.suffix in {".tf", ".hcl", ".json", ".yaml"} and ".terraform" not in file.parts:
            digest.update(str(file.relative_to(REPOSITORY)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


class Workspace:
    """A work copy in which Terraform runs."""

    def __init__(self, folder: Path, *, endpoint: str | None = None) -> None:
        """Copy the tree into `folder`. `endpoint` is the URL of a stand-in for AWS; none is asked without it."""
        self.folder = folder
        ignored = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.auto.tfvars*")
        for part in (TREE, DEPARTMENTS):
            shutil.copytree(REPOSITORY / part, folder / part, ignore=ignored, dirs_exist_ok=True)
        for file in REPOSITORY.glob(DOCKERFILES):
            copied = folder / file.relative_to(REPOSITORY)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copied)
        configuration = folder / "terraform.rc"
        configuration.write_text(cli_configuration(provider_mirrors()))
        # What the caller's shell says about Terraform or AWS must reach neither.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        self.environment = {
            **kept,
            **FAKE_CREDENTIALS,
            "TF_CLI_CONFIG_FILE": str(configuration),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }
        self.provider = AGAINST_STAND_IN if endpoint else WITHOUT_ACCOUNT
        if endpoint:
            self.environment["AWS_ENDPOINT_URL"] = endpoint

    def path(self, root: str) -> Path:
        """The folder of a root or module, by its name below `infra-terraform` (`environments/dev`)."""
        return self.folder / TREE / root

    def run(self, root: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Terraform in a folder; raises TerraformFailed with its own words unless `check` is off."""
        command = ["nice", "-n", "10", "terraform", *arguments]
        done = subprocess.run(
            command, cwd=self.path(root), env=self.environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise TerraformFailed(f"terraform {' '.join(arguments)} in {root}:\n{done.stdout}{done.stderr}")
        return done

    def detach(self, root: str) -> None:
        """Let a root need no account and keep its state beside it, by override files; everything else stays."""
        folder = self.path(root)
        (folder / "account_override.tf").write_text(self.provider)
        (folder / "state_override.tf").write_text(LOCAL_STATE)

    def init(self, root: str) -> None:
        """Install modules and providers, at the versions of the root's lock file.

        One process at a time: Terraform's plugin cache is not safe for two `init` at once (Terraform's page "CLI
        configuration", "Provider Plugin Cache").
        """
        with alone("terraform-plugin-cache"):
            self.run(root, "init", "-no-color")

    def write_variables(self, root: str, variables: Mapping[str, Any]) -> None:
        """Give a root its variables, as a person does who keeps them in a file of their own."""
        (self.path(root) / "account.auto.tfvars.json").write_text(json.dumps(variables))

    def dependencies(self, root: str) -> dict[str, set[str]]:
        """What each resource waits for, directly or not, as Terraform's own graph has it; by address without keys."""
        drawn = self.run(root, "graph").stdout
        next_ones: dict[str, set[str]] = {}
        for source, target in GRAPH_EDGE.findall(drawn):
            next_ones.setdefault(source, set()).add(target)
        found: dict[str, set[str]] = {}
        for start in next_ones:
            waiting, seen = [start], set[str]()
            while waiting:
                new = next_ones.get(waiting.pop(), set()) - seen
                seen |= new
                waiting.extend(new)
            found[start] = seen
        return found

    def plan(self, root: str, *arguments: str) -> dict[str, Any]:
        """Plan, and return the plan as `terraform show -json` writes it, with the warnings added under `warnings`."""
        done = self.run(root, "plan", "-json", "-out=plan.tfplan", *arguments)
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        shown: dict[str, Any] = json.loads(self.run(root, "show", "-json", "plan.tfplan").stdout)
        shown["warnings"] = [message["diagnostic"] for message in messages if message["@level"] == "warn"]
        return shown


def environment_plan(name: str, folder: Path, override: str = "") -> dict[str, Any]:
    """The plan of `environments/<name>` as if nothing existed yet; kept in the cache while no source changes.

    `override` is Terraform that replaces arguments of the root, as an override file does.
    """
    kept = cache() / "plans" / f"{name}-{source_hash(override)}.json"
    if not kept.is_file():
        root = f"environments/{name}"
        workspace = Workspace(folder)
        workspace.detach(root)
        workspace.write_variables(root, {"account": ACCOUNT})
        (workspace.path(root) / "values_override.tf").write_text(override)
        workspace.init(root)
        plan = workspace.plan(root)
        kept.parent.mkdir(exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(plan))
        partial.replace(kept)
    loaded: dict[str, Any] = json.loads(kept.read_text())
    return loaded

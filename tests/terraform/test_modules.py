"""Every module by itself: formatted, valid, linted, scanned, documented, and what its own tests say."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from infrastructure.terraform import REPOSITORY, Workspace, alone, cache
from local.kubernetes.tools import tool

pytestmark = pytest.mark.slow

TREE: Final = REPOSITORY / "infra-terraform"
MODULES: Final = sorted(path.name for path in (TREE / "modules").iterdir() if path.is_dir())
TESTED: Final = [name for name in MODULES if list((TREE / "modules" / name / "tests").glob("*.tftest.hcl"))]
CHECKOV: Final = "checkov==3.3.30"

REFUSALS: Final = """
provider "aws" {
  region = "ap-southeast-1"
}

module "network" {
  source      = "../../modules/network"
  environment = "dev"
  account_id  = "111122223333"
  region      = "ap-southeast-1"
  zones       = ["ap-southeast-1a"]
  node_zones  = ["ap-southeast-1a"]
}

module "cluster" {
  source                   = "../../modules/cluster"
  environment              = "dev"
  account_id               = "111122223333"
  region                   = "ap-southeast-1"
  kubernetes_version       = "1.35"
  node_release_version     = "1.35.6-20260714"
  control_plane_subnet_ids = ["subnet-0a", "subnet-0b"]
  node_subnet_ids          = { ap-southeast-1a = "subnet-1a" }
  node_group               = { instance_types = ["t3.large", "t3a.large"], max = 11 }
  admin_role_arns          = []
  addon_versions = {
    amazon-cloudwatch-observability = "latest"
    coredns                         = "v1.14.2-eksbuild.4"
    eks-pod-identity-agent          = "v1.3.10-eksbuild.3"
    kube-proxy                      = "v1.35.3-eksbuild.13"
    metrics-server                  = "v0.8.1-eksbuild.6"
    vpc-cni                         = "v1.22.4-eksbuild.3"
  }
}

module "registry" {
  source       = "../../modules/registry"
  account_id   = "1"
  region       = "ap-southeast-1"
  repositories = ["Application"]
}

module "registry_of_nothing" {
  source       = "../../modules/registry"
  account_id   = "111122223333"
  region       = "ap-southeast-1"
  repositories = []
}
"""


@pytest.fixture(scope="module")
def initialised(workspace: Workspace) -> Workspace:
    """The provider, installed once for all modules that need nothing else."""
    workspace.init("modules/network")
    return workspace


def test_terraform_is_formatted(workspace: Workspace) -> None:
    done = workspace.run(".", "fmt", "-check", "-recursive", "-diff", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_and_its_example_is_valid_without_a_warning(workspace: Workspace) -> None:
    root = workspace.path("environments/examples")
    root.mkdir()
    calls = [f'module "{name}" {{\n  source = "../../modules/{name}/examples/basic"\n}}\n' for name in MODULES]
    (root / "main.tf").write_text("".join(calls))
    workspace.init("environments/examples")
    said = json.loads(workspace.run("environments/examples", "validate", "-json", check=False).stdout)
    assert said["valid"], said["diagnostics"]
    assert said["diagnostics"] == []


def test_every_module_has_tests_of_its_plan() -> None:
    # The platform is tested as the environments that it makes.
    assert sorted({*TESTED, "platform"}) == MODULES


@pytest.mark.parametrize("name", TESTED)
def test_a_module_does_what_its_own_tests_say(initialised: Workspace, name: str) -> None:
    module = f"modules/{name}"
    lock = initialised.path("modules/network") / ".terraform.lock.hcl"
    if name != "network":
        shutil.copy(lock, initialised.path(module))
        (initialised.path(module) / ".terraform").symlink_to(initialised.path("modules/network") / ".terraform")
    done = initialised.run(module, "test", "-json", check=False)
    messages: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    problems = [message["@message"] for message in messages if message["@level"] == "error"]
    assert done.returncode == 0, problems
    summary = next(message["test_summary"] for message in messages if message["type"] == "test_summary")
    assert summary["passed"] > 0
    assert summary["failed"] == summary["errored"] == summary["skipped"] == 0
    print(f"{name}: {summary['passed']} runs")


def test_a_wrong_value_is_refused_in_words_that_say_the_rule(workspace: Workspace) -> None:
    root = workspace.path("environments/refusals")
    root.mkdir()
    (root / "main.tf").write_text(REFUSALS)
    workspace.detach("environments/refusals")
    workspace.init("environments/refusals")
    done = workspace.run("environments/refusals", "plan", "-json", check=False)
    assert done.returncode == 1
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    told = " ".join(message["diagnostic"]["detail"] for message in said if message["@level"] == "error")
    for rule in (
        "zones must name at least two availability zones",
        "node_group sizes must satisfy 1 <= min <= desired <= max <= 10",
        "without one nobody could enter the cluster",
        "account_id must be the 12 digits of an AWS account",
        "addon_versions must be versions of EKS add-ons",
        "repositories must be named as their services",
        "repositories must not be empty",
    ):
        assert rule in told


def test_the_linter_finds_nothing(workspace: Workspace) -> None:
    command = [str(tool("tflint")), "--recursive", f"--config={TREE / '.tflint.hcl'}", "--format=json"]
    done = subprocess.run(
        command, cwd=TREE, env=workspace.environment, capture_output=True, text=True, timeout=120, check=False
    )
    said = json.loads(done.stdout)
    # An example is a call as a reader would write it, not a module.
    issues = [
        f"{issue['range']['filename']}:{issue['range']['start']['line']} {issue['message']}"
        for issue in said["issues"]
        if "/examples/" not in issue["range"]["filename"]
    ]
    assert said["errors"] == []
    assert issues == []


def checkov() -> Path:
    """The scanner's program, in a virtual environment of its own in the user's cache: its packages suit no other."""
    home = cache() / CHECKOV.replace("==", "-")
    with alone("checkov"):
        if not (home / "installed").exists():
            uv = str(REPOSITORY / "tools/uv")
            subprocess.run([uv, "venv", "--quiet", "--clear", str(home)], check=True, timeout=60)
            python = str(home / "bin/python")
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, CHECKOV], check=True, timeout=250)
            (home / "installed").touch()
    return home / "bin/checkov"


def test_the_policy_scan_finds_nothing_that_has_no_written_reason(workspace: Workspace) -> None:
    command = ["nice", "-n", "10", str(checkov()), "--config-file", ".checkov.yaml", "--output", "json"]
    done = subprocess.run(
        command, cwd=TREE, env=workspace.environment, capture_output=True, text=True, timeout=280, check=False
    )
    said = json.loads(done.stdout)
    failed = [f"{each['check_id']} {each['file_path']} {each['resource']}" for each in said["results"]["failed_checks"]]
    assert failed == []
    assert said["summary"]["passed"] > 400
    assert said["summary"]["parsing_errors"] == 0


def test_every_finding_that_is_left_has_its_reason_beside_it() -> None:
    skips = [line for file in TREE.rglob("*.tf") for line in re.findall(r"checkov:skip=(.*)", file.read_text())]
    skips += re.findall(r"^- (CKV.*)", (TREE / ".checkov.yaml").read_text(), re.MULTILINE)
    assert len(skips) > 10
    without = [skip for skip in skips if not re.fullmatch(r"CKV2?_AWS_[0-9]+(:|\s+# ).{20,}", skip)]
    assert not without


@pytest.mark.parametrize("name", MODULES)
def test_the_tables_in_a_modules_readme_are_current(name: str) -> None:
    command = [str(tool("terraform-docs")), "--config", ".terraform-docs.yml", "--output-check", f"modules/{name}"]
    done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stderr}: run terraform-docs --config .terraform-docs.yml modules/{name}"

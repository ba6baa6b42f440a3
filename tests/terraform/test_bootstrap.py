"""Bootstrap, applied by Terraform to a real API server: what it makes, that it makes it once, how it goes again."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from tests.helpers.kustomize import offline_tree
from tests.terraform.conftest import alone

from infrastructure.terraform import Workspace, cache
from local.kubernetes.control_plane import ControlPlane
from local.kubernetes.kubectl import Kubectl
from local.kubernetes.tools import tool

pytestmark = pytest.mark.slow

ROOT: Final = "bootstrap"
ENVIRONMENT: Final = "environments/test"
VERSION: Final = "0.9.8"
PLATFORM: Final[dict[str, Any]] = {
    "facts": {"AWS_REGION": "ap-southeast-1", "FILES_BUCKET": "dev-files-111122223333"},
    "cluster": {
        "name": "dev-file-processing",
        "region": "ap-southeast-1",
        "endpoint": "https://cluster.example.com",
        "certificate_authority_data": "",
    },
    "argocd": {
        "url": "https://argocd.example.com",
        "issuer": "https://cognito-idp.ap-southeast-1.amazonaws.com/ap-southeast-1_example",
        "client_id": "argocd-client",
    },
}


def install_provider() -> None:
    """Put the provider, built from its Go module, where Terraform looks for providers on this machine."""
    folder = cache() / f"terraform-plugins/registry.terraform.io/kbst/kustomization/{VERSION}/linux_amd64"
    program = folder / f"terraform-provider-kustomization_v{VERSION}"
    with alone("terraform-provider-kustomization"):
        if not program.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = cache() / f"{program.name}.{os.getpid()}"
            shutil.copy(tool("terraform-provider-kustomize"), unfinished)
            unfinished.rename(program)


class Bootstrap:
    """The root, with the state of an environment on this machine instead of in S3, and this machine's cluster."""

    def __init__(self, folder: Path, kubeconfig: Path) -> None:
        install_provider()
        self.workspace = Workspace(offline_tree(folder / "tree"))
        self.workspace.environment["PATH"] = f"{tool('kubectl').parent}:{self.workspace.environment['PATH']}"
        self.publish(PLATFORM)
        state = json.dumps(str(self.workspace.path(ENVIRONMENT) / "terraform.tfstate"))
        (self.workspace.path(ROOT) / "test_override.tf").write_text(f"""
terraform {{
  backend "local" {{}}
}}
data "terraform_remote_state" "environment" {{
  backend = "local"
  config  = {{ path = {state} }}
}}
locals {{
  kubeconfig = file({json.dumps(str(kubeconfig))})
}}
""")
        self.workspace.write_variables(ROOT, {"environment": "dev", "state_bucket": "example"})
        self.workspace.init(ROOT)

    def publish(self, platform: dict[str, Any]) -> None:
        """Write what an environment's state would say."""
        root = self.workspace.path(ENVIRONMENT)
        root.mkdir(exist_ok=True)
        text = json.dumps(json.dumps(platform))
        (root / "main.tf").write_text(f'output "platform" {{\n  value = jsondecode({text})\n}}\n')
        self.workspace.run(ENVIRONMENT, "apply", "-auto-approve", "-no-color")

    def apply(self) -> str:
        return self.workspace.run(ROOT, "apply", "-auto-approve", "-no-color").stdout

    def changes(self) -> dict[str, list[str]]:
        plan = self.workspace.plan(ROOT)
        found = {change["address"]: change["change"]["actions"] for change in plan["resource_changes"]}
        return {address: actions for address, actions in found.items() if actions != ["no-op"]}

    def managed(self) -> list[str]:
        listed = self.workspace.run(ROOT, "state", "list").stdout.split()
        return sorted(address for address in listed if not address.startswith("data."))


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory, control_plane: ControlPlane) -> Bootstrap:
    made = Bootstrap(tmp_path_factory.mktemp("bootstrap"), control_plane.kubeconfig)
    made.apply()
    return made


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    return control_plane.kubectl


def test_argo_cd_its_projects_and_the_root_application_are_there(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    assert {"argocd-server", "argocd-repo-server"} <= {
        deployment["metadata"]["name"] for deployment in kubectl.list("deployment", namespace="argocd")
    }
    assert {project["metadata"]["name"] for project in kubectl.list("appproject", namespace="argocd")} >= {"platform"}
    root = kubectl.get("application", "root", namespace="argocd")
    assert root is not None
    assert root["spec"]["source"]["path"] == "apps/dev"


def test_services_find_their_facts_in_a_namespace_with_its_rules(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    facts = kubectl.get("configmap", "aws-facts")
    assert facts is not None
    assert facts["data"] == PLATFORM["facts"]
    namespace = kubectl.get("namespace", "file-processing")
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_terraform_keeps_facts_and_the_root_application_only(bootstrap: Bootstrap) -> None:
    assert bootstrap.managed() == [
        "kustomization_resource.facts",
        "kustomization_resource.login",
        "kustomization_resource.root",
        "terraform_data.address",
        "terraform_data.install",
    ]


def settings(kubectl: Kubectl) -> dict[str, str]:
    found = kubectl.get("configmap", "argocd-cm", namespace="argocd")
    assert found is not None
    data: dict[str, str] = found["data"]
    return data


def test_a_second_plan_is_empty_also_after_argo_cd_has_upgraded_itself(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    assert bootstrap.changes() == {}
    address = PLATFORM["argocd"]["url"]
    assert settings(kubectl)["url"] == address
    # As Argo CD does it: server-side, by force, all that Git says and nothing else; and a part that it no longer has.
    of_git = {key: value for key, value in settings(kubectl).items() if key != "url"}
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd"},
        "data": {**of_git, "timeout.reconciliation": "90s"},
    }
    as_argocd = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
    kubectl.run("apply", *as_argocd, "--filename=-", stdin=json.dumps(manifest))
    kubectl.delete("deployment", "argocd-repo-server", namespace="argocd")
    assert bootstrap.changes() == {}
    assert settings(kubectl) == {**of_git, "timeout.reconciliation": "90s", "url": address}


def test_a_changed_fact_changes_the_config_map_alone(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    facts = {**PLATFORM["facts"], "FILES_BUCKET": "dev-files-444455556666"}
    bootstrap.publish({**PLATFORM, "facts": facts})
    assert bootstrap.changes() == {"kustomization_resource.facts": ["update"]}
    bootstrap.apply()
    changed = kubectl.get("configmap", "aws-facts")
    assert changed is not None
    assert changed["data"] == facts


def test_facts_that_somebody_deleted_come_back(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    before = kubectl.get("configmap", "aws-facts")
    kubectl.delete("configmap", "aws-facts")
    assert bootstrap.changes() == {"kustomization_resource.facts": ["create"]}
    bootstrap.apply()
    after = kubectl.get("configmap", "aws-facts")
    assert before is not None
    assert after is not None
    assert after["data"] == before["data"]


def test_destroy_leaves_argo_cd_running_and_no_stuck_finalizer(bootstrap: Bootstrap, kubectl: Kubectl) -> None:
    bootstrap.workspace.run(ROOT, "destroy", "-auto-approve", "-no-color")
    assert bootstrap.managed() == []
    assert kubectl.get("configmap", "aws-facts") is None
    assert not kubectl.list("application", namespace="argocd")
    assert kubectl.list("deployment", namespace="argocd")
    for kind in ("appproject", "configmap", "secret", "customresourcedefinition"):
        going = [each for each in kubectl.list(kind) if "deletionTimestamp" in each["metadata"]]
        assert not going

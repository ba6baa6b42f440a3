"""Bootstrap as Terraform runs it, and Argo CD that starts in the cluster which it leaves behind."""

import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.request import urlopen

from tests.helpers.gitops import WorkCopy
from tests.helpers.kustomize import build, offline_tree

from infrastructure.terraform import Workspace, alone, cache
from local.addresses import HOST
from local.kubernetes import argocd
from local.kubernetes.cluster import NAME, REMOTE
from local.kubernetes.control_plane import ControlPlane, free_ports
from local.kubernetes.kubectl import Kubectl, wait_for
from local.kubernetes.nodes import nodes
from local.kubernetes.programs import Program
from local.kubernetes.tools import tool
from local.state import StateFolder
from local.supervision import Supervisor

ROOT: Final = "bootstrap"
ENVIRONMENT: Final = "environments/test"
VERSION: Final = "0.9.8"
START_SECONDS: Final = 120


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

    def __init__(self, tree: Path, kubeconfig: Path, platform: dict[str, Any]) -> None:
        """Make the root ready; nothing is applied yet.

        Args:
            tree: What is in Git, with remote bases in it; infra-terraform is copied into it.
            kubeconfig: The cluster.
            platform: What the environment's state says.
        """
        install_provider()
        self.workspace = Workspace(tree)
        self.workspace.environment["PATH"] = f"{tool('kubectl').parent}:{self.workspace.environment['PATH']}"
        self.publish(platform)
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

    def destroy(self) -> None:
        self.workspace.run(ROOT, "destroy", "-auto-approve", "-no-color")

    def changes(self) -> dict[str, list[str]]:
        """What a plan would change, by address."""
        plan = self.workspace.plan(ROOT)
        found = {change["address"]: change["change"]["actions"] for change in plan["resource_changes"]}
        return {address: actions for address, actions in found.items() if actions != ["no-op"]}

    def managed(self) -> list[str]:
        listed = self.workspace.run(ROOT, "state", "list").stdout.split()
        return sorted(address for address in listed if not address.startswith("data."))


class EmptyCluster:
    """A control plane with simulated nodes and nothing else; and a Git server with what the repository has."""

    def __init__(self, folder: Path) -> None:
        self.control_plane = ControlPlane(folder / "control-plane", controllers=True)
        self.kubectl: Kubectl = self.control_plane.kubectl
        self.work = WorkCopy(offline_tree(folder / "tree"))
        self._folder = folder / "argocd"
        self._state = StateFolder(self._folder)
        self._supervisor = Supervisor(self._state)
        self._ports = argocd.Ports.free(server=free_ports(1)[0])
        [self._git_port] = free_ports(1)

    def __enter__(self) -> Self:
        self._state.logs.mkdir(parents=True)
        self._seed(self._folder / "git" / NAME)
        self.control_plane.start()
        self.kubectl.apply(*nodes())
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop_argocd()
        self.control_plane.stop()

    def _seed(self, bare: Path) -> None:
        """Make the repository, of what is deployed; Terraform's own folder is in no need to be there."""
        self.work.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        self.work.git("init", "--quiet", "--initial-branch=main")
        self.work.git("config", "user.name", "A developer")
        self.work.git("config", "user.email", "developer@example.com")
        self.work.git("remote", "add", "origin", str(bare))
        (self.work.folder / ".git/info/exclude").write_text("/infra-terraform\n")
        self.work.push("What is deployed")

    @property
    def argocd_url(self) -> str:
        """Argo CD's API; it asks for no login."""
        return f"http://{HOST}:{self._ports.server}"

    def start_argocd(self) -> None:
        """Run what the pods of the install would run, and wait until each is ready.

        The local network has the repository behind a proxy, which a Secret tells Argo CD; all else is as installed.
        """
        self.kubectl.apply(argocd.repository(REMOTE, f"http://{HOST}:{self._git_port}"))
        objects = build(self.work.folder / "argocd" / "install" / "dev")
        ports = self._ports
        git = {
            "folder": str(self._folder / "git"),
            "port": self._git_port,
            "webhooks": [f"http://{HOST}:{port}/api/webhook" for port in (ports.server, ports.applicationset_webhook)],
            "homepage": REMOTE.removesuffix(".git"),
        }
        programs = [
            *argocd.programs(objects, self.control_plane.kubeconfig, self._folder / "argocd", ports),
            Program("git", [sys.executable, "-m", "local.kubernetes.git_server", json.dumps(git)], self._git_port),
        ]
        self._supervisor.start(programs, restart=True, settings={})
        for program in programs:
            if program.ready_url:
                wait_for(partial(answers, program.ready_url), START_SECONDS, f"{program.name} is ready")

    def stop_argocd(self) -> None:
        """As if its pods were gone: nobody of it is there to answer."""
        self._supervisor.stop()
        argocd.ASK_PASS.unlink(missing_ok=True)


def answers(url: str) -> bool:
    try:
        urlopen(url, timeout=2).close()  # noqa: S310 - our own address
    except OSError:
        return False
    return True

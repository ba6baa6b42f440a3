"""Argo CD as processes of this machine, with the settings that argocd/install gives it in a cluster."""

import secrets
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import yaml

from local.addresses import HOST
from local.kubernetes.control_plane import free_ports
from local.kubernetes.kubectl import Object
from local.kubernetes.programs import Program
from local.kubernetes.tools import module_folder, tool

MODULE = "github.com/argoproj/argo-cd/v3"
NAMESPACE = "argocd"
# What the others need of the install; the rest of it are pods, and what pods need.
KINDS = ("CustomResourceDefinition", "Namespace", "ConfigMap", "Secret")
# Where each repo-server listens for questions of Git, whatever it is told. Ours has no secrets to answer with, so that
# whoever stops one may remove it.
ASK_PASS = Path("/tmp/reposerver-ask-pass.sock")  # noqa: S108
GIT_VERIFY = "git-verify-wrapper.sh"
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: argocd
resources: [manifests/cluster-install]
components: [_settings]
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where Argo CD's processes listen."""

    server: int
    redis: int
    repo_server: int
    repo_server_metrics: int
    controller_metrics: int
    server_metrics: int
    applicationset_metrics: int
    applicationset_probe: int
    applicationset_webhook: int

    @classmethod
    def free(cls, server: int) -> Self:
        """Free ports for all but the API server."""
        names = [each.name for each in fields(cls) if each.name != "server"]
        return cls(server=server, **dict(zip(names, free_ports(len(names)), strict=True)))


def install(folder: Path, tree: Path) -> list[Object]:
    """The objects of `argocd/install`, built without the network from the release that tools/argocd pins.

    Args:
        folder: Where the build happens.
        tree: The working tree that has argocd/install.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifests = module_folder(MODULE, "argocd") / "manifests"
    for part in ("base", "crds", "cluster-rbac", "namespace-install", "cluster-install"):
        shutil.copytree(manifests / part, folder / "manifests" / part, copy_function=shutil.copyfile)
    # The module cache is read-only, and a folder that nobody may write to could not be removed.
    for copied in folder.rglob("*"):
        if copied.is_dir():
            copied.chmod(0o755)
    shutil.copytree(tree / "argocd" / "install" / "_settings", folder / "_settings")
    (folder / "kustomization.yaml").write_text(KUSTOMIZATION)
    built = subprocess.run([tool("kustomize"), "build", folder], stdout=subprocess.PIPE, text=True, check=True)
    return [each for each in yaml.load_all(built.stdout, yaml.CSafeLoader) if each]


def configuration(objects: Iterable[Object]) -> list[Object]:
    """Those of the install's objects that Argo CD's processes read or write."""
    # Whichever of them is first writes this key, and the others do not wait for it.
    key = {"server.secretkey": secrets.token_urlsafe(32)}
    return [
        each | {"stringData": key} if each["metadata"]["name"] == "argocd-secret" else each
        for each in objects
        if each["kind"] in KINDS
    ]


def repository(url: str, proxy: str) -> Object:
    """Tells Argo CD that the repository's address is to be reached through the local Git server."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "repository",
            "namespace": NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "repository"},
        },
        # The local server answers with a certificate of its own.
        "stringData": {"type": "git", "url": url, "proxy": proxy, "insecure": "true"},
    }


def programs(objects: Iterable[Object], kubeconfig: Path, folder: Path, ports: Ports) -> list[Program]:
    """The processes: those that the install runs as pods, but for Dex (no login here) and notifications (no receiver).

    Args:
        objects: The install, which has each process's environment.
        kubeconfig: The cluster that Argo CD runs for.
        folder: Where they keep what they write.
        ports: Where they listen.
    """
    objects = list(objects)
    settings = {each["metadata"]["name"]: each.get("data") or {} for each in objects if each["kind"] == "ConfigMap"}
    path = folder / "bin"
    path.mkdir(parents=True, exist_ok=True)
    for name in ("tls", "ssh", "tmp", "assets"):
        (folder / name).mkdir(exist_ok=True)
    (path / "kustomize").symlink_to(tool("kustomize"))
    # Called for each commit, also where no signature is asked for; in a module no file is executable.
    shutil.copyfile(module_folder(MODULE, "argocd") / "hack" / GIT_VERIFY, path / GIT_VERIFY)
    (path / GIT_VERIFY).chmod(0o755)
    common = {
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": str(folder / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(folder / "ssh"),
        "HOME": str(folder),
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{path}:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(folder / "tmp"),
    }
    redis, repo_server = f"{HOST}:{ports.redis}", f"{HOST}:{ports.repo_server}"

    def part(name: str, *arguments: str, port: int, ready: str | None = None) -> Program:
        environment = {**_environment(objects, name, settings), **common, "ARGOCD_BINARY_NAME": name}
        command = [str(tool("argocd")), "--logformat=text", *arguments]
        return Program(name, command, port, ready and f"http://{HOST}:{port}{ready}", environment)

    return [
        Program("redis", [str(tool("redis")), redis], ports.redis),
        part(
            "argocd-repo-server",
            *(f"--redis={redis}", f"--address={HOST}", f"--port={ports.repo_server}"),
            *(f"--metrics-address={HOST}", f"--metrics-port={ports.repo_server_metrics}"),
            port=ports.repo_server_metrics,
            ready="/healthz?full=true",
        ),
        part(
            "argocd-application-controller",
            *(f"--namespace={NAMESPACE}", f"--redis={redis}", f"--repo-server={repo_server}"),
            f"--metrics-port={ports.controller_metrics}",
            port=ports.controller_metrics,
            ready="/healthz",
        ),
        part(
            "argocd-applicationset-controller",
            *(f"--argocd-repo-server={repo_server}", f"--namespace={NAMESPACE}", "--enable-leader-election=false"),
            f"--metrics-addr={HOST}:{ports.applicationset_metrics}",
            f"--probe-addr={HOST}:{ports.applicationset_probe}",
            f"--webhook-addr={HOST}:{ports.applicationset_webhook}",
            # It registers no check of its readiness.
            port=ports.applicationset_webhook,
        ),
        part(
            "argocd-server",
            *(f"--namespace={NAMESPACE}", f"--redis={redis}", f"--repo-server={repo_server}"),
            *(f"--address={HOST}", f"--port={ports.server}"),
            *(f"--metrics-address={HOST}", f"--metrics-port={ports.server_metrics}"),
            # Only this machine reaches it, and who can do that has the cluster's own credentials.
            *("--disable-auth", "--insecure", f"--staticassets={folder / 'assets'}"),
            port=ports.server,
            ready="/healthz",
        ),
    ]


def _environment(objects: Iterable[Object], name: str, settings: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The environment variables that the pod of this name has from the install's ConfigMaps."""
    found: dict[str, str] = {}
    for workload in objects:
        if workload["kind"] not in {"Deployment", "StatefulSet"} or workload["metadata"]["name"] != name:
            continue
        for variable in workload["spec"]["template"]["spec"]["containers"][0].get("env", ()):
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            if reference and (value := settings.get(reference["name"], {}).get(reference["key"])) is not None:
                found[variable["name"]] = value
    return found

"""`make cluster` and `make cluster-down`, as a person types them."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from local.addresses import HOST, Addresses
from local.kubernetes.kubectl import Kubectl, wait_for
from local.kubernetes.nodes import ZONES
from local.stack import free_block

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
GIT, ARGOCD, OPERATOR = 0, 1, 2
FACTS = "base/namespace/pushed.yaml"


@dataclass(frozen=True, slots=True)
class Terminal:
    """A person's terminal, with a state folder and ports of its own."""

    state: Path
    addresses: Addresses

    @property
    def environment(self) -> dict[str, str]:
        own = {"LOCAL_STATE": str(self.state), "LOCAL_CLUSTER_PORT": str(self.addresses.first_port)}
        return {**os.environ, **own}

    def make(self, target: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "--no-print-directory", target],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.state / "cluster" / "kubeconfig.yaml")

    @property
    def git_url(self) -> str:
        return f"{self.addresses.url(GIT)}/internal-file-processing-system.git"

    def processes(self) -> list[psutil.Process]:
        """Those that were started with this terminal's state folder in their command or environment."""
        return [process for process in psutil.process_iter() if str(self.state) in how_started(process)]


def how_started(process: psutil.Process) -> str:
    try:
        return " ".join([*process.cmdline(), *process.environ().values()])
    except psutil.Error:
        return ""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path / "state", Addresses(free_block()))
    yield opened
    opened.make("cluster-down")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terminal, str]]:
    """A cluster that `make cluster` started, and what it said."""
    terminal = Terminal(tmp_path_factory.mktemp("make") / "state", Addresses(free_block()))
    try:
        made = terminal.make("cluster")
        assert made.returncode == 0, made.stdout + made.stderr
        yield terminal, made.stdout
    finally:
        terminal.make("cluster-down")


def test_1_make_cluster_says_how_to_reach_each_part(up: tuple[Terminal, str]) -> None:
    terminal, said = up
    for told in (
        f"KUBECONFIG={terminal.state}/cluster/kubeconfig.yaml",
        f"git push {terminal.git_url} HEAD:main",
        f"{terminal.addresses.url(ARGOCD)}/api/v1/applications",
        f"{terminal.addresses.url(OPERATOR)}/readyz",
        "make cluster-down",
    ):
        assert told in said


def test_2_six_nodes_are_in_three_zones(up: tuple[Terminal, str]) -> None:
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in up[0].kubectl.list("nodes")]
    assert sorted(zones) == sorted([*ZONES, *ZONES])


def test_3_argo_cd_has_synced_every_service_and_department_of_prod(up: tuple[Terminal, str]) -> None:
    with urlopen(f"{up[0].addresses.url(ARGOCD)}/api/v1/applications", timeout=30) as answer:  # noqa: S310 - our own
        found = {each["metadata"]["name"]: each["status"]["sync"]["status"] for each in json.load(answer)["items"]}
    services = {folder.name for folder in (ROOT / "overlays" / "prod").iterdir()}
    assert found.keys() >= {"root", *services, "department-finance", "department-hr", "department-legal"}
    assert {found[name] for name in services} == {"Synced"}


def test_4_the_operator_runs_for_real_and_makes_the_departments_servers(up: tuple[Terminal, str]) -> None:
    kubectl = up[0].kubectl
    wait_for(
        lambda: {each["metadata"]["name"] for each in kubectl.list("deployments")} >= {"mcp-finance", "mcp-legal"},
        120,
        "the departments' Deployments",
    )
    with urlopen(f"{up[0].addresses.url(OPERATOR)}/readyz", timeout=30) as answer:  # noqa: S310 - our own
        assert answer.status == 200


def test_5_a_push_is_received_and_the_cluster_follows(up: tuple[Terminal, str], tmp_path: Path) -> None:
    terminal, _ = up
    clone = tmp_path / "clone"

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=A developer", "-c", "user.email=developer@example.com"]
        return subprocess.run(
            ["git", *identity, *arguments], check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    git("clone", "--quiet", terminal.git_url, str(clone))
    (clone / FACTS).write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pushed}\n")
    kustomization = clone / "base/namespace/kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("resources:\n", "resources:\n- pushed.yaml\n", 1))
    git("-C", str(clone), "add", ".")
    git("-C", str(clone), "commit", "--quiet", "--message", "A ConfigMap")
    git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")
    wait_for(lambda: terminal.kubectl.get("configmap", "pushed"), 120, "what was pushed is in the cluster")


def test_6_a_second_make_cluster_says_that_one_is_up(up: tuple[Terminal, str]) -> None:
    again = up[0].make("cluster")
    assert again.returncode != 0
    assert "a cluster is up already" in again.stderr
    assert "make cluster-down" in again.stderr
    assert up[0].kubectl.list("nodes"), "it is still up"


def test_7_make_cluster_down_leaves_nothing(up: tuple[Terminal, str]) -> None:
    terminal, _ = up
    listening = {
        connection.laddr.port
        for process in terminal.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) >= 15
    down = terminal.make("cluster-down")
    assert (down.returncode, down.stderr) == (0, "")
    assert terminal.processes() == []
    assert not (terminal.state / "cluster").exists()
    for port in listening:
        with socket.socket() as client:
            assert client.connect_ex((HOST, port)) != 0, f"something still listens on {port}"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "the terminal is closed"])
def test_make_cluster_that_is_interrupted_leaves_nothing(ending: signal.Signals, terminal: Terminal) -> None:
    with subprocess.Popen(
        ["make", "--no-print-directory", "cluster"],
        cwd=ROOT,
        env=terminal.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as made:
        try:
            wait_for(lambda: "/kube-apiserver --" in " ".join(map(how_started, terminal.processes())), 120, "it starts")
        finally:
            os.killpg(made.pid, ending)
        assert made.wait(60) != 0
    assert terminal.processes() == []
    assert not (terminal.state / "cluster").exists()

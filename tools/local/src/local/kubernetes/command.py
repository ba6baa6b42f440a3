"""The command `local cluster`: a real control plane on this machine, with Argo CD and a Git server."""

import signal
import time
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from common.settings import load_settings
from local.kubernetes.argocd import NAMESPACE
from local.kubernetes.cluster import Cluster
from local.kubernetes.control_plane import ControlPlaneError
from local.kubernetes.kubectl import KubectlError
from local.kubernetes.real_node import check
from local.kubernetes.real_node.images import SERVICES, built_images
from local.kubernetes.tools import ToolError
from local.names import PASSWORD
from local.settings import LocalSettings

app = typer.Typer(
    help="A real Kubernetes control plane, simulated nodes in three zones, Argo CD, and a Git server to push to.",
    no_args_is_help=True,
)
console = Console()
errors = Console(stderr=True)

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
APPLICATIONS = "applications.argoproj.io"


class Nodes(StrEnum):
    """What pods are scheduled to."""

    SIMULATED = "simulated"
    REAL = "real"


def this_cluster(*, running: bool, real_node: bool = False, with_controllers: bool = True) -> Cluster:
    """The cluster of the state folder; ends the command where it shall be running and is not."""
    settings = load_settings(LocalSettings)
    port = None if running else settings.local_cluster_port
    images = built_images() if real_node else {}
    folder = settings.local_state / "cluster"
    cluster = Cluster(folder, port, real_node=real_node, with_controllers=with_controllers, images=images)
    if running and not cluster.is_up:
        errors.print("No cluster is up. Start it: make cluster", style="red")
        raise typer.Exit(1)
    return cluster


@app.command()
def up(
    *,
    node: Annotated[
        Nodes,
        typer.Option(help="Whether pods are only simulated, or run on a real node of this machine, which needs root."),
    ] = Nodes.SIMULATED,
    controllers: Annotated[
        bool,
        typer.Option(help="Run the platform's controllers too (simulated nodes only)."),
    ] = True,
    wait: Annotated[bool, typer.Option(help="Wait until Argo CD has synced what is in Git.")] = True,
) -> None:
    """Start everything, and say how to reach it. It stays up until `local cluster down`."""
    for number in ENDING_SIGNALS:
        signal.signal(number, interrupt)
    cluster = this_cluster(running=False, real_node=node is Nodes.REAL, with_controllers=controllers)
    if node is Nodes.REAL and len(built_images()) < len(SERVICES):
        errors.print("The services' images are not built. Build them: make images", style="red")
        raise typer.Exit(1)
    begin = time.monotonic()
    try:
        with console.status("Building what is not built yet (the first time, a quarter of an hour) …") as spinner:

            def on_progress(done: str) -> None:
                console.print(f"[green]✓[/] {done:<48} {time.monotonic() - begin:5.1f} s")
                spinner.update("Starting …")

            cluster.start(on_progress)
            if wait:
                spinner.update("Waiting until Argo CD has synced what is in Git …")
                cluster.wait_until_synced()
                on_progress("Argo CD has synced what is in Git")
    except (ControlPlaneError, KubectlError, ToolError) as error:
        errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    introduce(cluster)


@app.command()
def down() -> None:
    """Stop everything, and leave nothing of it."""
    with console.status("Stopping …"):
        stopped = this_cluster(running=False).stop()
    console.print(f"Stopped {stopped} processes." if stopped else "Nothing was running.")


@app.command()
def status() -> None:
    """Show the processes and the Applications. Exits 1 unless all run and are synced."""
    cluster = this_cluster(running=True)
    processes = Table("process", "state", "pid", "log", box=None, pad_edge=False)
    states = cluster.states()
    for process in states:
        processes.add_row(
            process.name, process.state.lower(), str(process.pid or ""), shown_path(cluster.log(process.name))
        )
    console.print(processes)
    applications = Table("application", "sync", "health", "revision", box=None, pad_edge=False)
    found = cluster.kubectl.list(APPLICATIONS, namespace=NAMESPACE)
    for each in found:
        told = each.get("status", {})
        sync = told.get("sync", {})
        health = told.get("health", {}).get("status", "")
        applications.add_row(each["metadata"]["name"], sync.get("status"), health, sync.get("revision", "")[:7])
    console.print(applications)
    if any(process.state != "RUNNING" for process in states) or not all(cluster.synced().values()):
        raise typer.Exit(1)


@app.command()
def node_check() -> None:
    """Say whether this machine can run a real node. Exits 1 where it cannot, and says what to do."""
    if reason := check.obstacle(load_settings(LocalSettings).local_state):
        errors.print(f"This machine cannot run a real node: {reason}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1)
    console.print("This machine can run a real node.")


def shown_path(path: Path) -> str:
    """A path as short as it can be said from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def interrupt(_: int, __: FrameType | None) -> NoReturn:
    """End this command in order, once: Ctrl-C in a terminal comes twice, also from whoever started it."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def introduce(cluster: Cluster) -> None:
    """Say how to reach each part."""
    console.print()
    for name, place in (
        ("Use it", f"export PATH={cluster.commands}:$PATH KUBECONFIG={cluster.kubectl.kubeconfig}"),
        ("Look", f"kubectl get departments; kubectl get applications -n {NAMESPACE}"),
        ("Deploy", f"git push {cluster.git_url} HEAD:main"),
        ("Argo CD", f"{cluster.argocd_url}/api/v1/applications (no login)"),
        ("", f"argocd app list --plaintext --server {cluster.argocd_url.removeprefix('http://')}"),
        *(
            (
                ("Files", f"{cluster.app_url} (log in as dana, password {PASSWORD})"),
                ("API", f"{cluster.api_url}/api (with a token of that login)"),
            )
            if cluster.environment == "real"
            else (("Operator", f"{cluster.operator_url}/readyz"),)
        ),
        ("AWS", f"{cluster.aws_url} (stand-in)"),
        ("Logs", shown_path(cluster.logs)),
        ("Stop it", "make cluster-down"),
    ):
        console.print(f"[bold]{name:<10}[/]{place}", highlight=False, soft_wrap=True)

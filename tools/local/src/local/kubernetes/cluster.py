"""The whole cluster: control plane, simulated nodes, Argo CD, a Git server, the operator, and the root Application.

with Cluster(tmp_path / "cluster") as cluster:  # free ports, everything in that folder, gone at the end
    cluster.kubectl.list("applications.argoproj.io", namespace="argocd")
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from local import data, names
from local.addresses import HOST, Addresses
from local.kubernetes import addons, argocd, controllers, facts
from local.kubernetes.control_plane import NAMESPACE, ControlPlane, ControlPlaneError
from local.kubernetes.kubectl import Kubectl, NotYet, wait_for
from local.kubernetes.nodes import ZONES, nodes
from local.kubernetes.programs import Program
from local.kubernetes.real_node import machine, network
from local.kubernetes.real_node.objects import system_objects, tainted
from local.kubernetes.tools import REPOSITORY, tool
from local.services import aws_environment
from local.stack import free_block, is_free
from local.state import StackFile, StateFolder
from local.supervision import ProcessState, Supervisor, last_lines

REMOTE = "https://github.com/example-company/internal-file-processing-system.git"
NAME = REMOTE.rpartition("/")[2]
PROGRAMS = ("kwokctl", "kwok", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "metrics-server")
TOOLS = ("kubectl", "kustomize", *PROGRAMS, "redis", "argocd")
PORTS = {"git": 0, "argocd": 1, "department-operator": 2, "app": 3, "api": 4, "aws": 5, "login": 6}
START_SECONDS = 300
# What a control plane with a real node has as on AWS: addresses, and who is told where the API server is.
API_SERVER_ARGUMENTS = (
    f"service-cluster-ip-range={network.SERVICE_CIDR}",
    "endpoint-reconciler-type=none",
    "kubelet-preferred-address-types=InternalIP",
    "kubelet-client-certificate={certificates}/admin.crt",
    "kubelet-client-key={certificates}/admin.key",
)
# Nobody who looks at it wants to wait five minutes until an autoscaler takes back what it gave.
CONTROLLER_ARGUMENTS = (
    "horizontal-pod-autoscaler-downscale-stabilization=30s",
    "horizontal-pod-autoscaler-sync-period=5s",
)
CERTIFICATE_NAMES = (network.API_SERVER, network.API_SERVER_SERVICE, "kubernetes.default.svc")
Progress = Callable[[str], None]


class Cluster:
    """One cluster: everything it writes is in one folder, and every process is marked with it."""

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        real_node: bool = False,
        with_controllers: bool = True,
        images: Mapping[str, Path] | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: Where everything is written; removed when the cluster stops.
            port: First of the ports that people use; free ones without it.
            real_node: Whether pods run, on a node of this machine. Needs root.
            with_controllers: Whether the platform's controllers run too; never with a real node, whose edge stands in
                for the load balancers.
            images: Those that the node has: OCI archives by what overlays/real calls their images.
        """
        self.folder = folder.resolve()
        self.environment = "real" if real_node else "prod"
        more = (API_SERVER_ARGUMENTS, CONTROLLER_ARGUMENTS, CERTIFICATE_NAMES) if real_node else ((), (), ())
        self.control_plane = ControlPlane(
            self.folder,
            controllers=True,
            api_server_arguments=more[0],
            controller_arguments=more[1],
            certificate_names=more[2],
        )
        self.node = machine.RealNode(self.folder, self.control_plane.environment)
        self._real_node, self._images = real_node, images or {}
        self._with_controllers = with_controllers and not real_node
        self._controllers: list[controllers.Controller] = []
        self.kubectl: Kubectl = self.control_plane.kubectl
        self._state = StateFolder(self.folder)
        self._supervisor = Supervisor(self._state)
        running = self._state.read() if port is None else None
        self._addresses = Addresses(port or (running.port if running else free_block()))
        self.programs: list[Program] = []

    def __enter__(self) -> Self:
        """Start, and wait until the root Application is applied."""
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop, and leave nothing."""
        self.stop()

    def _port(self, name: str) -> int:
        return self._addresses.port(PORTS[name])

    def _url(self, name: str) -> str:
        return self._addresses.url(PORTS[name])

    @property
    def git_url(self) -> str:
        """The repository, for `git clone` and `git push`."""
        return f"{self._url('git')}/{NAME}"

    @property
    def argocd_url(self) -> str:
        """Argo CD's API; it asks for no login."""
        return self._url("argocd")

    @property
    def aws_url(self) -> str:
        """The stand-in for AWS, which the operator calls."""
        return self._url("aws")

    @property
    def app_url(self) -> str:
        """Where people log in and enrich files; with a real node alone."""
        return self._url("app")

    @property
    def api_url(self) -> str:
        """Where programs go with their tokens; with a real node alone."""
        return self._url("api")

    @property
    def operator_url(self) -> str:
        """The department operator: `/healthz` and `/readyz`."""
        return self._url("department-operator")

    @property
    def commands(self) -> Path:
        """The pinned kubectl, kustomize and argocd, for a person's PATH."""
        return self.folder / "bin"

    @property
    def logs(self) -> Path:
        """One file for each process beside the control plane's."""
        return self._state.logs

    @property
    def is_up(self) -> bool:
        """Whether it was started and not stopped."""
        return self._supervisor.processes() is not None

    def start(self, progress: Progress = lambda _: None) -> None:
        """Start everything, and wait until each part is ready and the root Application is applied.

        Raises:
            ControlPlaneError: One is up already, or a part did not get ready; the message has the end of its log.
            ToolError: A program could not be built.
        """
        self._check()
        try:
            self._start(progress)
        except BaseException:
            self.stop()
            raise

    def _start(self, progress: Progress) -> None:
        for name in (*TOOLS, *(machine.TOOLS if self._real_node else ())):
            tool(name)
        progress("all programs are built")
        self.control_plane.start()
        progress("the control plane is ready")
        if self._real_node:
            self.node.start(self.control_plane)
            progress("the real node has its namespaces")
        self._state.write(StackFile(port=self._addresses.first_port, departments=[]))
        self._state.logs.mkdir()
        self.commands.mkdir()
        for name in ("kubectl", "kustomize", "argocd"):
            (self.commands / name).symlink_to(tool(name))
        objects = argocd.install(self.folder / "argocd" / "install", REPOSITORY)
        if self._with_controllers:
            place = (self.folder / "controllers", self.aws_url, names.REGION, facts.CLUSTER_NAME)
            self._controllers = controllers.build_all(*place)
        self._install(objects)
        self._seed()
        self.programs = self._programs(objects)
        progress("what Argo CD and the services need is installed")
        self._supervisor.start(self.programs, restart=True, settings={})
        self._wait(progress)
        if self._real_node:
            self.node.import_images(self._images)
            progress("the real node has its images")
        root = REPOSITORY / "clusters" / ("real" if self._real_node else "local")
        self.kubectl.run("apply", "--server-side", "-k", str(root))

    def _check(self) -> None:
        if self.is_up:
            raise ControlPlaneError(f"a cluster is up already in {self.folder}; stop it: make cluster-down")
        self._stop()
        if self._real_node:
            self.node.check()
        for port in map(self._port, PORTS):
            if not is_free(port):
                raise ControlPlaneError(
                    f"port {port} is taken by another program; choose others by LOCAL_CLUSTER_PORT=<first port>"
                )

    def _install(self, objects: list[dict[str, object]]) -> None:
        namespaces = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            for name in (NAMESPACE, argocd.NAMESPACE)
        ]
        simulated = map(tainted, nodes()) if self._real_node else nodes()
        self.kubectl.apply(*namespaces, *simulated, *(system_objects() if self._real_node else ()))
        defined = [each for controller in self._controllers for each in controller.definitions]
        self.kubectl.apply(*argocd.configuration(objects), *addons.definitions(defined))
        controllers.install(self.kubectl, self._controllers)
        told = facts.aws_facts(self.aws_url)
        if self._real_node:
            aws = f"http://{network.AWS}:443"
            told = facts.aws_facts(aws) | facts.endpoints(aws, *(self._url(name) for name in ("app", "api", "login")))
            self.kubectl.apply(facts.frontend_secret())
        self.kubectl.apply(argocd.repository(REMOTE, self._url("git")), facts.config_map(told))

    def _seed(self) -> None:
        """Make the repository that people push to: what is committed here, as its branch `main`."""
        bare = self.folder / "git" / NAME
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        # A checkout of CI has no history.
        _git("--git-dir", str(bare), "config", "receive.shallowUpdate", "true")
        _git("-C", str(REPOSITORY), "push", "--quiet", "--no-verify", str(bare), "HEAD:refs/heads/main")

    def _programs(self, objects: list[dict[str, object]]) -> list[Program]:
        ports = argocd.Ports.free(server=self._port("argocd"))
        webhooks = [f"http://{HOST}:{port}/api/webhook" for port in (ports.server, ports.applicationset_webhook)]
        git = {
            "folder": str(self.folder / "git"),
            "port": self._port("git"),
            "webhooks": webhooks,
            "homepage": REMOTE.removesuffix(".git"),
        }
        (self.folder / "data").mkdir()
        aws, api_server = self._port("aws"), self.control_plane.api_server_port
        if self._real_node:
            data.write(self.folder / "data")
            own = [*self.node.programs(api_server, aws), self._edge()]
        else:
            own = [self._operator()]
        return [
            *argocd.programs(objects, self.control_plane.kubeconfig, self.folder / "argocd", ports),
            Program("git", [sys.executable, "-m", "local.kubernetes.git_server", json.dumps(git)], self._port("git")),
            Program(
                "aws",
                [sys.executable, "-m", "local.aws"],
                self._port("aws"),
                f"{self.aws_url}/readyz",
                {
                    "AWS_PORT": str(self._port("aws")),
                    "DEPARTMENTS_DIR": str(REPOSITORY / "base" / "departments"),
                    "DATA_DIR": str(self.folder / "data"),
                    "APP_URL": "http://localhost",
                    "API_URL": "http://localhost",
                    "VPC_NAME": facts.CLUSTER_NAME,
                    "TARGET_GROUPS": json.dumps(facts.TARGET_GROUPS),
                },
            ),
            *own,
            *(program for each in self._controllers for program in each.programs),
        ]

    def _operator(self) -> Program:
        """The operator as a process, where no pod could run it."""
        return Program(
            "department-operator",
            [sys.executable, "-m", "department_operator"],
            self._port("department-operator"),
            f"{self.operator_url}/healthz",
            {
                "KUBECONFIG": str(self.control_plane.kubeconfig),
                "HOST": HOST,
                "PORT": str(self._port("department-operator")),
                "METRICS_PORT": "0",
                "CLUSTER_NAME": facts.CLUSTER_NAME,
                "DEPARTMENT_ROLE_ARN": facts.DEPARTMENT_ROLE,
                "ZONES": str(len(ZONES)),
                **aws_environment(self._addresses),
            },
        )

    def _edge(self) -> Program:
        """What the load balancers and Cognito's managed login are, in front of the gateway's Service."""
        return Program(
            "edge",
            [sys.executable, "-m", "local.edge"],
            self._port("login"),
            f"{self._url('login')}/readyz",
            {
                "APP_PORT": str(self._port("app")),
                "API_PORT": str(self._port("api")),
                "LOGIN_PORT": str(self._port("login")),
                "GATEWAY_URL": f"http://{network.GATEWAY_SERVICE}:8080",
                "AWS_URL": self.aws_url,
            },
        )

    def _wait(self, progress: Progress) -> None:
        begin = time.monotonic()
        missing = list(self.programs)
        while missing:
            for program in [each for each in missing if _is_ready(each)]:
                missing.remove(program)
                progress(f"{program.name} is ready")
            if time.monotonic() - begin > START_SECONDS:
                logs = "\n".join(f"{each.name}:\n{last_lines(self.log(each.name))}" for each in missing)
                raise ControlPlaneError(f"not ready after {START_SECONDS} s, with the ends of their logs:\n{logs}")
            time.sleep(0.2)

    def log(self, name: str) -> Path:
        """The log of one of the processes beside the control plane."""
        return self.logs / f"{name}.log"

    def stop_program(self, name: str) -> None:
        """Stop one of these processes, and wait until it has ended."""
        self._supervisor.stop_process(name)

    def start_program(self, name: str) -> None:
        """Start one that was stopped."""
        self._supervisor.start_process(name, wait=True)

    def states(self) -> list[ProcessState]:
        """The processes beside the control plane; none where it is not up."""
        return self._supervisor.processes() or []

    def synced(self) -> dict[str, bool]:
        """Every Application by name, and whether the cluster is what Git says of it."""
        found = self.kubectl.list("applications.argoproj.io", namespace=argocd.NAMESPACE)
        return {
            each["metadata"]["name"]: each.get("status", {}).get("sync", {}).get("status") == "Synced" for each in found
        }

    def wait_until_synced(self) -> None:
        """Wait until every Application is what is in Git.

        Raises:
            ControlPlaneError: Some were not in five minutes; the message names them.
        """
        # The ApplicationSets make theirs once the root has made them.
        services = {each.name for each in (REPOSITORY / "overlays" / self.environment).iterdir()}
        expected = {"root", *services}

        def missing() -> set[str]:
            return expected - {name for name, done in self.synced().items() if done}

        try:
            wait_for(lambda: not missing(), START_SECONDS, "all Applications are synced")
        except NotYet:
            raise ControlPlaneError(f"Argo CD has not synced: {', '.join(sorted(missing()))}") from None

    def stop(self) -> int:
        """Stop whatever runs of it, and remove its folder; returns how many processes there were."""
        stopped = self._stop()
        argocd.ASK_PASS.unlink(missing_ok=True)
        return stopped

    def _stop(self) -> int:
        stopped = self.control_plane.stop() + self._supervisor.stop()
        self.node.remove()
        return stopped


def _is_ready(program: Program) -> bool:
    try:
        if program.ready_url is None:
            socket.create_connection((HOST, program.port), timeout=2).close()
        else:
            urlopen(program.ready_url, timeout=2).close()  # noqa: S310 - our own address
    except (OSError, HTTPException):
        return False
    return True


def _git(*arguments: str) -> None:
    """Run git; whoever calls this inside a hook has variables set that would lead it elsewhere."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ControlPlaneError(f"git {' '.join(arguments)}: {done.stderr.strip()}")

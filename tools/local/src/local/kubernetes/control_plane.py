"""A control plane of kwokctl's binary runtime: etcd, kube-apiserver and, where wanted, controllers and simulated nodes.

with ControlPlane(tmp_path / "cluster") as cluster:   # free ports, everything in that folder, gone at the end
    cluster.kubectl.apply(Path("base/departments/finance.yaml"))
"""

import json
import os
import random
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psutil
import yaml

from local.addresses import HOST
from local.kubernetes.kubectl import Kubectl, wait_for
from local.kubernetes.tools import module_folder, tool
from local.state import StateFolder
from local.supervision import MARK, Supervisor, last_lines

NAME = "fileprocessing"
NAMESPACE = "file-processing"
SINGLE_PORTS = range(20_000, 30_000)
"""Above the blocks of `local.stack`, below Services' node ports and outgoing connections' (32,768 and more)."""
API_SERVER = ("etcdBinary", "kubeApiserverBinary")
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kwok-controller")
PROGRAMS = {
    "etcdBinary": "etcd",
    "kubeApiserverBinary": "kube-apiserver",
    "kubeControllerManagerBinary": "kube-controller-manager",
    "kubeSchedulerBinary": "kube-scheduler",
    "kwokControllerBinary": "kwok",
    "metricsServerBinary": "metrics-server",
}
PORTS = (
    "etcdPort",
    "etcdPeerPort",
    "kubeApiserverPort",
    "kubeControllerManagerPort",
    "kubeSchedulerPort",
    "kwokControllerPort",
    "metricsServerPort",
)
# Those of local.kubernetes.nodes alone, so that a real kubelet could join beside them.
MANAGED_NODES = ("manage-all-nodes=false", "manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake")
START_SECONDS = 120


class ControlPlaneError(Exception):
    """The control plane cannot do what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class _Command:
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    log: Path


class ControlPlane:
    """One control plane: everything it writes is in one folder, and every process is marked with it."""

    def __init__(
        self,
        folder: Path,
        *,
        controllers: bool = False,
        api_server_arguments: Sequence[str] = (),
        controller_arguments: Sequence[str] = (),
        certificate_names: Sequence[str] = (),
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: Where everything is written; removed when the control plane stops.
            controllers: Whether controllers, the scheduler and simulated nodes run too.
            api_server_arguments: More of kube-apiserver's, without dashes, such as `audit-log-path=/tmp/log`;
                `{certificates}` is the folder of the cluster's certificates.
            controller_arguments: The same of kube-controller-manager's.
            certificate_names: Names and addresses that the API server has beside those of this machine.
        """
        self.folder = folder.resolve()
        self.kubeconfig = self.folder / "kubeconfig.yaml"
        self.kubectl = Kubectl(self.kubeconfig)
        self._supervisor = Supervisor(StateFolder(self.folder))
        self._controllers = controllers
        self._api_server_arguments = api_server_arguments
        self._controller_arguments = controller_arguments
        self._certificate_names = certificate_names
        self._killed: dict[str, _Command] = {}
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        """Start, and wait until the API server answers."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop, and leave nothing."""
        self.stop()

    def start(self) -> None:
        """Start it, and wait until the API server answers.

        Raises:
            ControlPlaneError: It did not start; the message has the ends of the logs.
            ToolError: A program could not be built.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "kwokctl.yaml"
        configuration.write_text(json.dumps(self._configuration(), indent=2))
        arguments = {
            "kube-apiserver": [each.format(certificates=self.certificates) for each in self._api_server_arguments],
            "kwok-controller": MANAGED_NODES if self._controllers else (),
            "kube-controller-manager": self._controller_arguments,
        }
        named = [[f"--extra-args={name}={each}" for each in given] for name, given in arguments.items()]
        # kwokctl 0.8 miscounts where a program's second argument comes before another program's first.
        extra = [each for together in zip_longest(*named) for each in together if each is not None]
        created = subprocess.run(
            [
                *(str(tool("kwokctl")), "create", "cluster", f"--name={NAME}", f"--config={configuration}"),
                *(f"--kubeconfig={self.kubeconfig}", f"--wait={START_SECONDS}s", *extra),
            ],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if created.returncode:
            logs = "\n".join(f"{log}:\n{last_lines(log)}" for log in sorted(self.logs.glob("*.log")))
            raise ControlPlaneError(f"the control plane did not start:\n{created.stderr.strip()}\n{logs}")
        self.kubectl.run("config", "set-context", "--current", f"--namespace={NAMESPACE}")

    def _configuration(self) -> dict[str, object]:
        programs = PROGRAMS if self._controllers else {name: PROGRAMS[name] for name in API_SERVER}
        return {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "options": {
                "runtime": "binary",
                "bindAddress": HOST,
                # kwokctl would choose the same ports for two control planes that start at once.
                **dict(zip(PORTS, free_ports(len(PORTS)), strict=True)),
                **(metrics_server() if self._controllers else {"disable": CONTROLLERS}),
                "kubectlBinary": str(tool("kubectl")),
                "kubeApiserverCertSANs": list(self._certificate_names),
                **{name: str(tool(program)) for name, program in programs.items()},
            },
        }

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes; it marks them as the control plane's own, so that `stop` finds them."""
        # kwokctl takes the kubectl that it finds first.
        path = f"{tool('kubectl').parent}:{os.environ['PATH']}"
        return {MARK: str(self.folder), "KWOK_WORKDIR": str(self.folder / "kwok"), "PATH": path}

    @property
    def logs(self) -> Path:
        """One file for each of its processes."""
        return self._of_kwok / "logs"

    @property
    def certificates(self) -> Path:
        """`ca.crt`, which signed those of everyone who has one; `admin.crt` and its key."""
        return self._of_kwok / "pki"

    @property
    def _of_kwok(self) -> Path:
        return self.folder / "kwok" / "clusters" / NAME

    @property
    def api_server_port(self) -> int:
        """Where the API server listens, once it was started."""
        server = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        return urlsplit(str(server)).port or 443

    def process(self, name: str) -> psutil.Process:
        """One of its processes: `etcd`, `kube-apiserver`, …

        Raises:
            ControlPlaneError: There is none of that name.
        """
        for process in self._supervisor.members():
            with suppress(psutil.NoSuchProcess):
                if process.name() == name[:15]:
                    return process
        raise ControlPlaneError(f"no process {name} of {self.folder} is running")

    def kill(self, name: str) -> None:
        """Kill one of its processes as `kill -9` does, and wait until it is gone."""
        process = self.process(name)
        log = Path(f"/proc/{process.pid}/fd/1").readlink()
        self._killed[name] = _Command(process.cmdline(), process.environ(), process.cwd(), log)
        process.kill()
        psutil.wait_procs([process], timeout=10)

    def start_again(self, name: str) -> None:
        """Start a process that was killed, with the same arguments; does not wait until it is ready."""
        command = self._killed.pop(name)
        with command.log.open("ab") as log:
            self._children.append(
                subprocess.Popen(
                    command.arguments,
                    env=command.environment,
                    cwd=command.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def wait_until_ready(self) -> None:
        """Wait until the API server says that it can do its work.

        Raises:
            NotYet: It did not within two minutes.
        """
        wait_for(lambda: self.kubectl.run("get", "--raw", "/readyz"), START_SECONDS, "the API server's /readyz")

    def stop(self) -> int:
        """Stop whatever runs of it, and remove its folder; returns how many processes there were."""
        # Nothing that they could save would be read again, and some take their time to end in order.
        killed = self._supervisor.members()
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(killed, timeout=10)
        count = len(killed) + self._supervisor.stop()
        for child in self._children:
            child.wait()
        self._children.clear()
        # A node's folder has the files of every image, a hundred thousand and more: Python needs a minute for them.
        subprocess.run(["rm", "-rf", "--one-file-system", "--", self.folder], check=True)
        return count


def metrics_server() -> dict[str, object]:
    """kwokctl's options for what autoscalers need; by default it would fetch the manifests from the internet."""
    module = module_folder("sigs.k8s.io/metrics-server", "metrics-server")
    return {"enable": ["metrics-server"], "metricsServerManifests": [str(module / "manifests" / "base")]}


_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different, and none of those that the system gives to outgoing connections.

    One of the latter could be taken before its server starts. For the same reason a port is given once only.
    """
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = random.choice(SINGLE_PORTS)  # noqa: S311 - not a secret
            if port in _given:
                continue
            with suppress(OSError):
                stack.enter_context(socket.create_server((HOST, port)))
                found.append(port)
        _given.update(found)
        return found

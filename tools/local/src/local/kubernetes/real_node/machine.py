"""The node itself: namespaces that one process holds. When that process ends, the kernel ends all that was in them."""

import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

from local.kubernetes.control_plane import ControlPlane, ControlPlaneError
from local.kubernetes.programs import Program
from local.kubernetes.real_node import cgroups, files, network
from local.kubernetes.real_node.check import obstacle, plugin_folder
from local.kubernetes.real_node.images import image_name, write_image
from local.kubernetes.tools import tool

TOOLS = ("kubelet", "kube-proxy", "kube-router", "coredns", "pause")
COREDNS_IMAGE = "localhost/coredns:1"
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# What the kernel tells of children that nobody waits for is ignored, so that none of them stays as a zombie.
HOLD = """\
set -e
mount -t tmpfs node /run
mount --bind lib /var/lib
mount --bind log /var/log
touch held
trap '' CHLD
exec sleep infinity
"""
HOLD_SECONDS = 10


class RealNode:
    """One node: everything it writes is in a folder, and in namespaces that end with it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Nothing is started yet.

        Args:
            folder: The cluster's folder.
            environment: Marks its processes as the cluster's own, so that those who stop that find them.
        """
        self._cluster = folder
        self._folder = folder / "node"
        self._environment = environment
        self._cgroup = cgroups.name(folder)
        self._holder: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """See that it can run here.

        Raises:
            ControlPlaneError: It cannot, and why.
        """
        if (owner := network.owner()) is not None:
            raise ControlPlaneError(f"a real node runs on this machine already, and there can be one: that of {owner}")
        if reason := obstacle(self._cluster):
            raise ControlPlaneError(f"this machine cannot run a real node: {reason}")

    def start(self, control_plane: ControlPlane) -> None:
        """Make the namespaces and the cable, and write what the programs read.

        Raises:
            ControlPlaneError: The kernel refused.
        """
        self._folder.mkdir()
        for name in ("lib", "log"):
            (self._folder / name).mkdir()
        plugins = plugin_folder()
        assert plugins is not None  # noqa: S101 - check has seen to it
        files.write_files(
            self._folder,
            admin=control_plane.kubeconfig,
            certificates=control_plane.certificates,
            plugins=plugins,
            cgroup=self._cgroup,
        )
        write_image(self._folder / "pause.tar", files.PAUSE_IMAGE, tool("pause"))
        write_image(self._folder / "coredns.tar", COREDNS_IMAGE, tool("coredns"))
        try:
            cgroups.make(self._cgroup)
            self._hold()
            network.connect(self._pid, self._cluster)
        except (OSError, network.NetworkError) as error:
            raise ControlPlaneError(f"the node's namespaces could not be made: {error}") from error

    def _hold(self) -> None:
        self._holder = subprocess.Popen(
            [*UNSHARE, "sh", "-c", HOLD],
            cwd=self._folder,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + HOLD_SECONDS
        while not (self._folder / "held").exists():
            if self._holder.poll() is not None or time.monotonic() > deadline:
                raise ControlPlaneError("the node's namespaces could not be made; what the kernel said is above")
            time.sleep(0.02)
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._pid_file.write_text(children.read_text().split()[0])

    @property
    def _pid_file(self) -> Path:
        return self._folder / "pid"

    @property
    def _pid(self) -> int:
        """The process that holds the namespaces, of whichever process asks."""
        return int(self._pid_file.read_text())

    def programs(self, api_server_port: int, aws_port: int) -> list[Program]:
        """What runs in the node, and what stands at the addresses outside it."""
        forward = [sys.executable, "-m", "local.kubernetes.real_node.forward"]
        labels = ",".join(f"{name}={value}" for name, value in files.ZONE_LABELS.items())
        kubelet = [
            *("sh", "-c", f'until test -S {files.SOCKET}; do sleep 0.1; done; exec "$@"', "kubelet"),
            *(str(tool("kubelet")), f"--config={self._folder}/kubelet.yaml", "--root-dir=/var/lib/kubelet"),
            *(f"--kubeconfig={self._folder}/kubeconfig.yaml", f"--hostname-override={files.NAME}"),
            *(f"--node-ip={network.NODE}", f"--node-labels={labels}"),
        ]
        containerd = ["containerd", f"--config={self._folder}/containerd.toml"]
        kube_proxy = [str(tool("kube-proxy")), f"--config={self._folder}/kube-proxy.yaml"]
        # It ends where its node is not there yet.
        registered = f"{tool('kubectl')} --kubeconfig={self._folder}/kubeconfig.yaml get node {files.NAME}"
        kube_router = [
            *("sh", "-c", f'until {registered} >/dev/null 2>&1; do sleep 0.5; done; exec "$@"', "kube-router"),
            *(str(tool("kube-router")), f"--kubeconfig={self._folder}/kube-router.kubeconfig.yaml"),
            *(f"--hostname-override={files.NAME}", f"--service-cluster-ip-range={network.SERVICE_CIDR}"),
            *("--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--enable-cni=false"),
            f"--health-port={files.POLICIES_HEALTH_PORT}",
        ]
        inside = {
            "containerd": (containerd, files.METRICS_PORT, "v1/metrics"),
            "kubelet": (kubelet, files.KUBELET_HEALTH_PORT, "healthz"),
            "kube-proxy": (kube_proxy, files.PROXY_HEALTH_PORT, "healthz"),
            "kube-router": (kube_router, files.POLICIES_HEALTH_PORT, "healthz"),
        }
        return [
            *(
                Program(name, network.in_node(self._pid, *command), port, f"http://{network.NODE}:{port}/{path}")
                for name, (command, port, path) in inside.items()
            ),
            Program(
                "api-server-address", [*forward, f"{network.API_SERVER}:443", str(api_server_port)], api_server_port
            ),
            Program("aws-address", [*forward, f"{network.AWS}:443", str(aws_port)], aws_port),
        ]

    def import_images(self, archives: Mapping[str, Path]) -> None:
        """Give containerd the node's own images, and others.

        Args:
            archives: OCI archives by what their images are to be called.

        Raises:
            ControlPlaneError: One is not an image.
        """
        own = {files.PAUSE_IMAGE: self._folder / "pause.tar", COREDNS_IMAGE: self._folder / "coredns.tar"}
        for name, archive in {**own, **archives}.items():
            try:
                self._images("import", str(archive))
                self.tag(image_name(archive), name)
            except (KeyError, OSError, tarfile.TarError, network.NetworkError) as error:
                raise ControlPlaneError(f"{archive} could not be imported: {error}") from error

    def tag(self, image: str, name: str) -> None:
        """Give an image that is there another name."""
        if image != name:
            self._images("tag", "--force", image, name)

    def _images(self, *arguments: str) -> None:
        self.run("ctr", "--address", files.SOCKET, "--namespace", "k8s.io", "images", *arguments)

    def run(self, *arguments: str) -> str:
        """Run a command in the node; returns its standard output."""
        return network.command(*network.in_node(self._pid, *arguments))

    def remove(self) -> None:
        """Remove what the kernel keeps of it once its processes are gone."""
        if self._holder is not None:
            self._holder.wait(HOLD_SECONDS)
            self._holder = None
        network.disconnect(self._cluster)
        cgroups.remove(self._cgroup)

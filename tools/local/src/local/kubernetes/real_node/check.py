"""Whether this machine can run a real node: found out by trying, since nothing else tells it truly."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from local.kubernetes.real_node import cgroups, network

PACKAGES: Final = {
    "containerd": "containerd",
    "runc": "runc",
    "ctr": "containerd",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "sysctl": "procps",
}
PLUGINS: Final = ("ptp", "host-local", "loopback")
PLUGIN_FOLDERS: Final = (Path("/opt/cni/bin"), Path("/usr/lib/cni"))
HIDDEN: Final = (Path("/run"), Path("/var/lib"), Path("/var/log"))
"""Folders that the node sees as its own."""
TRIAL: Final = """\
set -e
ip link set lo up
ip link add trial type veth peer name other
sysctl --quiet --write net.ipv4.ip_forward=1
nft 'add table ip trial; add chain ip trial nat { type nat hook prerouting priority 0; }'
iptables -t filter -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
ipset create trial hash:ip timeout 0
iptables -t filter -A FORWARD -m set --match-set trial src -m mark --mark 0x10000/0x10000 -j NFLOG
iptables -t filter -A FORWARD -m physdev --physdev-is-bridged -m limit --limit 10/minute -j REJECT
mount -t tmpfs trial /run
mkdir below above work all
mount -t overlay -o lowerdir=below,upperdir=above,workdir=work trial all
test -r /dev/kmsg
"""


def plugin_folder() -> Path | None:
    """Where the CNI plugins are."""
    for folder in PLUGIN_FOLDERS:
        if all((folder / name).exists() for name in PLUGINS):
            return folder
    return None


def obstacle(state: Path) -> str | None:
    """Why this machine cannot run a real node, in one line that says what to do; None where it can.

    Args:
        state: The folder that everything is to be written to.
    """
    if os.name != "posix" or os.uname().sysname != "Linux":
        return "a real node needs Linux"
    if os.geteuid() != 0:
        return "a real node needs root, for containers and their network"
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if plugin_folder() is None:
        missing.append("containernetworking-plugins")
    if missing:
        return f"packages are missing: apt-get install {' '.join(dict.fromkeys(missing))}"
    for folder in HIDDEN:
        if state.resolve().is_relative_to(folder):
            return f"the state folder is in {folder}, which the node has as its own; choose another by LOCAL_STATE"
    return _trial(state) or cgroups.obstacle() or _network()


def _trial(state: Path) -> str | None:
    there = next(folder for folder in (state.resolve(), *state.resolve().parents) if folder.exists())
    with tempfile.TemporaryDirectory(dir=there) as folder:
        tried = subprocess.run(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", TRIAL],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    if not tried.returncode:
        return None
    said = (tried.stderr or tried.stdout).strip().splitlines() or [f"status {tried.returncode}"]
    return f"the kernel, or what confines this process, does not let it run containers: {said[-1]}"


def _network() -> str | None:
    if taken := network.taken():
        return f"addresses that the node needs are in use on this machine: {taken}"
    return None

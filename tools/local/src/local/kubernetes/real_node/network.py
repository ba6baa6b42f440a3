"""The node's network: as a cluster on AWS has it, so that the manifests' addresses mean here what they mean there.

One cable from this machine to the node. This machine's end has the addresses of what is outside the cluster: the load
balancer's subnet, from which requests come, and the internal subnet, in which the API server and AWS answer on 443.
"""

import ipaddress
import json
import subprocess
from pathlib import Path
from typing import Final

LINK: Final = "fileproc-node"
"""This machine's end of the cable. There is one real node at a time: its name is the lock."""
MACHINE: Final = "100.64.0.1"
NODE: Final = "100.64.0.2"
POD_CIDR: Final = "100.64.1.0/24"
SERVICE_CIDR: Final = "172.20.0.0/16"
API_SERVER_SERVICE: Final = "172.20.0.1"
DNS_SERVICE: Final = "172.20.0.10"
GATEWAY_SERVICE: Final = "172.20.0.20"
"""As overlays/real says it."""
LOAD_BALANCER: Final = "10.0.1.1"
API_SERVER: Final = "10.0.11.1"
AWS: Final = "10.0.11.2"
ROUTED: Final = (POD_CIDR, SERVICE_CIDR)
USED: Final = (f"{MACHINE}/30", *ROUTED, *(f"{each}/32" for each in (LOAD_BALANCER, API_SERVER, AWS)))


class NetworkError(Exception):
    """A command refused; the message has what it said."""


def command(*arguments: str) -> str:
    """Run a command; returns its standard output.

    Raises:
        NetworkError: It failed.
    """
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkError(f"{' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def in_node(pid: int, *arguments: str) -> list[str]:
    """A command that runs in the namespaces of the process that holds the node."""
    return ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", "--", *arguments]


def connect(pid: int, owner: Path) -> None:
    """Lay the cable to the node that a process holds; the link says whose it is.

    Raises:
        NetworkError: There is a node already, or the kernel refuses.
    """
    command("ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    command("ip", "link", "set", LINK, "alias", _alias(owner))
    command("ip", "address", "add", f"{MACHINE}/30", "dev", LINK)
    for address in (LOAD_BALANCER, API_SERVER, AWS):
        command("ip", "address", "add", f"{address}/32", "dev", LINK)
    command("ip", "link", "set", LINK, "up")
    for arguments in (
        ("ip", "link", "set", "lo", "up"),
        ("ip", "address", "add", f"{NODE}/30", "dev", "eth0"),
        ("ip", "link", "set", "eth0", "up"),
        ("ip", "route", "add", "default", "via", MACHINE),
        ("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1"),
    ):
        command(*in_node(pid, *arguments))
    for network in ROUTED:
        command("ip", "route", "add", network, "via", NODE, "dev", LINK, "src", LOAD_BALANCER)


def owner() -> str | None:
    """The folder of the cluster whose node is connected; None where there is none."""
    link = Path("/sys/class/net") / LINK
    return (link / "ifalias").read_text().strip() or "?" if link.exists() else None


def disconnect(folder: Path) -> None:
    """Take the cable away, where it is this cluster's; the kernel would do that by itself, but later."""
    if owner() == _alias(folder):
        # The kernel may have been quicker.
        subprocess.run(["ip", "link", "delete", LINK], capture_output=True, check=False)


def taken() -> str | None:
    """What of this machine's network has addresses that the node needs; None where nothing has."""
    needed = [ipaddress.ip_network(each, strict=False) for each in USED]
    for route in json.loads(command("ip", "-json", "-4", "route", "show", "table", "all")):
        if route["dst"] == "default" or route.get("dev") == LINK:
            continue
        network = ipaddress.ip_network(route["dst"], strict=False)
        if any(network.overlaps(each) for each in needed):
            return f"{route['dst']} (interface {route.get('dev', '?')})"
    return None


def _alias(folder: Path) -> str:
    return str(folder)[-250:]

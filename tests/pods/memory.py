"""What memory pods have, and how one comes to its limit."""

from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.pods.world import NAMESPACE, World, is_ready, processes

from local.kubernetes.kubectl import KubectlError, Object

UNITS = {"Mi": 2**20, "Gi": 2**30}
# As a leak would: what takes the memory is the container's and no process's, so that the kernel chooses the service.
LEAK = """
import os
open('/proc/1/oom_score_adj', 'w').write('1000')
taken = os.memfd_create('leak')
while True:
    os.write(taken, b'x' * (8 << 20))
"""


def reach_limit(world: World, pod: Object) -> None:
    """Take what the limit of a pod's container leaves; returns once the kernel has killed it, and it is back."""
    name, before = pod["metadata"]["name"], world.restarts()
    with pytest.raises(KubectlError):
        world.kubectl.run("exec", name, "-n", NAMESPACE, "--", "/usr/bin/python3.11", "-c", LEAK, seconds=120)

    def is_back() -> bool:
        now = world.kubectl.get("pod", name, namespace=NAMESPACE) or {}
        (container,) = now.get("status", {}).get("containerStatuses") or [{}]
        was_killed = container.get("lastState", {}).get("terminated", {}).get("reason") == "OOMKilled"
        return was_killed and container["restartCount"] > before[name] and is_ready(now)

    world.wait(is_back, f"{name} was killed for its memory, and is back")


def asked(pod: Object, kind: str) -> str:
    """Memory that a pod `requests`, or `limits` itself to."""
    return str(pod["spec"]["containers"][0]["resources"][kind]["memory"])


def megabytes(quantity: str) -> float:
    """Of a quantity as Kubernetes writes it."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]] / 1e6


def most(pod: Object) -> float:
    """MB that a pod's processes had in memory at any time since they started, as the kernel has noted it."""
    return sum(map(_most, processes(pod)))


def _most(process: psutil.Process) -> float:
    with suppress(OSError):  # it has ended meanwhile
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), 0.0)
    return 0.0

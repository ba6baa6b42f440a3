"""The node's control groups: one of its own, which the kubelet takes for the root of all."""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

MOUNT: Final = Path("/sys/fs/cgroup")
CONTROLLERS: Final = ("cpu", "cpuset", "memory", "pids")
REMOVE_SECONDS: Final = 10
# The group stands for a whole node, of as many processes as it has pods; by default it would count as one process.
WEIGHTS: Final = {"cpu.shares": "8192", "cpu.weight": "800"}


def name(folder: Path) -> str:
    """The group of a cluster's node, as the kubelet is told it."""
    return f"/fileproc-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def _is_unified() -> bool:
    return (MOUNT / "cgroup.controllers").exists()


def _places(group: str) -> list[Path]:
    if _is_unified():
        return [MOUNT / group[1:]]
    if not MOUNT.is_dir():
        return []
    # cpu and cpuacct may be two links to one hierarchy.
    hierarchies = {each.resolve() for each in MOUNT.iterdir() if each.is_dir()}
    return [hierarchy / group[1:] for hierarchy in sorted(hierarchies)]


def obstacle() -> str | None:
    """Why no group can be made here; None where one can."""
    try:
        if _is_unified():
            there = (MOUNT / "cgroup.controllers").read_text().split()
        else:
            there = [each.name for each in MOUNT.iterdir()]
        if missing := [each for each in CONTROLLERS if each not in there]:
            return f"the kernel has no control groups for: {', '.join(missing)}"
        trial = f"/fileproc-trial-{os.getpid()}"
        try:
            make(trial)
        finally:
            remove(trial)
    except OSError as error:
        return f"no control group can be made: {error.filename}: {error.strerror}"
    return None


def make(group: str) -> None:
    """Make the group, in every hierarchy."""
    if _is_unified():
        (MOUNT / "cgroup.subtree_control").write_text(" ".join(f"+{each}" for each in CONTROLLERS))
    for place in _places(group):
        place.mkdir(exist_ok=True)
        # An older kernel's cpuset is empty until it is filled, and lets no process in.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not _is_unified() and (place / file).exists():
                (place / file).write_text((place.parent / file).read_text())
        for file, weight in WEIGHTS.items():
            if (place / file).exists():
                (place / file).write_text(weight)


def remove(group: str) -> None:
    """Remove it with all below it; its processes are dead or dying."""
    deadline = time.monotonic() + REMOVE_SECONDS
    left = [place for place in _places(group) if place.exists()]
    while left and time.monotonic() < deadline:
        for place in left:
            for folder, _, _ in os.walk(place, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
        left = [place for place in left if place.exists()]
        if left:
            time.sleep(0.05)

"""An image's file system, and a process in it as a node would start it: read-only root, the user of the image."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from delivery.images.builder import Builder

# What the runtime mounts: the root read-only, /proc, /dev, and an empty /tmp.
ENTER = """
set -e
mount --bind "$1" "$1"
mount --bind /proc "$1/proc"
mount --bind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
mount -o remount,bind,ro "$1"
root=$1; user=$2; shift 2
exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"
"""


@contextmanager
def mounted(builder: Builder, reference: str) -> Iterator[Path]:
    """Where an image's files are, as one folder."""
    container = builder._output("from", "--pull-never", reference).strip()
    try:
        yield Path(builder._output("mount", container).strip())
    finally:
        builder._output("rm", container)


def command(root: Path, config: Mapping[str, Any], *arguments: str) -> list[str]:
    """What starts the image's program with other arguments, or with its own."""
    program = [*config["Entrypoint"], *(arguments or config["Cmd"])]
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "sh", str(root), config["User"], *program]


def environment(config: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, str]:
    """The image's variables and the pod's, and nothing of this machine."""
    return {**dict(entry.split("=", 1) for entry in config["Env"]), **settings}


@contextmanager
def running(root: Path, config: Mapping[str, Any], settings: Mapping[str, str], log: Path) -> Iterator[Any]:
    """The image's program, until the end of the block."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command(root, config), env=environment(config, settings), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def what_is_missing() -> str | None:
    """Why images cannot be built, mounted and entered here; None where they can."""
    if missing := [name for name in ("buildah", "debootstrap", "go", "unshare", "setpriv") if not shutil.which(name)]:
        return f"{', '.join(missing)} is not installed"
    if os.geteuid():
        return "only root can"
    tried = subprocess.run(["unshare", "--mount", "--propagation=private", "true"], capture_output=True, check=False)
    return f"no mounts of one's own here: {tried.stderr.decode().strip()}" if tried.returncode else None


if __name__ == "__main__" and (reason := what_is_missing()):
    print(f"Tests of images are left out: {reason}")

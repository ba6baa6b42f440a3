"""The pinned programs of tools/."""

import subprocess
from functools import cache
from pathlib import Path

from delivery.errors import DeliveryError


@cache
def tool(root: Path, name: str) -> str:
    """The path of a program that `tools/build` of this repository builds, which takes a while the first time."""
    built = subprocess.run([str(root / "tools/build"), name], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode:
        raise DeliveryError(f"{name} could not be built; the reason is above, and again in: tools/build {name}")
    return built.stdout.strip()

"""The pinned programs of tools/, built when they are first asked for."""

import subprocess
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[5]


class ToolError(Exception):
    """A program could not be built; what the compiler said went to standard error."""


@cache
def tool(name: str) -> Path:
    """The path of one of the programs that `tools/build --list` lists. Building it the first time takes minutes.

    Raises:
        ToolError: It could not be built.
    """
    built = subprocess.run([REPOSITORY / "tools" / "build", name], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode:
        raise ToolError(f"{name} could not be built; the reason is above, and again in: tools/build {name}")
    return Path(built.stdout.strip())

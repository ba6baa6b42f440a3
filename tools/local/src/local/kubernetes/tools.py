"""The pinned programs of tools/, built when they are first asked for, and the modules that they are built from."""

import json
import os
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


@cache
def module_folder(module: str, tools: str = "") -> Path:
    """The read-only folder of a Go module: of `module@version`, or in the version that `tools/<tools>/go.mod` requires.

    Raises:
        ToolError: It could not be fetched.
    """
    fetched = subprocess.run(
        ["go", "mod", "download", "-json", module],
        cwd=REPOSITORY / "tools" / tools,
        env={**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "", "GOWORK": "off"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if fetched.returncode:
        raise ToolError(f"the module {module} could not be fetched: {fetched.stdout.strip()}")
    return Path(json.loads(fetched.stdout)["Dir"])

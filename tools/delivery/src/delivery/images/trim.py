"""Run by itself in the images' build stage: `trim.py FOLDER` makes installed packages smaller, and the same each time.

What no running service opens goes away: tests, headers, type stubs, pyarrow's parts for protocols nobody here speaks.
What differs from build to build goes away. Then everything is compiled: with a read-only root it could not be later.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Where the packages will be in the image: what tracebacks show.
APP = "/app"
FOLDERS = ("__pycache__", "tests", "test")
FILES = (
    *("*.pyi", "*.h", "*.hpp", "*.a", "*.pyx", "*.pxd", "*.pxi", "*.map", "*.pth"),
    # Arrow Flight, and S3 by Arrow: 50 MB that are only loaded where they are asked for.
    *("libarrow_flight.*", "libarrow_python_flight.*", "_flight.*", "libarrow_s3.*", "_s3fs.*"),
    # How and when a package was installed.
    *("uv_cache.json", "direct_url.json", "REQUESTED"),
)


def trim(root: Path) -> None:
    """Remove what is not needed at run time, and the commands, whose interpreter is the build stage's."""
    shutil.rmtree(root / "bin", ignore_errors=True)
    shutil.rmtree(root / "pyarrow" / "include", ignore_errors=True)
    for name in FOLDERS:
        for folder in [path for path in root.rglob(name) if path.is_dir()]:
            shutil.rmtree(folder, ignore_errors=True)
    for pattern in FILES:
        for file in root.rglob(pattern):
            file.unlink()


def compile_all(root: Path) -> None:
    """Compile each top-level package in a process of its own: what was compiled before it would show in the bytecode.

    A template that is no Python of this version stays uncompiled, as it does when pip installs it.
    """

    def compile_one(entry: Path) -> None:
        arguments = ["-qq", "-s", str(root), "-p", APP, "--invalidation-mode", "unchecked-hash", str(entry)]
        subprocess.run([sys.executable, "-m", "compileall", *arguments], check=False, env={"PYTHONHASHSEED": "0"})

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sorted(root.iterdir())))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    trim(folder)
    compile_all(folder)

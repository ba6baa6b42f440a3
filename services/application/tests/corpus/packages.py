"""Other projects' test data: their packages, pinned, fetched by their own clients and kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from services.application.tests.corpus.judges import JUDGES
from services.common.tests import npm

WHEELS: Final = ("lifelines==0.30.3", "pingouin==0.7.0", "statsmodels==0.15.0")
SDISTS: Final = (
    "agate==1.14.2",
    "awkward==2.14.0",
    "csvkit==2.2.0",
    "frictionless==5.21.0",
    "pyexcel==0.7.6",
    "pyexcel-xlsx==0.6.1",
    "python-docx==1.2.0",
    "tablib==3.10.0",
    "xlsx2csv==0.8.6",
)
NPM: Final = ("csv-spectrum@2.0.0", "papaparse@5.7.1", "vega-datasets@3.2.1", "xlsx-populate@1.21.0")
PIP: Final = "pip==25.3"
UV: Final = os.environ.get("UV", "uv")
"""The uv that runs us; it need not be on PATH."""
LARGEST: Final = 64 << 10
"""Bytes; of larger files there are few, and they take most of the time."""
_ABOUT_PACKAGE: Final = re.compile(r"\.(?:dist|egg)-info/|/package\.json$")


def files() -> Iterator[tuple[str, bytes]]:
    """Each file of a format that is enriched, as ``package/path`` and its bytes, in order."""
    for archive in sorted(_fetched().iterdir()):
        package = archive.name.split("-")[0]
        yield from ((f"{package}/{path}", data) for path, data in sorted(_members(archive)))


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if _is_wanted(info.filename, info.file_size):
                    yield info.filename, wheel.read(info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and _is_wanted(member.name, member.size) and (file := tar.extractfile(member)):
                yield member.name.partition("/")[2], file.read()


def _is_wanted(name: str, size: int) -> bool:
    return not _ABOUT_PACKAGE.search(name) and name.rpartition(".")[2].lower() in JUDGES and 0 < size <= LARGEST


def _fetched() -> Path:
    """The folder of all archives; its name changes with what is in it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "internal-file-processing-system"
    packages = " ".join((*WHEELS, *SDISTS, *NPM))
    home = cache / f"corpus-{hashlib.sha256(packages.encode()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "corpus.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            _fetch_into(home)
    return home


def _fetch_into(home: Path) -> None:
    # Made aside and then moved, so that a broken download is never taken for the packages.
    aside = Path(tempfile.mkdtemp(prefix=home.name, dir=home.parent))
    try:
        pip = [UV, "tool", "run", "--quiet", "--python", "3.11", "--from", PIP, "pip", "download", "--quiet"]
        pip += ["--no-deps", "--dest", str(aside)]
        _run([*pip, "--only-binary", ":all:", *WHEELS])
        names = ",".join(package.partition("==")[0] for package in SDISTS)
        _run([*pip, "--no-binary", names, *SDISTS])
        _run([str(npm.NODE), str(npm.NPM), "pack", "--silent", "--pack-destination", str(aside), *NPM])
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, (
        f"Packages could not be fetched. Type this to see why:\n  {' '.join(command)}\n{done.stderr}"
    )

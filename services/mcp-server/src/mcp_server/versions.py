"""Versions of data sets on disk: each in a folder of its own, which appears when it is complete."""

import os
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BUILDING: Final = ".building"


@dataclass(frozen=True, slots=True)
class Versions:
    """A folder with a folder for each data set, with a folder for each version.

    Attributes:
        directory: It has `datasets`, which is what this changes.
        most_bytes: That they may take together.
    """

    directory: Path
    most_bytes: int

    @property
    def _datasets(self) -> Path:
        return self.directory / "datasets"

    def complete(self, dataset: str) -> list[Path]:
        """The folders of a data set's versions, the newest first."""
        found = [folder for folder in (self._datasets / dataset).glob("*") if folder.suffix != _BUILDING]
        return sorted(found, key=lambda folder: folder.stat().st_mtime_ns, reverse=True)

    def begin(self, dataset: str) -> Path:
        """A folder to build a version in; `keep` deletes it if nobody publishes it."""
        (self._datasets / dataset).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(_BUILDING, "", dir=self._datasets / dataset))

    def publish(self, folder: Path) -> Path:
        """Make a folder that `begin` gave a complete version; returns where it is now."""
        return folder.rename(folder.with_suffix(""))

    def keep(self, dataset: str, folder: Path | None) -> None:
        """Delete all versions of a data set but one; a reader that has another one open keeps it."""
        for other in (self._datasets / dataset).glob("*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)

    def forget_others(self, datasets: Collection[str]) -> None:
        """Delete what is of no data set that there is."""
        for folder in self._datasets.glob("*"):
            if folder.name not in datasets:
                shutil.rmtree(folder, ignore_errors=True)

    def free_bytes(self) -> int:
        """How much more can be written."""
        used = 0
        for folder, _, files in os.walk(self._datasets):
            for file in files:
                with suppress(FileNotFoundError):  # the server deletes older versions meanwhile
                    used += Path(folder, file).stat().st_size
        return min(self.most_bytes - used, shutil.disk_usage(self._datasets).free)

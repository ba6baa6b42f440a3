"""Where a result goes: a file that is there whole or not at all, or standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from fileproc.client import Client
from fileproc.download import check_absent, save
from fileproc.interface import Interface
from fileproc.models import Job
from fileproc.progress import transfer

STANDARD_OUTPUT = Path("-")


class Target:
    """What `-o` named; checked before anything is sent, so that nobody waits for a result that has no place."""

    def __init__(self, ui: Interface, path: Path, *, force: bool) -> None:
        """Refuse what could not be written at the end.

        Raises:
            OutputExists: It is there, and `force` is not set.
            typer.BadParameter: It cannot be written there.
        """
        self.path = path
        self._force = force
        self.is_stdout = path == STANDARD_OUTPUT
        if self.is_stdout:
            if ui.json:
                raise typer.BadParameter("- and --json would both write to standard output.", param_hint="-o")
            return
        if path.exists() and not path.is_file():
            raise typer.BadParameter(f"{path} is no regular file; - is standard output.", param_hint="-o")
        check_absent(path, overwrite=force)
        if not path.absolute().parent.is_dir():
            raise typer.BadParameter(f"There is no folder {path.parent}.", param_hint="-o")
        if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
            raise typer.BadParameter(f"Nothing may be written to {path.absolute().parent}.", param_hint="-o")

    def fetch(self, ui: Interface, client: Client, job: Job) -> int:
        """Write the result of a job. Returns its size in bytes."""
        size = job.result.size if job.result else None
        if self.is_stdout:
            written = 0
            for chunk in client.result(job.id):
                sys.stdout.buffer.write(chunk)
                written += len(chunk)
            sys.stdout.buffer.flush()
            return written
        with transfer(ui, "Fetching", self.path.name, size) as advance:
            return client.download(job.id, self.path, overwrite=self._force, advance=advance)

    def write(self, content: bytes) -> None:
        """Write something short, with the same guarantees."""
        if self.is_stdout:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:
            save(iter([content]), self.path, overwrite=self._force, advance=lambda _: None)

"""Shows how far something is: bars on a terminal, a line now and then elsewhere, nothing for machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from fileproc.interface import Interface, clean
from fileproc.models import Job

_SECONDS_BETWEEN_LINES = 5.0

Advance = Callable[[int], None]


@contextmanager
def transfer(ui: Interface, doing: str, name: str, size: int | None) -> Iterator[Advance]:
    """Show `name` being transferred (`doing` says how) while the context lasts; `size` is in bytes.

    Yields:
        What is to be told bytes as they pass.
    """
    title = clean(f"{doing} {name}")
    if ui.json or not ui.err.is_terminal:
        ui.say(title if size is None else f"{title} ({decimal(size)})")
        yield lambda _: None
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))
    with Progress(TextColumn("{task.description}", markup=False), *columns, console=ui.err) as progress:
        task = progress.add_task(title, total=size)
        yield lambda count: progress.update(task, advance=count)
        if size is None:
            progress.update(task, total=progress.tasks[0].completed)


@contextmanager
def enrichment(ui: Interface, name: str) -> Iterator[Callable[[Job], None]]:
    """Show a job while the context lasts.

    Yields:
        What is to be told the job whenever it has changed.
    """
    if ui.json or not ui.err.is_terminal:
        yield _Lines(ui, name).show
        return
    title = TextColumn("{task.description}", markup=False)
    figures = TextColumn("{task.fields[figures]}", markup=False)
    with Progress(title, BarColumn(), figures, SpinnerColumn(finished_text=" "), console=ui.err) as progress:
        task = progress.add_task(clean(f"Enriching {name}"), total=None, figures="waiting")
        yield lambda job: _update(progress, task, job)


def _update(progress: Progress, task: TaskID, job: Job) -> None:
    state = job.progress
    if job.status == "succeeded":
        done = state.total_rows or state.rows or 1
        progress.update(task, total=done, completed=done, figures=figures(job))
    elif state.total_rows:
        progress.update(task, total=state.total_rows, completed=state.rows, figures=figures(job))
    else:
        # Before the first byte is read the bar only shows that something goes on.
        progress.update(task, total=state.total_bytes or None, completed=state.bytes, figures=figures(job))


def figures(job: Job) -> str:
    """How far a job is, in a few words: rows, rate, time left."""
    if job.status == "queued":
        return "waiting for a worker"
    state = job.progress
    rows = f"{state.rows:,} of {state.total_rows:,} rows" if state.total_rows else f"{state.rows:,} rows"
    if job.status != "running":
        return f"{rows}, {job.status}"
    rate = f", {state.rows_per_second:,.0f} rows/s" if state.rows_per_second else ""
    left = "" if state.seconds_left is None else f", {_duration(state.seconds_left)} left"
    return f"{rows}{rate}{left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Lines:
    """A line for each change of the status, and every few seconds."""

    def __init__(self, ui: Interface, name: str) -> None:
        self._ui = ui
        self._name = name
        self._status: str | None = None
        self._next = 0.0

    def show(self, job: Job) -> None:
        now = time.monotonic()
        if job.status != self._status or now >= self._next:
            self._ui.say(f"Enriching {self._name}: {figures(job)}")
            self._status, self._next = job.status, now + _SECONDS_BETWEEN_LINES

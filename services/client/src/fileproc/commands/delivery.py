"""How commands wait for a job, and save what it made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import typer
from rich.filesize import decimal

from fileproc.client import Client
from fileproc.commands.jobs import cancelled
from fileproc.commands.reports import report_form
from fileproc.errors import FileprocError, Unavailable
from fileproc.interface import Interface
from fileproc.models import Job, Report
from fileproc.output import Target
from fileproc.progress import enrichment


def targets(ui: Interface, output: Path, report: Path | None, *, force: bool) -> tuple[Target, Target | None]:
    """Where the result and the report go. Raises `OutputExists`, `typer.BadParameter`."""
    target = Target(ui, output, force=force)
    if report is not None and report == output:
        raise typer.BadParameter(f"The result goes to {output} already.", param_hint="--report")
    return target, None if report is None else Target(ui, report, force=force)


def announce(ui: Interface, job: Job) -> None:
    """Say how to get the result of a job that goes on without this command."""
    if ui.json:
        ui.emit(job)
    else:
        ui.say(f"Job {job.id} is {job.status}. Its result: fileproc result {job.id} -o OUT")


def deliver(
    ui: Interface, client: Client, job: Job, target: Target, report_target: Target | None, *, cancel: bool = True
) -> None:
    """Wait for a job, and write what it made."""
    try:
        with _cancelled_by_ctrl_c(ui, client, job) if cancel else nullcontext(), enrichment(ui, job.file.name) as show:
            job = client.wait(job.id, show)
        size = target.fetch(ui, client, job)
    except OSError:
        ui.say(f"The result of job {job.id} is still there: fileproc result {job.id} -o OUT")
        raise
    except FileprocError as error:
        error.problem["job"] = job.id
        if isinstance(error, Unavailable):
            ui.say(f"Job {job.id} goes on without this command. Its result, later: fileproc result {job.id} -o OUT")
        raise
    if report_target is not None:
        report_target.write(client.rendered_report(job.id, report_form(report_target.path)).encode())
    found = client.report(job.id)
    if ui.json:
        document: dict[str, Any] = {"output": str(target.path), "size": size}
        ui.emit(document | {"job": job.model_dump(mode="json"), "report": found.model_dump(mode="json")})
    else:
        _summarise(ui, target, size, found)
        if any(entry.unmatched for entry in found.mappings):
            ui.say(f"  What was probably meant: fileproc review {job.id}")


@contextmanager
def _cancelled_by_ctrl_c(ui: Interface, client: Client, job: Job) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        try:
            stopped = client.cancel(job.id)
        except FileprocError as error:
            ui.complain(f"Job {job.id} could not be cancelled and goes on: {error} Later: fileproc cancel {job.id}")
        else:
            ui.say(cancelled(stopped))
        raise


def _summarise(ui: Interface, target: Target, size: int, report: Report) -> None:
    where = "Standard output" if target.is_stdout else str(target.path)
    ui.say(f"{where}: {decimal(size)}, {report.rows:,} rows")
    for entry in report.mappings:
        keys = entry.matched + entry.unmatched
        missing = f"{'' if entry.unmatched_distinct_is_exact else 'more than '}{entry.unmatched_distinct:,}"
        rest = f"; different keys that are not there: {missing}" if entry.unmatched else ""
        ui.say(f"  {entry.column} → {entry.dataset}: {entry.matched:,} of {keys:,} found{rest}")
        for cause in entry.causes:
            ui.say(f"    {cause.description}: {cause.keys:,}")
    for warning in report.warnings:
        ui.say(f"  {warning}")

"""`review`: why keys were not found, and a job with those that were meant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fileproc import options, tables
from fileproc.commands.delivery import announce, deliver, targets
from fileproc.interface import interface
from fileproc.models import MissesList
from fileproc.output import Target


def review(
    ctx: typer.Context,
    *,
    job_id: options.JobId,
    approve: options.Approve = None,
    keys: options.Keys = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE.xlsx", help="Write the keys to FILE, to be filled in.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Wait for the result and save it as OUT.")
    ] = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Show which keys a job did not find and why; begin a job with the keys that were meant."""
    ui = interface(ctx, as_json=as_json)
    decided = bool(approve or keys)
    if save is not None and decided:
        raise typer.BadParameter("First fill the workbook in, then give it back: --keys.", param_hint="--save")
    if output is not None and not decided:
        raise typer.BadParameter("There is a result only of approved keys: --approve or --keys.", param_hint="--output")
    if not decided:
        book = None if save is None else Target(ui, save, force=force)
        with ui.client() as client:
            found, report = client.misses(job_id), client.report(job_id)
        described = {each.cause: each.description for entry in report.mappings for each in entry.causes}
        if book is not None:
            from fileproc.misses import workbook  # openpyxl takes as long to import as all else

            book.write(workbook(found, described))
            ui.say(f"{save}: fill in 'Use this key', then: fileproc review {job_id} --keys {save} -o OUT")
        if ui.json:
            ui.emit(MissesList(misses=found))
        else:
            tables.show_misses(ui.out, job_id, found, described)
        return
    given = options.keys(keys)
    target = None if output is None else targets(ui, output, None, force=force)[0]
    with ui.client() as client:
        job = client.review(job_id, approve=approve or (), keys=given)
        if target is not None:
            deliver(ui, client, job, target, None)
        else:
            announce(ui, job)

"""`preview`, `enrich`, `retry`, `result`: a file in, and the enriched file out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from fileproc import options, tables
from fileproc.client import Client
from fileproc.commands.delivery import announce, deliver, targets
from fileproc.errors import FileprocError
from fileproc.interface import Interface, interface
from fileproc.models import File
from fileproc.progress import transfer
from fileproc.upload import check_file


def preview(
    ctx: typer.Context,
    *,
    file: options.InputFile,
    department: options.Departments = None,
    map_: options.Maps = None,
    column: options.Columns = None,
    sheet: options.Sheet = None,
    header_row: options.HeaderRow = None,
    no_header: options.NoHeader = False,
    delimiter: options.Delimiter = None,
    quote: options.Quote = None,
    decimal_sign: options.Decimal = None,
    encoding: options.Encoding = None,
    add_only: options.AddOnly = None,
    raw: options.Raw = False,
    approve: options.Approve = None,
    keys: options.Keys = None,
    recipe: options.Recipe = None,
    recipe_version: options.RecipeVersion = None,
    anyway: options.Anyway = False,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, max=100, help="How many rows.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Show the first rows enriched, how the file was read, and why which column was taken for a key."""
    ui = interface(ctx, as_json=as_json)
    mapping, columns, given = options.mapping(map_), options.columns(column), options.keys(keys)
    chosen = options.file_options(
        sheet=sheet, header_row=header_row, no_header=no_header, delimiter=delimiter, quote=quote,
        decimal=decimal_sign, encoding=encoding, add_only=add_only, raw=raw,
    )  # fmt: skip
    with ui.client() as client:
        uploaded = _upload(ui, client, file)
        try:
            shown = client.preview(
                uploaded.id,
                departments=department,
                mapping=mapping,
                columns=columns,
                options=chosen,
                approve=approve or (),
                keys=given,
                recipe=recipe,
                recipe_version=recipe_version,
                anyway=anyway,
                rows=rows,
            )
        finally:
            with suppress(FileprocError):
                client.delete_file(uploaded.id)
    if ui.json:
        ui.emit(shown)
    else:
        tables.show_preview(ui.out, shown)


def enrich(
    ctx: typer.Context,
    *,
    file: options.InputFile,
    output: options.Output,
    department: options.Departments = None,
    map_: options.Maps = None,
    column: options.Columns = None,
    sheet: options.Sheet = None,
    header_row: options.HeaderRow = None,
    no_header: options.NoHeader = False,
    delimiter: options.Delimiter = None,
    quote: options.Quote = None,
    decimal_sign: options.Decimal = None,
    encoding: options.Encoding = None,
    add_only: options.AddOnly = None,
    raw: options.Raw = False,
    approve: options.Approve = None,
    keys: options.Keys = None,
    recipe: options.Recipe = None,
    recipe_version: options.RecipeVersion = None,
    anyway: options.Anyway = False,
    report: options.ReportFile = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Send FILE, have it enriched, and save the result as OUT."""
    ui = interface(ctx, as_json=as_json)
    mapping, columns, given = options.mapping(map_), options.columns(column), options.keys(keys)
    chosen = options.file_options(
        sheet=sheet, header_row=header_row, no_header=no_header, delimiter=delimiter, quote=quote,
        decimal=decimal_sign, encoding=encoding, add_only=add_only, raw=raw,
    )  # fmt: skip
    target, report_target = targets(ui, output, report, force=force)
    with ui.client() as client:
        uploaded = _upload(ui, client, file)
        try:
            job = client.submit(
                uploaded.id, departments=department, mapping=mapping, columns=columns, options=chosen,
                approve=approve or (), keys=given, recipe=recipe, recipe_version=recipe_version, anyway=anyway,
            )  # fmt: skip
        except BaseException:  # nothing will ever refer to it
            with suppress(FileprocError):
                client.delete_file(uploaded.id)
            raise
        deliver(ui, client, job, target, report_target)


def retry(
    ctx: typer.Context,
    *,
    job_id: options.JobId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="Wait for the result and save it as OUT.")
    ] = None,
    report: options.ReportFile = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Retry a failed job."""
    ui = interface(ctx, as_json=as_json)
    if output is None:
        if report:
            raise typer.BadParameter(
                "The report is there only when the job is done: give -o too.", param_hint="--report"
            )
        with ui.client() as client:
            announce(ui, client.retry(job_id))
        return
    target, report_target = targets(ui, output, report, force=force)
    with ui.client() as client:
        deliver(ui, client, client.retry(job_id), target, report_target)


def result(
    ctx: typer.Context,
    *,
    job_id: options.JobId,
    output: options.Output,
    report: options.ReportFile = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Save the result of a job as OUT; waits for a running job, and leaves it alone on Ctrl-C."""
    ui = interface(ctx, as_json=as_json)
    target, report_target = targets(ui, output, report, force=force)
    with ui.client() as client:
        deliver(ui, client, client.job(job_id), target, report_target, cancel=False)


def _upload(ui: Interface, client: Client, path: Path) -> File:
    check_file(path)
    with transfer(ui, "Sending", path.name, path.stat().st_size) as advance:
        return client.upload(path, advance=advance)

"""`files`, `delete`: what is stored, and what is on its way there."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from fileproc import options, tables
from fileproc.errors import NotFound
from fileproc.interface import interface


def files(
    ctx: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="The maximum number of each.")] = 20,
    as_json: options.Json = False,
) -> None:
    """List your files, and your uploads that are not complete, newest first."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        stored, on_their_way = client.files(limit=limit), client.uploads(limit=limit)
    if ui.json:
        ui.emit({"files": stored.model_dump(mode="json")["files"], **on_their_way.model_dump(mode="json")})
    else:
        tables.show_files(ui.out, stored, on_their_way)


def delete(
    ctx: typer.Context,
    *,
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Files or uploads, as `fileproc files` lists them.")],
    as_json: options.Json = False,
) -> None:
    """Delete files with their jobs and results; abort uploads."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        for identifier in ids:
            # What is listed as an upload may be a file by now, so an upload that is not there is no answer yet.
            with suppress(NotFound):
                client.abort_upload(identifier)
                continue
            client.delete_file(identifier)
    if ui.json:
        ui.emit({"deleted": ids})
    else:
        ui.say("Deleted: " + ", ".join(ids))

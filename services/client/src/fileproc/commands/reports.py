"""`report`: what an enrichment did."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from fileproc import options
from fileproc.interface import clean, interface


class Form(StrEnum):
    """How a report is written."""

    TEXT = "text"
    HTML = "html"


def report(
    ctx: typer.Context,
    *,
    job_id: options.JobId,
    form: Annotated[Form, typer.Option("--format", help="For people: text, or a page for a browser.")] = Form.TEXT,
    as_json: options.Json = False,
) -> None:
    """Show what a job did: rows, matched and unmatched keys, versions of the data."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        if ui.json:
            ui.emit(client.report(job_id))
        else:
            sys.stdout.write(clean(client.rendered_report(job_id, form.value)))


def report_form(path: Path) -> Literal["text", "html", "json"]:
    """How a report in this file is written, by its ending."""
    endings: dict[str, Literal["html", "json"]] = {".html": "html", ".htm": "html", ".json": "json"}
    return endings.get(path.suffix.lower(), "text")

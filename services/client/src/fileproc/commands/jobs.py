"""`departments`, `jobs`, `job`, `cancel`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from fileproc import options, tables
from fileproc.interface import interface
from fileproc.models import Departments, Job


def departments(ctx: typer.Context, *, as_json: options.Json = False) -> None:
    """List the departments, data sets and columns that you may use."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        found = client.departments()
    if ui.json:
        ui.emit(Departments(departments=tuple(found)))
    else:
        tables.show_departments(ui.out, found)


def jobs(
    ctx: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: options.Json = False,
) -> None:
    """List your jobs, newest first."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        page = client.jobs(limit=min(limit, 50))
        while page.next and len(page.jobs) < limit:
            more = client.jobs(limit=min(limit - len(page.jobs), 50), cursor=page.next)
            page = more.model_copy(update={"jobs": (*page.jobs, *more.jobs)})
    if ui.json:
        ui.emit(page)
    else:
        tables.show_jobs(ui.out, page)


def job(ctx: typer.Context, *, job_id: options.JobId, as_json: options.Json = False) -> None:
    """Show one job."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        found = client.job(job_id)
    if ui.json:
        ui.emit(found)
    else:
        tables.show_job(ui.out, found)


def cancel(ctx: typer.Context, *, job_id: options.JobId, as_json: options.Json = False) -> None:
    """Stop a job; nothing of it is kept but its file."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        found = client.cancel(job_id)
    if ui.json:
        ui.emit(found)
    else:
        ui.say(cancelled(found))


def cancelled(found: Job) -> str:
    """What to say of a job that was asked to stop: one that runs does so within seconds."""
    return f"Job {found.id} is {'cancelled' if found.is_finished else 'being cancelled'}."

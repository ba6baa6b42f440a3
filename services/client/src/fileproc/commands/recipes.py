"""`recipe`: choices for a file, kept under a name to be used again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fileproc import options, tables
from fileproc.errors import InvalidRequest
from fileproc.interface import Interface, interface
from fileproc.models import Recipe, RecipeList

app = typer.Typer(no_args_is_help=True, help="Keep choices for a file under a name, and use them again.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The recipe's name, or its id.")]


@app.command("list")
def list_(ctx: typer.Context, *, as_json: options.Json = False) -> None:
    """List your recipes, and those that are shared with your groups."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        found = client.recipes()
    if ui.json:
        ui.emit(RecipeList(recipes=found))
    else:
        tables.show_recipes(ui.out, found)


@app.command()
def show(
    ctx: typer.Context,
    *,
    name: Name,
    version: Annotated[int | None, typer.Option("--version", metavar="N", min=1, help="Not the newest.")] = None,
    as_json: options.Json = False,
) -> None:
    """Show what a recipe has, and its versions."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        found = client.recipe(name, version)
    if ui.json:
        ui.emit(found)
    else:
        tables.show_recipe(ui.out, found)


@app.command()
def save(
    ctx: typer.Context,
    *,
    name: Name,
    job: Annotated[
        str | None, typer.Option("--job", metavar="ID", help="Keep what was chosen and approved for this job.")
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", min=1, help="Restore this version as the newest.")
    ] = None,
    choices: Annotated[
        Path | None, typer.Option("--choices", metavar="FILE", help="Keep the choices that `show --json` wrote.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Keep choices under NAME; a recipe that is there gets a new version."""
    ui = interface(ctx, as_json=as_json)
    if sum(source is not None for source in (job, version, choices)) != 1:
        raise typer.BadParameter("Give one of --job, --version and --choices.")
    given = None if choices is None else _choices(choices)
    with ui.client() as client:
        found = client.save_recipe(name, from_job=job, from_version=version, choices=given)
    _say(ui, found, f"Recipe {found.name}, version {found.version}, is kept. To use it: --recipe {found.name}")


@app.command()
def share(
    ctx: typer.Context,
    *,
    name: Name,
    group: Annotated[
        list[str] | None, typer.Option("--group", "-g", help="A group of yours; repeatable. Without it, none.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Let the members of these groups, and of no others, read and use your recipe."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        found = client.share_recipe(name, group or ())
    _say(ui, found, f"Recipe {found.name} is shared with: {', '.join(found.groups) or 'nobody'}")


@app.command()
def delete(ctx: typer.Context, *, name: Name, as_json: options.Json = False) -> None:
    """Delete your recipe with all its versions."""
    ui = interface(ctx, as_json=as_json)
    with ui.client() as client:
        client.delete_recipe(name)
    if ui.json:
        ui.emit({"deleted": name})
    else:
        ui.say(f"Recipe {name} is deleted.")


def _say(ui: Interface, found: Recipe, text: str) -> None:
    if ui.json:
        ui.emit(found)
    else:
        ui.say(text)


def _choices(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["choices"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(f"{path} is not a recipe as `fileproc recipe show NAME --json` writes it.") from error
    if not isinstance(found, dict):
        raise InvalidRequest(f"{path}: 'choices' is not an object.")
    return found

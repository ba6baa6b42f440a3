"""The command `fileproc`."""

from __future__ import annotations

import io
import signal
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fileproc.commands import access, enrich, files, jobs, recipes, reports, review
from fileproc.errors import FileprocError
from fileproc.interface import Interface

EXIT_CODES = """
Exit codes: 0 done · 1 something on this machine (disk full, …) · 2 wrong usage · 3 not logged in, or not allowed ·
4 the file or what was asked is wrong · 5 the job failed, and may work another time · 6 service not available ·
130 stopped by Ctrl-C or SIGTERM.
"""


class Commands(TyperGroup):
    """Says what went wrong in a sentence, and ends with the code for it."""

    def invoke(self, ctx: Any) -> Any:
        """See `click.Command`."""
        try:
            return super().invoke(ctx)
        except FileprocError as error:
            ctx.obj.fail(error)
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            ctx.obj.fail(FileprocError(f"{error.filename or 'This machine'}: {error.strerror or error}."))
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"fileproc {version('client')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    url: Annotated[str | None, typer.Option("--url", envvar="FILEPROC_URL", help="The gateway's address.")] = None,
    version_: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Have files enriched with the departments' data that you may see.

    Log in once (`fileproc login`), or give scripts a token in FILEPROC_TOKEN.
    """
    ctx.obj = Interface(url)


for command in (
    access.login,
    access.logout,
    jobs.departments,
    enrich.preview,
    enrich.enrich,
    jobs.jobs,
    jobs.job,
    reports.report,
    review.review,
    enrich.result,
    jobs.cancel,
    enrich.retry,
    files.files,
    files.delete,
):
    app.command()(command)
app.add_typer(recipes.app, name="recipe")


def main() -> None:
    """Run the command."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped by a machine, or by Ctrl-C: all the same
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a letter still shows the rest
    app()

"""`benchmarks calls | enrich | sheet | transfer | greedy`: measures, prints a table, and writes JSON if asked to."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import calls, enrich, greedy, sheet, transfer
from benchmarks.figures import Figure, show

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the figures there, as JSON.")]


def _report(title: str, run: Callable[[], list[Figure]], json_file: Path | None) -> None:
    if not show(title, run(), json_file):
        raise typer.Exit(1)


@app.callback()
def benchmarks() -> None:
    """Measures what the system promises; exits 1 where a promise is not kept."""


@app.command("calls")
def calls_command(json_file: JsonFile = None) -> None:
    """The cost of a tools/call, against a plain endpoint and ContextForge."""
    _report("One tools/call of ten keys", calls.run, json_file)


@app.command("enrich")
def enrich_command(
    json_file: JsonFile = None,
    *,
    ten_millions: Annotated[bool, typer.Option(help="Also a file of 10,000,000 rows.")] = True,
) -> None:
    """1,000,000 and 10,000,000 CSV rows, against Polars and against one call a row."""
    _report("Enriching CSV", lambda: enrich.run(ten_millions=ten_millions), json_file)


@app.command("sheet")
def sheet_command(json_file: JsonFile = None) -> None:
    """A full Excel sheet, beside calamine, which only reads it. Takes 6 GB of memory to make."""
    _report("Enriching a full sheet", sheet.run, json_file)


@app.command("transfer")
def transfer_command(
    json_file: JsonFile = None, gigabytes: Annotated[int, typer.Option(help="Size of the large file.", min=1)] = 5
) -> None:
    """Upload and download through the gateway, and the memory of a large file."""
    _report("Bytes through the gateway", lambda: transfer.run(gigabytes), json_file)


@app.command("greedy")
def greedy_command(
    json_file: JsonFile = None,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help=f"Only this one of {', '.join(greedy.NAMES)}.")
    ] = None,
) -> None:
    """How much longer a caller waits beside one who sends as much as the limits allow."""
    if unknown := set(kinds or ()) - set(greedy.NAMES):
        raise typer.BadParameter(f"there is no kind {', '.join(sorted(unknown))}", param_hint="--kind")
    _report("One caller beside a greedy one", lambda: greedy.run(kinds or greedy.NAMES), json_file)


@app.command("all")
def all_command(json_file: JsonFile = None) -> None:
    """All of them, one after the other; takes about twenty minutes."""
    figures = [*calls.run(), *enrich.run(ten_millions=True), *sheet.run(), *transfer.run(5), *greedy.run()]
    _report("What is promised, and what was measured", lambda: figures, json_file)


if __name__ == "__main__":
    app()

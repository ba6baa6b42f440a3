"""The options that several commands share, and how they are read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Cause(StrEnum):
    """Why a key was not found, where another one can be proposed."""

    WHITE_SPACE = "white_space"
    LETTER_CASE = "letter_case"
    SEPARATORS = "separators"
    LEADING_ZEROS = "leading_zeros"
    LOOK_ALIKES = "look_alikes"
    NUMBER_FORMAT = "number_format"
    PREFIX_OR_SUFFIX = "prefix_or_suffix"
    TYPO = "typo"
    NAME = "name"


Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, and nothing else.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job, as `fileproc jobs` lists it.")]
InputFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV, JSON, XLSX, XLS, ODS, Parquet, text, PDF, DOCX, …")
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The file to write; - is standard output.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite OUT.")]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE", help="Also write the report: as JSON or HTML by its ending, else as text."
    ),
]
Departments = Annotated[
    list[str] | None,
    typer.Option("--department", "-d", metavar="NAME", help="Only this department's data; may be repeated."),
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map", "-m", metavar="COLUMN=DATASET", help="Take COLUMN for a key, as in vendor=finance.vendors; repeatable."
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column", "-c", metavar="DATASET=COLUMN", help="Add only this, as in finance.vendors=name; repeatable."
    ),
]

Sheet = Annotated[
    str | None, typer.Option("--sheet", metavar="SHEET", help="Enrich only this sheet: its name or number.")
]
HeaderRow = Annotated[
    int | None, typer.Option("--header-row", metavar="N", min=1, help="The row with the names of the columns, from 1.")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="No row has names: columns are column_1, column_2, …")]
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", metavar="CHAR", help="What stands between cells: a character, or tab.")
]
Quote = Annotated[
    str | None, typer.Option("--quote", metavar="CHAR", help="What stands around cells: a character, or none.")
]
Decimal = Annotated[
    str | None, typer.Option("--decimal", metavar="SIGN", help="Decimal sign of the file's numbers: . or ,")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Encoding of the text, such as windows-1252.")
]
AddOnly = Annotated[
    list[str] | None,
    typer.Option("--add-only", metavar="COLUMN", help="Add only this, as in finance.vendors.name; repeatable."),
]
Approve = Annotated[
    list[Cause] | None,
    typer.Option("--approve", "-a", help="Use the best proposal for every key with this cause; repeatable."),
]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", metavar="FILE.xlsx", help="Use the keys that a workbook of `review` was filled in with."),
]
Recipe = Annotated[
    str | None, typer.Option("--recipe", "-r", metavar="NAME", help="Use the choices of a recipe where none are given.")
]
RecipeVersion = Annotated[
    int | None, typer.Option("--recipe-version", metavar="N", min=1, help="Not the newest version of the recipe.")
]
Anyway = Annotated[bool, typer.Option("--anyway", help="Use the recipe even if it does not fit the file.")]
Raw = Annotated[bool, typer.Option("--raw", help="Write texts that look like formulas as they are, for programs.")]


def mapping(pairs: list[str] | None) -> dict[str, list[str]] | None:
    """`column=department.dataset` pairs by column. Raises `typer.BadParameter`."""
    found: dict[str, list[str]] = {}
    for pair in pairs or []:
        column, equals, dataset = pair.rpartition("=")  # a data set's name has no "=", a column's may
        if not (equals and column):
            raise typer.BadParameter(f"{pair!r} is not of the form column=department.dataset.", param_hint="--map")
        found.setdefault(column, []).append(_dataset(dataset, "--map"))
    return found or None


def columns(pairs: list[str] | None) -> dict[str, list[str]] | None:
    """`department.dataset=column` pairs by data set. Raises `typer.BadParameter`."""
    found: dict[str, list[str]] = {}
    for pair in pairs or []:
        dataset, equals, column = pair.partition("=")
        if not (equals and column):
            raise typer.BadParameter(f"{pair!r} is not of the form department.dataset=column.", param_hint="--column")
        found.setdefault(_dataset(dataset, "--column"), []).append(column)
    return found or None


def keys(path: Path | None) -> dict[str, dict[str, str]] | None:
    """The keys of a workbook, by data set and by the key in the file. Raises `InvalidRequest`."""
    if path is None:
        return None
    from fileproc.misses import read_workbook  # openpyxl takes as long to import as all else

    return read_workbook(path)


def file_options(**chosen: str | int | bool | list[str] | None) -> dict[str, Any] | None:
    """The options of the file that were given."""
    return {name: value for name, value in chosen.items() if value not in (None, False, [])} or None


def _dataset(text: str, option: str) -> str:
    department, dot, dataset = text.partition(".")
    if not (department and dot and dataset) or "." in dataset:
        raise typer.BadParameter(
            f"{text!r} is not a data set; one is named as in finance.vendors (see fileproc departments).",
            param_hint=option,
        )
    return text

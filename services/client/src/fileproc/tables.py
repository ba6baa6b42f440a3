"""What people see of departments, jobs and previews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from fileproc.errors import sentence
from fileproc.interface import clean
from fileproc.models import (
    Cell,
    Department,
    Detected,
    Detection,
    FilePage,
    Job,
    JobPage,
    Misses,
    Preview,
    Recipe,
    RecipeSummary,
    UnmatchedKey,
    UploadPage,
)
from fileproc.progress import figures

_CELL_WIDTH = 28
_MISSED = 5
"""Keys of the first rows that were not found and are shown, of each column."""
_STATUS_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "dim", "running": "cyan", "queued": "yellow"}


def show_departments(out: Console, departments: Sequence[Department]) -> None:
    """Each department's data sets, and the columns they add."""
    if not departments:
        out.print("No department is open to you. Who may use one is decided by its groups: ask its owners.")
    for department in departments:
        title = Text.assemble((clean(department.display_name), "bold"), f"  {department.name}")
        if not department.available:
            title.append(f"  not available: {clean(department.error or 'no reason given')}", "red")
        out.print(title, soft_wrap=True)
        table = _table("data set", "key", "also called", "rows", "columns that are added")
        for dataset in department.datasets:
            table.add_row(
                Text(f"{department.name}.{dataset.name}", "cyan"),
                clean(dataset.key),
                clean(", ".join(dataset.aliases)),
                "" if dataset.rows is None else f"{dataset.rows:,}",
                clean(", ".join(column.name for column in dataset.columns if column.name != dataset.key)),
            )
        if department.datasets:
            out.print(table)


def show_files(out: Console, stored: FilePage, uploads: UploadPage) -> None:
    """A line for each file, and for each upload that is not complete."""
    if not stored.files and not uploads.uploads:
        out.print("You have no files.")
        return
    table = _table("id", "name", "size", "state", "created", "expires")
    for state, listed in (("uploading", uploads.uploads), ("stored", stored.files)):
        for each in listed:
            times = _local(each.created_at), _local(each.expires_at)
            table.add_row(Text(each.id, no_wrap=True), clean(each.name), decimal(each.size), state, *times)
    out.print(table)
    if stored.next or uploads.next:
        out.print("There are more: fileproc files --limit 100", style="dim")


def show_jobs(out: Console, page: JobPage) -> None:
    """A line for each job."""
    if not page.jobs:
        out.print("You have no jobs.")
        return
    table = _table("job", "file", "status", "rows", "keys found", "created")
    for job in page.jobs:
        rows, created = f"{job.progress.rows:,}", _local(job.created_at)
        table.add_row(Text(job.id, no_wrap=True), clean(job.file.name), _status(job), rows, _found(job), created)
    out.print(table)
    if page.next:
        out.print(f"There are more: fileproc jobs --limit {2 * len(page.jobs)}", style="dim")


def show_job(out: Console, job: Job) -> None:
    """All there is to say about a job."""
    lines: list[tuple[str, str | Text]] = [
        ("job", job.id),
        ("file", f"{job.file.name} ({decimal(job.file.size)}, {job.file.format})"),
        ("status", _status(job)),
        ("progress", figures(job)),
        *([("recipe", f"{job.recipe.name}, version {job.recipe.version}")] if job.recipe else []),
        *(("adds", f"{entry.column} → {entry.dataset}: {', '.join(entry.columns)}") for entry in job.mapping),
        ("created", _local(job.created_at)),
        ("expires", _local(job.expires_at)),
    ]
    if job.error:
        lines.insert(3, ("error", Text(clean(sentence(job.error.model_dump())), "red")))
    if job.retryable:
        lines.append(("try again", f"fileproc retry {job.id} -o OUT"))
    if job.result:
        lines.append(("result", f"{job.result.name} ({decimal(job.result.size)}): fileproc result {job.id} -o OUT"))
    grid = Table.grid(padding=(0, 2))
    for name, value in lines:
        grid.add_row(Text(name, "bold"), value if isinstance(value, Text) else Text(clean(value)))
    out.print(grid)


def show_misses(out: Console, job: str, found: Sequence[Misses], descriptions: Mapping[str, str]) -> None:
    """By column: why keys were not found, how many, an example, and what to type."""
    if not found:
        out.print("All keys were found.")
        return
    for misses in found:
        out.print(Text.assemble((clean(misses.column), "bold"), " → ", (misses.dataset, "cyan")))
        causes: dict[str | None, list[UnmatchedKey]] = {}
        for miss in misses.keys:
            causes.setdefault(miss.cause, []).append(miss)
        table = _table("why", "keys", "for example", "perhaps", "to use the best proposals")
        for cause, keys in sorted(causes.items(), key=lambda entry: -len(entry[1])):
            example, perhaps = keys[0], " or ".join(each.key for each in keys[0].proposals)
            option = f"--approve {cause}" if perhaps else ""
            why = descriptions.get(cause or "", "Not looked into")
            table.add_row(why, f"{len(keys):,}", clean(example.key), clean(perhaps), Text(option, "cyan", no_wrap=True))
        out.print(table)
    out.print(f"All of them, to fill in by hand: fileproc review {job} --save keys.xlsx", style="dim", soft_wrap=True)


def show_recipes(out: Console, found: Sequence[RecipeSummary]) -> None:
    """A line for each recipe."""
    if not found:
        out.print("You have no recipes. To keep one: fileproc recipe save NAME --job ID")
        return
    table = _table("recipe", "owner", "shared with", "version", "saved", "id")
    for each in found:
        owner = "you" if each.own else clean(each.owner)
        name, groups = Text(each.name, "cyan"), clean(", ".join(each.groups))
        table.add_row(name, owner, groups, str(each.version), _local(each.saved_at), Text(each.id, no_wrap=True))
    out.print(table)


def show_recipe(out: Console, recipe: Recipe) -> None:
    """What a recipe has, and its versions."""
    choices = recipe.choices
    lines: list[tuple[str, str]] = [
        ("recipe", f"{recipe.name}, version {recipe.version}"),
        ("owner", "you" if recipe.own else recipe.owner),
        ("shared with", ", ".join(recipe.groups) or "nobody"),
        ("departments", ", ".join(choices.departments or ())),
        *(("map", f"{column} → {', '.join(names)}") for column, names in (choices.mapping or {}).items()),
        *(("add", f"{dataset}: {', '.join(names)}") for dataset, names in (choices.columns or {}).items()),
        *(("option", f"{name} = {value}") for name, value in choices.options.items() if value not in (None, False)),
        ("approved", ", ".join(choices.approve)),
        *(("keys", f"{dataset}: {len(pairs):,}") for dataset, pairs in choices.keys.items()),
        ("held back", "data that you may not use" if recipe.held_back else ""),
        ("versions", ", ".join(f"{each.version} ({_local(each.saved_at)})" for each in recipe.versions)),
    ]
    grid = Table.grid(padding=(0, 2))
    for name, value in lines:
        if value:
            grid.add_row(Text(name, "bold"), Text(clean(value)))
    out.print(grid)


def show_preview(out: Console, preview: Preview) -> None:
    """Why which column was taken for a key, what is open, and the first rows as far as they fit."""
    for warning in preview.warnings:
        out.print(Text(clean(warning), "yellow"), soft_wrap=True)
    for entry in preview.mapping:
        found = f"  {entry.matched} of {entry.values} found"
        style = "green" if entry.matched == entry.values else "yellow"
        out.print(Text.assemble((clean(entry.column), "bold"), " → ", (entry.dataset, "cyan"), (found, style)))
        for reason in entry.evidence:
            out.print(Text(f"  because {clean(reason)}", "dim"))
        for miss in entry.missed[:_MISSED]:
            perhaps = " or ".join(each.key for each in miss.proposals)
            meant = f", perhaps {perhaps}: --approve {miss.cause}" if perhaps else ""
            out.print(Text(f"  not found: {clean(miss.key)}{clean(meant)}", "yellow"), soft_wrap=True)
    for question in preview.questions:
        out.print(
            Text.assemble((clean(question.column), "bold"), " → ", ("?", "bold yellow"), f"  {clean(question.detail)}")
        )
        for candidate in question.candidates:
            out.print(Text(f"  --map '{clean(question.column)}={candidate}'", "cyan"), soft_wrap=True)
    if preview.unmapped:
        out.print(Text(f"Not keys: {clean(', '.join(preview.unmapped))}", "dim"))
    if not preview.mapping and not preview.questions:
        out.print(Text("No column was recognised as a key. Name one: --map column=department.dataset", "yellow"))
    if preview.detected is not None:
        _show_detected(out, preview.detected)
    out.print(_rows(preview, out.width))


def _show_detected(out: Console, detected: Detected) -> None:
    """How the file was read, with the option that says something else."""
    out.print(Text(f"Read as {detected.format.upper()}", "dim"))
    if detected.converted is not None:
        out.print(Text(clean(detected.converted.reason), "yellow"), soft_wrap=True)
    for option in ("encoding", "delimiter", "quote", "header_row", "decimal"):
        found: Detection | None = getattr(detected, option)
        if found is not None:
            name = f"--{option.replace('_', '-')}"
            out.print(
                Text.assemble((f"  {name} ", "cyan"), clean(str(found.value)), (f"  {clean(found.reason)}", "dim"))
            )
    for sheet in detected.sheets:
        state = "gets columns" if sheet.used else "stays as it is: it has keys" if sheet.has_keys else "has no keys"
        row = f", header in row {sheet.header_row}" if sheet.header_row else ""
        out.print(Text.assemble(("  --sheet ", "cyan"), f"'{clean(sheet.name)}'", (f"  {state}{row}", "dim")))


def _rows(preview: Preview, width: int) -> Table:
    prefixes = [f"{entry.column}.{entry.dataset.partition('.')[0]}." for entry in preview.mapping]
    # What an added column belongs to; the input's own columns belong to nothing.
    sources = [next((start for start in prefixes if name.startswith(start)), None) for name in preview.columns]
    keys = {entry.column for entry in preview.mapping}
    cells = [[_cell(value) for value in row] for row in preview.rows]
    shown = _fitting([clean(name) for name in preview.columns], _ranks(preview.columns, sources, keys), cells, width)
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for index in shown:
        style = "cyan" if sources[index] else "bold" if preview.columns[index] in keys else ""
        header = Text(clean(preview.columns[index]), style)
        table.add_column(header, max_width=_CELL_WIDTH, overflow="ellipsis", no_wrap=True)
    for row, values in zip(cells, preview.rows, strict=True):
        missing = _unmatched(sources, values)
        table.add_row(*(Text("-", "dim") if index in missing else Text(row[index]) for index in shown))
    if hidden := len(preview.columns) - len(shown):
        table.caption = f"{hidden} more columns do not fit; all of them: --json, or a wider window"
        table.caption_justify = "left"
    return table


def _unmatched(sources: Sequence[str | None], values: Sequence[Cell]) -> set[int]:
    """The places of added cells whose key was not found: all that depends on it is empty."""
    found = {source for source, value in zip(sources, values, strict=True) if source and value is not None}
    return {index for index, source in enumerate(sources) if source and source not in found}


def _ranks(columns: Sequence[str], sources: Sequence[str | None], keys: set[str]) -> list[int]:
    """How soon each column is shown: keys, the first column that each of them adds, the second ones, …, the rest."""
    seen: Counter[str] = Counter()
    ranks = []
    for name, source in zip(columns, sources, strict=True):
        if source is not None:
            seen[source] += 1
        ranks.append(0 if name in keys else len(columns) if source is None else seen[source])
    return ranks


def _fitting(names: Sequence[str], ranks: Sequence[int], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns that fit side by side, in their order; those of low rank come first."""
    left = width
    shown: list[int] = []
    for index in sorted(range(len(names)), key=lambda index: ranks[index]):
        longest = max(cell_len(text) for text in (names[index], *(row[index] for row in cells)))
        left -= min(longest, _CELL_WIDTH) + 2
        if left < 0 and shown:
            break
        shown.append(index)
    return sorted(shown)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return clean(value).replace("\n", "↵") if isinstance(value, str) else str(value)


def _found(job: Job) -> str:
    found = job.result
    return "" if found is None or found.found is None else f"{found.found:,} of {found.keys:,}"


def _status(job: Job) -> Text:
    return Text(job.status, _STATUS_STYLES[job.status])


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def _table(*headers: str) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        table.add_column(header, justify="right" if header == "rows" else "left", overflow="fold")
    return table

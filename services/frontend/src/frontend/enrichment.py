"""What the components do, without Langflow: enrich a file as a user, and say it in sentences and tables."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fileproc import Client, errors
from fileproc.client import succeeded
from fileproc.errors import sentence
from fileproc.models import FILE_OPTIONS, Cell, Detected, Detection, Job, Preview, Report, UnmatchedKey

FILE_TYPES: Final = (
    *("csv", "tsv", "xlsx", "xls", "xlsb", "ods", "json", "jsonl"),
    *("parquet", "txt", "md", "pdf", "docx", "gz"),
)
PREVIEW_ROWS, PREVIEW_COLUMNS, CELL_WIDTH = 5, 6, 40
LEAST_SECONDS_BETWEEN_UPDATES: Final = 0.5
MAPPING = re.compile(r"^\s*(?P<column>[^=\n]+?)\s*=\s*(?P<dataset>[a-z][a-z0-9-]*\.[a-z][a-z0-9_]*)\s*$", re.MULTILINE)

NOT_SIGNED_IN: Final = "Your session has expired. Reload this page to sign in again; running jobs continue."
NOTHING_ATTACHED: Final = (
    "**Attach a file to enrich.** Press *Attach a file* below, choose one (CSV, TSV, XLSX, XLS, XLSB, ODS, JSON, "
    "JSON Lines, Parquet, TXT, MD, PDF or DOCX), and send it. Nothing has to be written."
)
ASK_FOR_ACCESS: Final = "If the file belongs to another department, ask its owners, or your help desk, for access."
GOES_ON: Final = "You may close this page: the work goes on, and the file will be under [Your files](/)."


class Refusal(Exception):
    """What was asked for cannot be done; the message is a sentence for an office person."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished enrichment, and what it did."""

    job: Job
    report: Report


@asynccontextmanager
async def client_of(url: str, token: str) -> AsyncIterator[Client]:
    """The service as a user; what it refuses becomes a `Refusal`."""
    client = Client(url, token)
    try:
        yield client
    except errors.FileprocError as error:
        raise Refusal(explain(error)) from error
    finally:
        client.close()


def explain(error: errors.FileprocError) -> str:
    """An error as a sentence for somebody who knows nothing of tokens, jobs and commands."""
    if str(error.problem.get("type")).endswith(":unauthenticated"):
        return NOT_SIGNED_IN
    if str(error.problem.get("type")).endswith(":nothing-to-enrich"):
        return f"{error.problem.get('detail')} {ASK_FOR_ACCESS}"
    if isinstance(error, errors.UnclearMapping) and error.questions:
        lines = ["It is not clear what some columns hold. Attach the file again, and write with it what is right:", ""]
        for question in error.questions:
            lines.append(f"- {question.detail}")
            lines += [f"  - `{question.column} = {candidate}`" for candidate in question.candidates]
        return "\n".join(lines)
    if isinstance(error, errors.JobFailed):
        job = error.job
        why = sentence(job.error.model_dump()) if job.error else "The service does not say why."
        again = " It may work if you try again." if job.retryable else ""
        return f"{job.file.name} could not be enriched. {why}{again}"
    if isinstance(error, errors.Unavailable):
        return f"The service is not available at the moment. Try again in a few minutes. ({error})"
    return str(error)


def mapping_in(text: str) -> dict[str, list[str]] | None:
    """What a message says of columns: `supplier = finance.vendors`, one a line."""
    found: dict[str, list[str]] = {}
    for match in MAPPING.finditer(text):
        found.setdefault(match["column"].strip("`\"' "), []).append(match["dataset"])
    return found or None


def options_in(text: str) -> dict[str, Any] | None:
    """What a message says of how the file is read: `delimiter = ;` or `header row = 3`, one a line.

    Values are passed on as they are written: the service says what is wrong with them.
    """
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().strip("`").partition("=")
        option = re.sub(r"[\s-]+", "_", name.strip().lower())
        value = value.strip()
        if not (equals and value) or option not in FILE_OPTIONS or MAPPING.match(line):
            continue
        if option == "add_only":
            found[option] = [column.strip() for column in value.split(",") if column.strip()]
        elif option in {"no_header", "raw"}:
            found[option] = {"yes": True, "true": True, "no": False, "false": False}.get(value.lower(), value)
        elif option == "header_row" and value.isdecimal():
            found[option] = int(value)
        else:
            found[option] = value
    return found or None


async def follow(client: Client, job_id: str) -> AsyncIterator[Job]:
    """The job on each change, but no more often than one can read, up to its end."""
    queue: asyncio.Queue[Job | BaseException | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        ending: BaseException | None = None
        try:
            for job in client.events(job_id):
                loop.call_soon_threadsafe(queue.put_nowait, job)
        except errors.FileprocError as error:
            ending = error
        loop.call_soon_threadsafe(queue.put_nowait, ending)

    reading = loop.run_in_executor(None, read)
    told = 0.0
    while isinstance(event := await queue.get(), Job):
        if event.is_finished or time.monotonic() - told > LEAST_SECONDS_BETWEEN_UPDATES:
            told = time.monotonic()
            yield event
    await reading
    if event is not None:
        raise event


async def preview(client: Client, file_id: str, wishes: Mapping[str, Any]) -> Preview:
    """The first rows, enriched."""
    return await asyncio.to_thread(partial(client.preview, file_id, rows=PREVIEW_ROWS, **wishes))


async def submit(client: Client, file_id: str, wishes: Mapping[str, Any]) -> Job:
    """Begin the whole of it."""
    return await asyncio.to_thread(partial(client.submit, file_id, **wishes))


async def finish(client: Client, job_id: str) -> Done:
    """What a finished job made.

    Raises:
        JobFailed: Nothing.
    """
    job = succeeded(await asyncio.to_thread(client.job, job_id))
    return Done(job, await asyncio.to_thread(client.report, job_id))


def progress_line(job: Job) -> str:
    """How far a job is."""
    progress = job.progress
    if job.is_finished:
        return f"Done: {progress.rows:,} rows." if job.status == "succeeded" else f"It was {job.status}."
    if job.status == "queued":
        return "Waiting for its turn …"
    parts = [f"{progress.rows:,} rows so far"]
    if progress.total_bytes:
        parts.insert(0, f"{min(99, 100 * progress.bytes // progress.total_bytes)} %")
    if progress.seconds_left:
        parts.append(f"about {progress.seconds_left:.0f} s left")
    return "Working: " + ", ".join(parts) + " …"


def preview_text(name: str, found: Preview) -> str:
    """The first rows as a table, and which columns were recognised."""
    lines = [f"**{plain(name)}**, the first rows:", "", *table(*shown_columns(found))]
    if found.mapping:
        known = ", ".join(f"{plain(entry.column)} ({plain(entry.dataset)})" for entry in found.mapping)
        lines += ["", f"Recognised: {known}."]
    if found.detected is not None:
        lines += ["", *detected_text(found.detected)]
    return "\n".join(lines)


def detected_text(found: Detected) -> list[str]:
    """How the file was read, each line as one that changes it when it is sent with the file."""
    lines = [f"Read as {found.format.upper()}. If a line is wrong, attach the file again, and write the right one:", ""]
    for option in ("encoding", "delimiter", "quote", "header_row", "decimal"):
        how: Detection | None = getattr(found, option)
        if how is not None:
            lines.append(f"- {code(f'{option} = {how.value}')} {plain(how.reason)}")
    for sheet in found.sheets:
        state = "gets columns" if sheet.used else "has keys" if sheet.has_keys else "has no keys"
        row = f", header in row {sheet.header_row}" if sheet.header_row else ""
        lines.append(f"- {code(f'sheet = {sheet.name}')} {state}{row}")
    lines = lines if len(lines) > 2 else []
    return [plain(found.converted.reason), "", *lines] if found.converted else lines


def code(text: str) -> str:
    """Text that Markdown shows as it is (CommonMark, Code spans)."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{' '.join(text.split())}{space}{fence}"


def result_text(done: Done) -> str:
    """Where the enriched file is, and what the report says, as a table."""
    job, report = done.job, done.report
    if job.result is None:
        raise Refusal(f"{job.file.name} was enriched, and its result is gone.")
    link = f"/gateway/api/jobs/{job.id}"
    lines = [
        f"### {plain(job.file.name)} is enriched",
        "",
        f"[Download {plain(job.result.name)}]({link}/result) ({size(job.result.size)})",
        "",
        *table(*report_table(report)),
        "",
        f"{report.rows:,} rows, {len(report.columns_added)} columns added.",
        f"[The whole report]({link}/report?format=html)",
    ]
    lines += missing_text(report, job.id)
    lines += [f"\nNote: {plain(warning)}" for warning in report.warnings]
    return "\n".join(lines)


def missing_text(report: Report, job: str) -> list[str]:
    """Why keys were not found, the first of them, and where others are approved."""
    causes = [[each.column, cause.description, f"{cause.keys:,}"] for each in report.mappings for cause in each.causes]
    lines: list[str] = []
    if causes:
        lines += ["", *table(["Column", "Why keys were not found", "Different keys"], causes)]
    missing = [key for entry in report.mappings for key in entry.unmatched_sample]
    if missing:
        lines += ["", "Not found, for example: " + ", ".join(map(_missing_key, missing[:10])) + "."]
        lines += [f"[Review these keys](/?review={job})"]
    return lines


def _missing_key(missing: UnmatchedKey) -> str:
    """A key that was not found, with the likeliest one that was meant."""
    likely = f" (perhaps {plain(missing.proposals[0].key)})" if missing.proposals else ""
    return plain(missing.key) + likely


def report_table(report: Report) -> tuple[list[str], list[list[str]]]:
    """A row for each column that was a key."""
    head = ["Column", "Looked up in", "Found", "Not found", "Empty", "Columns added"]
    rows = [
        [each.column, each.dataset, f"{each.matched:,}", f"{each.unmatched:,}", f"{each.empty:,}", str(len(each.added))]
        for each in report.mappings
    ]
    return head, rows


def shown_columns(found: Preview) -> tuple[list[str], list[list[str]]]:
    """As many columns as one can read: keys first, then what was added, then the rest, in the file's order."""
    keys = {entry.column for entry in found.mapping}
    starts = tuple(f"{entry.column}.{entry.dataset.partition('.')[0]}." for entry in found.mapping)

    def rank(index: int) -> int:
        name = found.columns[index]
        return 0 if name in keys else 1 if starts and name.startswith(starts) else 2

    chosen = sorted(sorted(range(len(found.columns)), key=rank)[:PREVIEW_COLUMNS])
    return [found.columns[i] for i in chosen], [[cell(row[i]) for i in chosen] for row in found.rows]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    return [
        "| " + " | ".join(plain(name) for name in head) + " |",
        "|" + " --- |" * len(head),
        *("| " + " | ".join(plain(value) for value in row) + " |" for row in rows),
    ]


def cell(value: Cell) -> str:
    """A value, no longer than one can read."""
    text = "" if value is None else str(value)
    return text if len(text) <= CELL_WIDTH else f"{text[: CELL_WIDTH - 1]}…"


def plain(text: str) -> str:
    """Text of files and names, so that Markdown and HTML make nothing of it."""
    text = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]()<>#|!~$&])", r"\\\1", text) if re.search(r"[\\`*{}\[\]<>#|!~$&]", text) else text


def size(count: int) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000 or unit == "MB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count = count // 1000 if count >= 10_000_000 else round(count / 1000, 1)  # type: ignore[assignment]
    raise AssertionError

"""The demo: the sample files, enriched as several users by the client library, and by MCP with the official SDK."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pyarrow.parquet as pq
from mcp import Client as McpClient
from mcp import MCPError
from mcp.client.streamable_http import streamable_http_client
from rich.console import Console
from rich.table import Table

from fileproc import Client, FileprocError
from local.stack import Stack

SAMPLES: Final = Path(__file__).parents[2] / "samples"
SHOWN_ROWS: Final = 4
SHOWN_WIDTH: Final = 24


class DemoFailed(Exception):
    """Something did not come out as it must; the message says what."""


@dataclass(frozen=True, slots=True)
class Enriched:
    """A file that came back."""

    user: str
    file: Path
    added: tuple[str, ...]
    matched: int
    unmatched: int


def run(stack: Stack, console: Console) -> None:
    """All of it.

    Raises:
        DemoFailed: Says what did not come out as it must.
    """
    try:
        compare_users(stack, console)
        other_formats(stack, console)
        refused(stack, console)
        asyncio.run(over_mcp(stack, console))
    except (FileprocError, MCPError, httpx2.HTTPError) as error:
        raise DemoFailed(str(error)) from error


def compare_users(stack: Stack, console: Console) -> None:
    """The same file as three users: what each gets, and what is held back."""
    console.rule("[bold]invoices.csv, as three users")
    done = [enrich(stack, user, "invoices.csv") for user in ("alice", "frank", "bob")]
    for each in done:
        title = f"{each.user}: {len(each.added)} columns added, {each.matched} keys found, {each.unmatched} not"
        show_rows(console, title, list(read_rows(each.file)), key_columns(each.added), each.added)
    console.print(who_sees_what(done))
    alice, frank, bob = (set(each.added) for each in done)
    expect("vendor_id.finance.bank_account" in frank - alice, "the bank account is for frank, and not for alice")
    expect(not alice & bob, "alice sees nothing of HR, and bob nothing of Finance")
    expect("buyer.hr.name" in bob and "approver.hr.name" in bob, "bob gets both columns of employees")


def who_sees_what(done: Sequence[Enriched]) -> Table:
    """What each got and what was held back: a row for the columns of one data set that went to the same users."""
    rows: dict[tuple[str, tuple[bool, ...]], list[str]] = {}
    for column in dict.fromkeys(column for each in done for column in each.added):
        source, _, name = column.rpartition(".")
        rows.setdefault((source, tuple(column in each.added for each in done)), []).append(name)
    table = Table("from", "columns", *(each.user for each in done), title="Who sees what", title_justify="left")
    for (source, shown), columns in sorted(rows.items(), key=lambda row: [not each for each in row[0][1]]):
        table.add_row(source, ", ".join(columns), *("[green]yes[/]" if yes else "[red]held back[/]" for yes in shown))
    return table


def other_formats(stack: Stack, console: Console) -> None:
    """The other sample files, as who may use them."""
    console.rule("[bold]Other formats, in and out")
    for user, name in (("bob", "employees.jsonl"), ("dana", "contracts.parquet")):
        done = enrich(stack, user, name)
        expect(bool(done.added), f"{name} comes back with columns of {user}'s departments")
        title = f"{name} as {user}: {len(done.added)} columns added, {done.matched} keys found, {done.unmatched} not"
        show_rows(console, title, list(read_rows(done.file)), key_columns(done.added), done.added)
    table = Table("file", "user", "keys found", "not found", title="Spreadsheets and documents", title_justify="left")
    for user, name in (("dana", "invoices.xlsx"), ("dana", "memo.docx"), ("carol", "memo.pdf")):
        done = enrich(stack, user, name)
        expect(done.matched > 0, f"keys are found in {name}")
        table.add_row(name, user, str(done.matched), str(done.unmatched))
    console.print(table)
    console.print(f"All of them are saved under {stack.state.path / 'demo'}", style="dim", soft_wrap=True)


def refused(stack: Stack, console: Console) -> None:
    """Somebody without a group gets nothing, and is told why."""
    console.rule("[bold]eve, who is in no group")
    try:
        enrich(stack, "eve", "invoices.csv")
    except FileprocError as error:
        console.print(f"Refused: {error}", style="yellow", markup=False)
        return
    raise DemoFailed("eve got a file back")


async def over_mcp(stack: Stack, console: Console) -> None:
    """The same over MCP: tools are those of the caller's departments, values those that the caller may see."""
    console.rule("[bold]Over MCP, with the official SDK's client")
    url, keys = f"{stack.addresses.api}/mcp", ["V-00017", "V-00047", "V-99999"]
    answers: dict[str, dict[str, Any]] = {}
    table = Table("user", "tools")
    for user in ("alice", "frank", "carol"):
        headers = stack.authorization(user)
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30) as http,
            McpClient(streamable_http_client(url, http_client=http)) as client,
        ):
            tools = [tool.name for tool in (await client.list_tools()).tools if not tool.name.startswith("files_")]
            table.add_row(user, ", ".join(tools))
            if "finance_lookup_vendors" in tools:
                result = await client.call_tool("finance_lookup_vendors", {"keys": keys})
                answers[user] = dict(result.structured_content or {})
    console.print(table)
    for user, answer in answers.items():
        rows = [{"key": row["key"], **row.get("values", {"": "not found"})} for row in answer["rows"]]
        columns = [column for column in ("name", "country", "status", "bank_account") if column in rows[0]]
        show_rows(console, f"finance_lookup_vendors as {user}", rows, ["key"], columns)
    expect(set(answers) == {"alice", "frank"}, "carol has no tool of Finance")
    seen = {user for user, answer in answers.items() if "bank_account" in json.dumps(answer)}
    expect(seen == {"frank"}, "only frank sees the bank account")


def enrich(stack: Stack, user: str, name: str) -> Enriched:
    """Upload a sample, enrich it, save what comes back under the state folder."""
    folder = stack.state.path / "demo" / user
    folder.mkdir(parents=True, exist_ok=True)
    with Client(stack.addresses.api, stack.token(user)) as client:
        job = client.wait(client.submit(client.upload(SAMPLES / name).id).id)
        if job.result is None:
            raise DemoFailed(f"{name} as {user}: the job succeeded without a result")
        file = folder / job.result.name
        client.download(job.id, file, overwrite=True)
        report = client.report(job.id)
    matched = sum(mapping.matched for mapping in report.mappings)
    unmatched = sum(mapping.unmatched for mapping in report.mappings)
    return Enriched(user, file, report.columns_added, matched, unmatched)


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of an enriched CSV, JSON Lines or Parquet file."""
    match file.suffix:
        case ".csv":
            yield from csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))
        case ".jsonl":
            yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())
        case ".parquet":
            yield from pq.read_table(file).to_pylist()
        case other:
            raise DemoFailed(f"the demo does not read {other}")


def key_columns(added: Sequence[str]) -> list[str]:
    """The input columns that were keys: what an added column's name starts with."""
    return list(dict.fromkeys(column.split(".")[0] for column in added))


def show_rows(
    console: Console, title: str, rows: Sequence[dict[str, Any]], keys: Sequence[str], added: Sequence[str]
) -> None:
    """The first rows: the keys, and as many of the added columns as fit on the screen, those first that tell most."""
    wanted = [*keys, *sorted(added, key=importance)]
    width, shown = 1, list[str]()
    for column in wanted:
        width += 3 + max(len(column), *(len(cell(row.get(column))) for row in rows[:SHOWN_ROWS]))
        if shown and width > console.width:
            break
        shown.append(column)
    more = f"… and {len(wanted) - len(shown)} more columns" if len(shown) < len(wanted) else None
    table = Table(*shown, title=title, title_justify="left", caption=more, caption_justify="left")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(cell(row.get(column)) for column in shown))
    console.print(table)


def importance(column: str) -> int:
    """Sorts columns for people: names, then what not everybody sees, then the rest as it comes."""
    name = column.rpartition(".")[2]
    return {"name": 0, "title": 0, "bank_account": 1}.get(name, 2)


def cell(value: Any) -> str:
    """A value for a table: on one line, and not too long."""
    text = " ".join(str("" if value is None else value).split())
    return text if len(text) <= SHOWN_WIDTH else f"{text[: SHOWN_WIDTH - 1]}…"


def expect(holds: bool, what: str) -> None:  # noqa: FBT001 - as an assertion reads
    """See that what the demo shows is so.

    Raises:
        DemoFailed: It is not.
    """
    if not holds:
        raise DemoFailed(f"it should be so that {what}, and is not")

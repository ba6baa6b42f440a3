"""What every department has: a batch look-up and a search for each data set, and a description of them all."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import Field

from common.departments import Dataset
from mcp_server.datasets import DataTable
from mcp_server.definitions import (
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    Arguments,
    Call,
    Definition,
    Schema,
    array,
    optional,
    parse,
    record,
    tool,
)
from mcp_server.department import View
from mcp_server.errors import ToolError
from mcp_server.refresh import DatasetState

MAX_KEYS = 5000
MAX_HITS = 100
LEAST_SCORE = 60

Found = TypeVar("Found")

_THREADS = ThreadPoolExecutor(2, "search")


class Lookup(Arguments):
    """Arguments of a batch look-up."""

    keys: list[str] = Field(min_length=1, max_length=MAX_KEYS, description="Keys to look up; rows come in their order.")
    columns: list[str] | None = Field(default=None, description="Columns to return; all of them when left out.")


class Search(Arguments):
    """Arguments of a search."""

    query: str = Field(min_length=1, max_length=200, description="What to look for; spelling may differ.")
    limit: int = Field(default=10, strict=True, ge=1, le=MAX_HITS, description="Most rows to return.")


class Describe(Arguments):
    """A description takes no arguments."""


# The rows of a look-up are told in words: a client that validates 5000 of them is busy for 20 ms.
MATCHES: Schema = {"type": "array", "description": "Each has key, matched and, where it matched, values by column."}
ROWS = record(dataset=STRING, key=STRING, version=STRING, columns=array(STRING), rows=MATCHES)
HITS = record(
    dataset=STRING, key=STRING, columns=array(STRING), rows=array(record(key=STRING, score=NUMBER, values=OBJECT))
)
DATASET = record(
    name=STRING,
    key=STRING,
    aliases=array(STRING),
    pattern=optional(STRING),
    columns=array(record(name=STRING, type=STRING)),
    rows=optional(INTEGER),
    version=optional(STRING),
    loaded_at=optional(STRING),
    error=optional(STRING),
)
DESCRIPTION = record(department=STRING, display_name=STRING, datasets=array(DATASET))


class GenericTools:
    """Look-up, search and description, made from the department's data sets."""

    def definitions(self, view: View, states: Mapping[str, DatasetState]) -> list[Definition]:
        """A description of all data sets; for each its look-up, and its search where it names columns to search."""
        prefix, title = view.department.tool_prefix, view.department.spec.display_name
        found = [self._describe(prefix, title)]
        for name, state in states.items():
            columns = visible_columns(view, state)
            found.append(self._lookup(prefix, title, name, state, columns))
            if searched := [column for column in state.spec.search if not view.hides(state.spec, column)]:
                found.append(self._search(prefix, title, name, searched))
        return found

    @staticmethod
    def _describe(prefix: str, title: str) -> Definition:
        text = f"{title}: the data sets, their keys, columns, number of rows and freshness."
        return Definition(tool(f"{prefix}describe_datasets", text, Describe, DESCRIPTION), describe)

    @staticmethod
    def _lookup(prefix: str, title: str, name: str, state: DatasetState, columns: Sequence[str]) -> Definition:
        text = f"{title}: rows of {name} by {state.spec.key}, in the order of the keys; values where it matched."
        listed = tool(f"{prefix}lookup_{name}", text, Lookup, ROWS)
        if columns:
            listed.input_schema["properties"]["columns"]["anyOf"][0]["items"]["enum"] = list(columns)
        return Definition(listed, partial(lookup, name))

    @staticmethod
    def _search(prefix: str, title: str, name: str, searched: Sequence[str]) -> Definition:
        text = f"{title}: rows of {name} whose {' or '.join(searched)} is like the query, best first."
        return Definition(tool(f"{prefix}search_{name}", text, Search, HITS), partial(search, name))


def visible_columns(view: View, state: DatasetState) -> list[str]:
    """The columns besides the key that this caller may see; empty while nothing is loaded."""
    if state.table is None:
        return []
    names = [column.name for column in state.table.columns[1:]]
    return [name for name in names if not view.hides(state.spec, name)]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A data set that can answer.

    Attributes:
        spec: The rules of the present, by which the table is served.
        visible: The columns besides the key that the caller may see.
    """

    spec: Dataset
    table: DataTable
    visible: list[str]

    def only(self, columns: Sequence[str]) -> list[str]:
        """Those of `columns` that the caller may see."""
        return [name for name in columns if name in self.visible or name == self.spec.key]


def loaded(call: Call, name: str) -> Loaded:
    """A data set's table and what the caller may see of it.

    Raises:
        ToolError: It is not loaded yet.
    """
    state = call.states[name]
    if state.table is None:
        raise ToolError(f"the data set {name} is not available at the moment: its data has not been published yet")
    return Loaded(state.spec, state.table, visible_columns(call.view, state))


async def lookup(name: str, call: Call) -> dict[str, Any]:
    """Answer a batch look-up."""
    arguments = parse(Lookup, call.arguments)
    dataset = loaded(call, name)
    key, visible = dataset.spec.key, dataset.visible
    columns = visible if arguments.columns is None else list(dict.fromkeys(arguments.columns))
    if not {*visible, key}.issuperset(columns):
        # The name that was asked for is not repeated: a restricted column is to look like one that does not exist.
        raise ToolError(f"argument columns: {name} does not have all of them; it has {', '.join([key, *visible])}")
    return {
        "dataset": name,
        "key": key,
        "version": dataset.table.version,
        "columns": columns,
        "rows": dataset.table.lookup(arguments.keys, columns),
    }


async def search(name: str, call: Call) -> dict[str, Any]:
    """Answer a search; only columns that the caller may see have an influence on it."""
    arguments = parse(Search, call.arguments)
    dataset = loaded(call, name)
    table, searched = dataset.table, dataset.only(dataset.spec.search)
    hits = await in_thread(lambda: table.text_index(searched).search(arguments.query, arguments.limit, LEAST_SCORE))
    found = table.rows([hit.key for hit in hits], dataset.visible)
    rows = [
        {"key": hit.key, "score": round(hit.score, 1), "values": values}
        for hit, values in zip(hits, found, strict=True)
    ]
    return {"dataset": name, "key": dataset.spec.key, "columns": dataset.visible, "rows": rows}


async def in_thread(work: Callable[[], Found], threads: ThreadPoolExecutor = _THREADS) -> Found:
    """Run what takes long beside the event loop, searches two at a time, so that they do not hold up look-ups."""
    return await asyncio.get_running_loop().run_in_executor(threads, work)


async def describe(call: Call) -> dict[str, Any]:
    """Answer a description of all data sets."""
    parse(Describe, call.arguments)
    department = call.view.department
    return {
        "department": department.name,
        "display_name": department.spec.display_name,
        "datasets": [described(call.view, state) for state in call.states.values()],
    }


def described(view: View, state: DatasetState) -> dict[str, Any]:
    """One data set's schema and freshness, as this caller may know them."""
    spec, table = state.spec, state.table
    types = {} if table is None else {column.name: column.type for column in table.columns}
    names = [] if table is None else [spec.key, *visible_columns(view, state)]
    return {
        "name": spec.name,
        "key": spec.key,
        "aliases": [alias for alias in spec.aliases if not view.hides(spec, alias)],
        "pattern": spec.pattern,
        "columns": [{"name": name, "type": types[name]} for name in names],
        "rows": None if table is None else table.row_count,
        "version": None if table is None else table.version,
        "loaded_at": None if table is None else datetime.fromtimestamp(table.loaded_at, UTC).isoformat(),
        "error": state.error or ("not loaded yet" if table is None else None),
    }

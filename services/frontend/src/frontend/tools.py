"""The departments' tools over MCP, as the user whose run this is."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client

from frontend import context
from frontend.enrichment import Refusal

NOT_AVAILABLE = "The departments' tools are not available at the moment. Try again in a few minutes."


class UnknownTool(Refusal):
    """There is none of that name, or it is not the user's: the gateway makes no difference."""


@dataclass(frozen=True, slots=True)
class DepartmentTool:
    """A tool of a department; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: dict[str, Any]


@asynccontextmanager
async def session() -> AsyncIterator[ClientSession]:
    """A session with the gateway.

    Raises:
        Refusal: Nobody is logged in, or the gateway cannot be used.
    """
    headers = {"authorization": f"Bearer {context.token()}"}
    try:
        async with (
            streamablehttp_client(f"{context.settings().gateway_url}/mcp", headers=headers) as (reading, writing, _),
            ClientSession(reading, writing) as opened,
        ):
            await opened.initialize()
            yield opened
    except* McpError as group:
        sentence = str(_first(group))
        raise (UnknownTool if sentence.startswith("Unknown tool") else Refusal)(sentence) from group
    except* (httpx.HTTPError, OSError) as group:
        raise Refusal(NOT_AVAILABLE) from group
    except* Refusal as group:
        raise Refusal(str(_first(group))) from group


async def list_tools() -> list[DepartmentTool]:
    """The tools that the user may call, without those for files, which the component File Enrichment is for."""
    found: list[DepartmentTool] = []
    async with session() as opened:
        cursor: str | None = None
        while True:
            page = await opened.list_tools(cursor)
            found += [DepartmentTool(tool.name, tool.description or "", dict(tool.inputSchema)) for tool in page.tools]
            cursor = page.nextCursor
            if cursor is None:
                return [tool for tool in found if not tool.name.startswith("files_")]


async def call_tool(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a tool answers.

    Raises:
        Refusal: It refuses, and says why.
    """
    async with session() as opened:
        result = await opened.call_tool(name, arguments)
    text = "\n".join(part.text for part in result.content if part.type == "text")
    if result.isError:
        raise Refusal(text or f"{name} could not answer.")
    return result.structuredContent or {"text": text}


async def look_up(dataset: str, keys: Sequence[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of a data set (`finance.vendors`) in the order of their keys."""
    department, _, name = dataset.partition(".")
    arguments: dict[str, Any] = {"keys": list(keys)} | ({"columns": list(columns)} if columns else {})
    try:
        answer = await call_tool(f"{prefix(department)}lookup_{name}", arguments)
    except UnknownTool as error:
        raise Refusal(
            f"There is no data set {dataset} that you may use. The component Departments lists yours; "
            "if you need another, ask its owners, or your help desk, for access."
        ) from error
    rows = answer.get("rows", [])
    return [{"key": row["key"], "found": row["matched"], **(row.get("values") or {})} for row in rows]


def prefix(department: str) -> str:
    """What the names of a department's tools begin with."""
    return f"{department.replace('-', '_')}_"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first

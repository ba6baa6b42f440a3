"""Legal's own tools: contracts that expire, and clauses found by their words."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from pydantic import Field

from mcp_server.definitions import (
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    Arguments,
    Call,
    Definition,
    array,
    parse,
    record,
    tool,
)
from mcp_server.department import View
from mcp_server.errors import ToolError
from mcp_server.refresh import DatasetState
from mcp_server.toolsets.generic import LEAST_SCORE, MAX_HITS, Loaded, in_thread, loaded

END = "end_date"
CLAUSES = "clauses"


class Expiring(Arguments):
    """Arguments of a search for contracts that expire."""

    within_days: int = Field(default=90, strict=True, ge=0, le=3660, description="How far ahead to look.")
    as_of: date | None = Field(default=None, description="The day to count from; today when left out.")
    limit: int = Field(default=50, strict=True, ge=1, le=1000, description="Most contracts to return.")


class Clauses(Arguments):
    """Arguments of a search in clauses."""

    query: str = Field(min_length=2, max_length=200, description="Words of the clause.")
    limit: int = Field(default=10, strict=True, ge=1, le=MAX_HITS, description="Most contracts to return.")


ENDING = record(
    first_day=STRING,
    last_day=STRING,
    total=INTEGER,
    rows=array(record(key=STRING, days_left=INTEGER, values=OBJECT)),
)
FOUND = record(rows=array(record(key=STRING, score=NUMBER, clause=STRING, values=OBJECT)))


class LegalTools:
    """Offered where the contracts data set is there, and the caller may see the column that is searched."""

    def definitions(self, view: View, states: Mapping[str, DatasetState]) -> list[Definition]:
        """Two tools on `contracts`."""
        if "contracts" not in states:
            return []
        prefix, spec, found = view.department.tool_prefix, states["contracts"].spec, []
        if not view.hides(spec, END):
            text = "Contracts whose end date is near, the nearest first."
            found.append(Definition(tool(f"{prefix}contracts_expiring", text, Expiring, ENDING), expiring))
        if not view.hides(spec, CLAUSES):
            text = "Contracts with a clause like the query, best first, with the sentence that was found."
            found.append(Definition(tool(f"{prefix}search_clauses", text, Clauses, FOUND), search_clauses))
        return found


async def expiring(call: Call) -> dict[str, Any]:
    """Contracts that end between a day and some days later, both included."""
    arguments = parse(Expiring, call.arguments)
    contracts = loaded(call, "contracts")
    if END not in contracts.visible:
        raise ToolError(f"the contracts data set has no column {END}")
    first = arguments.as_of or datetime.now(UTC).date()
    last = date.fromordinal(min(first.toordinal() + arguments.within_days, date.max.toordinal()))

    total, ending = await in_thread(lambda: contracts.table.dated(END, first, last, arguments.limit))
    columns = _without_clauses(contracts)
    rows = [
        {"key": key, "days_left": (end - first).days, "values": contracts.table.row(key, columns)}
        for end, key in ending
    ]
    return {"first_day": str(first), "last_day": str(last), "total": total, "rows": rows}


async def search_clauses(call: Call) -> dict[str, Any]:
    """Contracts with a sentence that is like the query."""
    arguments = parse(Clauses, call.arguments)
    contracts = loaded(call, "contracts")
    if CLAUSES not in contracts.visible:
        raise ToolError(f"the contracts data set has no column {CLAUSES}")
    table = contracts.table
    hits = await in_thread(
        lambda: table.text_index([CLAUSES], passages=True).search(arguments.query, arguments.limit, LEAST_SCORE)
    )
    columns = _without_clauses(contracts)
    rows = [
        {"key": hit.key, "score": round(hit.score, 1), "clause": hit.text, "values": table.row(hit.key, columns)}
        for hit in hits
    ]
    return {"rows": rows}


def _without_clauses(contracts: Loaded) -> list[str]:
    # They are long, and their owner finds them by the look-up.
    return [column for column in contracts.visible if column != CLAUSES]

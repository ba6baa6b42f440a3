"""Why keys were not found in a data set, and which ones were probably meant."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from weakref import WeakKeyDictionary

from pydantic import Field

from mcp_server.datasets import DataTable
from mcp_server.definitions import (
    NUMBER,
    STRING,
    Arguments,
    Call,
    Definition,
    array,
    optional,
    parse,
    record,
    tool,
)
from mcp_server.department import View
from mcp_server.errors import ToolError
from mcp_server.explain.explainer import Explainer, Explanation
from mcp_server.refresh import DatasetState
from mcp_server.toolsets.generic import Loaded, in_thread, loaded

MAX_KEYS: Final = 1_000
"""Fewer than of a look-up: a typo costs as much as hundreds of look-ups."""

MAX_ROWS: Final = 2_000_000
"""Of a data set that can explain keys; the keys of a larger one have no cause."""

MAX_NAMES: Final = 100
"""Keys of one call that are searched for as names; a search takes milliseconds."""

LEAST_LIKENESS: Final = 90

_THREAD: Final = ThreadPoolExecutor(1, "explain")
"""One of its own: an explainer takes seconds to make for a large data set, and searches do not wait for that."""

_explainers: Final[WeakKeyDictionary[DataTable, Explainer]] = WeakKeyDictionary()
"""Used in `_THREAD` alone, so that each is made once."""


class Explain(Arguments):
    """Arguments of an explanation."""

    dataset: str = Field(description="The data set in which the keys were not found.")
    keys: list[str] = Field(
        min_length=1, max_length=MAX_KEYS, description="Keys that were not found; explanations come in their order."
    )


PROPOSALS = array(record(key=STRING, score=NUMBER, reason=STRING))
EXPLAINED = record(
    dataset=STRING,
    key=STRING,
    version=STRING,
    keys=array(record(key=STRING, cause=optional(STRING), dataset=optional(STRING), proposals=PROPOSALS)),
)


class ExplainTools:
    """Offered by every department that has data sets."""

    def definitions(self, view: View, states: Mapping[str, DatasetState]) -> list[Definition]:
        """One tool for all data sets."""
        if not states:
            return []
        text = (
            f"{view.department.spec.display_name}: why keys were not found in a data set (leading zeros, number "
            "format, letter case, separators, look-alike letters, a typo, a name), with up to three keys that may "
            "have been meant."
        )
        return [Definition(tool(f"{view.department.tool_prefix}explain_keys", text, Explain, EXPLAINED), explain)]


async def explain(call: Call) -> dict[str, Any]:
    """Answer; only keys, and columns that the caller may see, have an influence on it."""
    arguments = parse(Explain, call.arguments)
    if arguments.dataset not in call.states:
        raise ToolError(f"argument dataset: there is none of this name; there are {', '.join(call.states)}")
    dataset = loaded(call, arguments.dataset)
    found: Sequence[Explanation | None] = [None] * len(arguments.keys)
    if dataset.table.row_count <= MAX_ROWS:
        found = await in_thread(lambda: _explanations(call, dataset, arguments.keys), _THREAD)
    return {
        "dataset": arguments.dataset,
        "key": dataset.spec.key,
        "version": dataset.table.version,
        "keys": [_row(key, explanation) for key, explanation in zip(arguments.keys, found, strict=True)],
    }


def _row(key: str, explanation: Explanation | None) -> dict[str, Any]:
    if explanation is None:
        return {"key": key, "cause": None, "dataset": None, "proposals": []}
    proposals = [{"key": each.key, "score": each.score, "reason": each.reason} for each in explanation.proposals]
    return {"key": key, "cause": explanation.cause.value, "dataset": explanation.dataset, "proposals": proposals}


def _explanations(call: Call, dataset: Loaded, keys: Sequence[str]) -> list[Explanation | None]:
    """An explanation for each key that the data set lacks; `None` for one that it has, or that is blank."""
    table = dataset.table
    known = table.rows([key.strip() for key in keys], ())
    misses = {key: None for key, row in zip(keys, known, strict=True) if key.strip() and row is None}
    others = {
        name: state.table for name, state in call.states.items() if state.table is not None and state.table is not table
    }

    def elsewhere(key: str) -> str | None:
        return next((name for name, other in others.items() if other.row(key, ()) is not None), None)

    explained = _explainer(table).explain(list(misses), elsewhere, _names(dataset))
    by_key = dict(zip(misses, explained, strict=True))
    return [by_key.get(key) for key in keys]


def _names(dataset: Loaded) -> Callable[[str], Sequence[tuple[str, float]]]:
    """A search among the columns that the data set's own search looks at, as far as the caller may see them."""
    searched = dataset.only(dataset.spec.search)
    left = MAX_NAMES

    def named(text: str) -> Sequence[tuple[str, float]]:
        nonlocal left
        if not dataset.table.searchable or not searched or not left or not any(map(str.isalpha, text)):
            return ()
        left -= 1
        hits = dataset.table.text_index(searched).search(text, 3, LEAST_LIKENESS)
        return [(hit.key, hit.score) for hit in hits]

    return named


def _explainer(table: DataTable) -> Explainer:
    """The table's explainer, made when it is first asked for: some 10 µs a key."""
    explainer = _explainers.get(table)
    if explainer is None:
        _explainers[table] = explainer = Explainer(table.keys)
    return explainer

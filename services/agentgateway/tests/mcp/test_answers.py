"""The outcome of a call is what a full reading of its response says, at a fraction of the memory."""

import json
import tracemalloc
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentgateway.mcp.answers import outcome_of

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
results = st.dictionaries(st.sampled_from(["isError", "content", "structuredContent"]), values, max_size=3)
versions = st.just("2.0") | values
documents = values | st.fixed_dictionaries(
    {}, optional={"jsonrpc": versions, "id": values, "result": results | values, "error": results | values}
)


def read_whole(document: Any) -> str | None:
    """The outcome by JSON-RPC 2.0, section 5, and MCP's `isError`."""
    if not isinstance(document, dict) or document.get("jsonrpc") != "2.0":
        return None
    result, error = document.get("result"), document.get("error")
    if not all(member is None or isinstance(member, dict) for member in (result, error)):
        return None
    if result is not None:
        return "tool_error" if result.get("isError") is True else "ok"
    return None if error is None else "error"


@settings(deadline=None)
@given(documents)
@example({"jsonrpc": "2.0", "id": 1, "result": {"isError": True}})
@example({"jsonrpc": "2.0", "id": 1, "result": {"isError": 1, "content": [{"isError": True}]}})
@example({"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "No"}})
@example({"jsonrpc": "2.0", "id": 1, "result": "x", "error": {}})
def test_outcome_is_that_of_the_whole_document(document: Any) -> None:
    assert outcome_of(json.dumps(document, ensure_ascii=False).encode("utf-8")) == read_whole(document)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"jsonrpc":"2.0","id":1,"result":{}',
        b'{"jsonrpc":"2.0","id":1,"result":{}} {}',
        b'{"jsonrpc":"2.0","id":1,"result":{"text":"\xff"}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
    ids=["empty", "html", "cut off", "two documents", "not UTF-8", "too deep"],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        outcome_of(body)


def test_a_large_answer_is_not_built_to_be_judged() -> None:
    rows = [{"key": f"V-{number}", "matched": True, "values": {"name": f"Vendor {number}"}} for number in range(5000)]
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"rows": rows}}})
    tracemalloc.start()
    try:
        outcome_of(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * len(body)

"""Whatever arrives is either a request whose headers agree with it, or refused; nothing else escapes."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.shared.inbound import encode_header_value
from services.agentgateway.tests.mcp.harness import META, VERSION

from agentgateway.mcp.errors import RpcError
from agentgateway.mcp.message import Message, as_request, parse, text_headers

text = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
methods = st.sampled_from(["tools/call", "tools/list", "resources/read", "prompts/get", "initialize", "made/up"])
names = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}


def raw(sent: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in sent.items()]


def outcome(ask: Callable[[], Any]) -> tuple[Any, RpcError | None]:
    try:
        return ask(), None
    except RpcError as error:
        return None, error


@settings(deadline=None)
@given(st.binary(max_size=60) | values.map(orjson.dumps))
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    document, error = outcome(lambda: parse(body))
    if error is None:
        assert orjson.loads(body) == document
    else:
        assert (error.status, error.code) == (400, -32700)
        assert orjson.loads(error.body(None))["error"]["code"] == -32700


@settings(deadline=None)
@given(
    values | st.fixed_dictionaries({}, optional={"id": values, "method": methods | values, "params": values}),
    st.dictionaries(
        st.sampled_from(["mcp-protocol-version", "mcp-method", "mcp-name"]),
        st.sampled_from([VERSION, "2025-11-25", "x", ""]) | methods | text,
    ),
)
def test_any_document_is_a_request_or_none_or_refused(document: Any, sent: dict[str, str]) -> None:
    headers = raw(sent)
    message, error = outcome(lambda: as_request(document, b"body", text_headers(headers), headers))
    assert error is None or error.status in (400, 404)
    assert message is None or (isinstance(message, Message) and message.body == b"body")


@settings(deadline=None)
@given(methods, text, st.integers(0, 2**53) | text, st.booleans())
def test_a_request_whose_headers_agree_is_let_through(method: str, name: str, request_id: Any, modern: bool) -> None:
    params: dict[str, Any] = {names[method]: name} if method in names else {}
    sent = {"mcp-method": method, "mcp-protocol-version": VERSION if modern else "2025-11-25"}
    if method in names:
        sent["mcp-name"] = encode_header_value(name)
    if modern:
        params["_meta"] = META
    headers = raw(sent)
    document = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    message = as_request(document, b"", text_headers(headers), headers)
    assert message is not None
    assert (message.id, message.method, message.params, message.modern) == (request_id, method, params, modern)


@settings(deadline=None)
@given(text, text, st.booleans())
def test_a_request_whose_name_differs_is_refused(name: str, other: str, modern: bool) -> None:
    headers = raw(
        {
            "mcp-method": "tools/call",
            "mcp-name": encode_header_value(other),
            "mcp-protocol-version": VERSION if modern else "2025-06-18",
        }
    )
    document = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "_meta": META}}
    if not modern:
        document["params"] = {"name": name}
    if name == other:
        assert as_request(document, b"", text_headers(headers), headers) is not None
    else:
        with pytest.raises(RpcError) as refused:
            as_request(document, b"", text_headers(headers), headers)
        assert (refused.value.status, refused.value.code) == (400, -32020)


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    assert text_headers([(b"a", b" 1 "), (b"b", b"2"), (b"a", b"3")]) == {"a": "1", "b": "2"}

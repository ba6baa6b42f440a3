"""Events are cut whole, wherever the network cuts the bytes."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgateway.mcp.sse import EventSplitter, data_of, event_of, outcome_in

ends = st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\r"])
values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.text(alphabet=st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\u2028"), inner, max_size=3),
    max_leaves=6,
)
lines = st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")), max_size=4)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """One event, of lines that end as its end does."""
    end = draw(ends)
    content = [line for line in draw(lines) if line]
    return (end[: len(end) // 2]).join(content or [b": ping"]) + end


@settings(deadline=None)
@given(st.lists(events(), max_size=6), st.binary(max_size=10), st.lists(st.integers(1, 9), min_size=1))
def test_the_same_events_come_out_however_the_stream_is_cut(whole: list[bytes], rest: bytes, cuts: list[int]) -> None:
    stream, rest = b"".join(whole), rest.replace(b"\r", b"").replace(b"\n", b"")
    at_once = EventSplitter().feed(stream)
    splitter, pieces, position = EventSplitter(), [], 0
    data = stream + rest
    for number in range(len(data)):
        size = cuts[number % len(cuts)]
        pieces += splitter.feed(data[position : position + size])
        position += size
    assert b"".join(pieces) == stream
    assert splitter.held == len(rest)
    assert b"".join(at_once) == stream
    assert len(pieces) <= len(at_once) == len(whole)


@settings(deadline=None)
@given(values)
def test_a_response_is_found_in_its_event(value: object) -> None:
    response = {"jsonrpc": "2.0", "id": 1, "result": {"value": value}}
    event = event_of(orjson.dumps(response))
    assert EventSplitter().feed(event) == [event]
    assert outcome_in(event) == "ok"


def test_data_may_take_several_lines() -> None:
    assert data_of(b'id: 1\ndata: {"a":\ndata:1}\n\n') == b'{"a":\n1}'
    assert outcome_in(b'data: {"jsonrpc":"2.0","id":1,\r\ndata: "result":{}}\r\n\r\n') == "ok"


def test_what_is_no_response_is_none() -> None:
    for event in (b": ping\n\n", b"data: {\n\n", b"data: 7\n\n", b'data: {"jsonrpc":"2.0","method":"x"}\n\n'):
        assert outcome_in(event) is None

"""What is refused before any department hears of it: who sent it, how, and what would be right."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from services.agentgateway.tests.mcp.departments import Department
from services.agentgateway.tests.mcp.harness import APP_URL, META, Gateway, gateway, headers, request, web

pytestmark = pytest.mark.slow

CALL = {"name": "finance_lookup_items", "arguments": {"keys": ["a"]}}


def code(response: httpx2.Response) -> int:
    error = response.json()["error"]
    assert error["message"]
    return int(error["code"])


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"mcp-method": "tools/list"},
        {"mcp-method": None},
        {"mcp-name": "finance_count"},
        {"mcp-name": None},
        {"mcp-protocol-version": None},
        {"mcp-protocol-version": "2025-11-25"},
        {"mcp-protocol-version": "2026-07-29"},
    ],
)
async def test_headers_that_do_not_match_the_body(
    front: Gateway, finance: Department, path: str, wrong: Mapping[str, Any]
) -> None:
    response = await front.post("dana", "tools/call", CALL, path, headers=wrong)
    assert (response.status_code, code(response)) == (400, -32020)
    assert response.json()["id"] == 7
    assert finance.asked == []


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize("wrong", [{"mcp-method": "tools/list"}, {"mcp-name": "hr_count"}])
async def test_headers_of_the_handshake_era_that_do_not_match_the_body(
    front: Gateway, finance: Department, path: str, wrong: dict[str, str]
) -> None:
    document = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": CALL}
    assert (await front.legacy_post("dana", document, path)).status_code == 200
    finance.forget()
    response = await front.legacy_post("dana", document, path, **wrong)
    assert (response.status_code, code(response)) == (400, -32020)
    assert finance.asked == []


async def test_a_header_that_comes_twice(front: Gateway, finance: Department) -> None:
    sent = [*headers("dana", "tools/call", CALL).items(), ("mcp-name", "finance_count")]
    async with web() as http:
        response = await http.post(f"{front.url}/mcp", json=request("tools/call", CALL), headers=sent)
    assert (response.status_code, code(response)) == (400, -32020)
    assert finance.asked == []


async def test_white_space_after_a_header_is_no_part_of_it(front: Gateway) -> None:
    body = orjson.dumps(request("tools/call", CALL))
    sent = headers("dana", "tools/call", CALL) | {"mcp-name": "finance_lookup_items \t", "connection": "close"}
    async with front.connection(sent, len(body)) as (reader, writer):
        writer.write(body)
        answer = await asyncio.wait_for(reader.read(), 5)
    assert b'"by":"finance"' in answer


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
async def test_a_version_that_is_not_served(front: Gateway, path: str) -> None:
    version = "2027-01-01"
    meta = {**META, "io.modelcontextprotocol/protocolVersion": version}
    body = orjson.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": meta}})
    response = await front.post(
        "dana", "tools/list", None, path, content=body, headers={"mcp-protocol-version": version}
    )
    assert (response.status_code, code(response)) == (400, -32022)
    assert response.json()["error"]["data"] == {"supported": ["2026-07-28"], "requested": version}


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"a":1}}', b'{"id":"\xed\xa0\x80"}'])
async def test_a_body_that_is_not_json(front: Gateway, path: str, body: bytes) -> None:
    response = await front.post("dana", "tools/list", None, path, content=body)
    assert (response.status_code, code(response)) == (400, -32700)
    assert "id" not in response.json()


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize("era", ["2026-07-28", "2025-11-25"])
@pytest.mark.parametrize(
    "document",
    [
        [],
        [request("tools/list")],
        7,
        None,
        {"jsonrpc": "2.0", "id": 7, "method": 7},
        {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": []},
    ],
    ids=repr,
)
async def test_json_that_is_no_request(
    front: Gateway, finance: Department, path: str, era: str, document: object
) -> None:
    body = orjson.dumps(document)
    response = await front.post("dana", "tools/list", None, path, content=body, headers={"mcp-protocol-version": era})
    assert response.status_code == 400
    assert code(response) in (-32600, -32602)
    assert finance.asked == []


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize("era", ["2026-07-28", "2025-11-25"])
@pytest.mark.parametrize("wrong", [None, True, 1.0, 1.5, [1], {"a": 1}])
async def test_an_id_that_is_neither_a_string_nor_an_integer_is_refused(
    front: Gateway, finance: Department, path: str, era: str, wrong: object
) -> None:
    document = {**request("tools/list"), "id": wrong}
    if era == "2026-07-28":
        response = await front.post("dana", "tools/list", None, path, content=orjson.dumps(document))
    else:
        response = await front.legacy_post("dana", {"jsonrpc": "2.0", "method": "tools/list", "id": wrong}, path)
    assert (response.status_code, code(response)) == (400, -32600)
    assert "id" not in response.json()
    assert finance.asked == []


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize("wrong", [{"id": 7, "method": None, "result": {}}])
async def test_requests_that_nobody_could_answer(
    front: Gateway, finance: Department, path: str, wrong: dict[str, object]
) -> None:
    body = orjson.dumps(request("tools/list") | wrong)
    response = await front.post("dana", "tools/list", None, path, content=body)
    assert (response.status_code, code(response)) == (400, -32600)
    # In the handshake era it passes for a client's answer.
    later = await front.legacy_post("dana", {"jsonrpc": "2.0", "method": "tools/list", **wrong}, path)
    assert later.status_code in (202, 400)
    assert finance.asked == []


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
@pytest.mark.parametrize("era", ["2026-07-28", "2025-11-25"])
async def test_notifications_are_accepted(front: Gateway, path: str, era: str) -> None:
    body = orjson.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
    response = await front.post("dana", "", None, path, content=body, headers={"mcp-protocol-version": era})
    assert (response.status_code, response.content) == (202, b"")


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
async def test_an_unknown_method(front: Gateway, path: str) -> None:
    response = await front.post("dana", "tools/destroy", path=path)
    assert (response.status_code, code(response)) == (404, -32601)


async def test_a_page_of_a_foreign_origin(front: Gateway, finance: Department) -> None:
    for origin in ("https://evil.example", "null", f"{APP_URL}.evil.example"):
        response = await front.post("dana", "tools/call", CALL, headers={"origin": origin})
        assert response.status_code == 403
    assert finance.asked == []
    assert (await front.post("dana", "tools/call", CALL, headers={"origin": APP_URL})).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": None}, 415),
        ({"accept": "application/json"}, 406),
        ({"accept": "text/event-stream"}, 406),
        ({"accept": "text/html"}, 406),
    ],
)
async def test_types_that_are_not_spoken_here(front: Gateway, wrong: Mapping[str, Any], status: int) -> None:
    response = await front.post("dana", "tools/call", CALL, headers=wrong)
    assert (response.status_code, code(response)) == (status, -32600)


async def test_any_type_is_accepted_from_who_accepts_any(front: Gateway) -> None:
    assert (await front.post("dana", "tools/call", CALL, headers={"accept": "*/*"})).status_code == 200


async def test_more_than_the_rate_limit_allows(front: Gateway, finance: Department) -> None:
    front.limit.wait = 2.3
    response = await front.post("dana", "tools/call", CALL)
    assert (response.status_code, response.headers["retry-after"], code(response)) == (429, "3", -32013)
    assert finance.asked == []
    assert front.audit == [("dana", None, "other", "rate_limited")]
    # Many clients match an error to their request by its id, and show none that has no id.
    assert response.json()["id"] == 7
    front.limit.wait = None
    assert (await front.post("dana", "tools/call", CALL)).status_code == 200


async def test_a_request_is_counted_by_its_size(front: Gateway, finance: Department) -> None:
    front.limit.largest = 50_000
    response = await front.post("dana", "tools/call", {**CALL, "arguments": {"text": "x" * 50_000}})
    assert (response.status_code, response.headers["retry-after"], code(response)) == (429, "1", -32013)
    assert response.json()["id"] == 7
    assert finance.asked == []
    assert (await front.post("dana", "tools/call", CALL)).status_code == 200


async def test_more_at_once_than_one_caller_may(front: Gateway, finance: Department) -> None:
    front.limit.busy = True
    response = await front.post("dana", "tools/call", CALL)
    assert (response.status_code, response.headers["retry-after"], code(response)) == (429, "1", -32013)
    assert finance.asked == []


async def test_a_body_that_is_announced_too_large_is_not_read(front: Gateway) -> None:
    async with front.connection(headers("dana", "tools/list"), 100 * 1024**2) as (reader, _):
        answer = await asyncio.wait_for(reader.readuntil(b"}}"), 5)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"-32600" in answer


async def test_a_body_that_grows_too_large_is_not_held(front: Gateway) -> None:
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(100):
            given += 1
            yield b" " * 1024**2

    async with web() as http:
        # The answer may be overtaken by the end of the connection, as the client still sends.
        with contextlib.suppress(httpx2.WriteError, httpx2.ReadError):
            response = await http.post(f"{front.url}/mcp", content=endless(), headers=headers("dana", "tools/list"))
            assert response.status_code == 413
    assert ("dana", None, "other", "refused") in front.audit


async def test_large_bodies_of_all_callers_together_are_bounded_and_small_ones_still_go_through(tmp_path: Path) -> None:
    with gateway(tmp_path, {}, mcp_bodies_limit=1024**2) as front:
        listing = headers("dana", "tools/list")
        async with front.connection(listing, 2 * 1024**2) as one, front.connection(listing, 2 * 1024**2) as other:
            answers = []
            for reader, writer in (one, other):
                writer.write(b" " * 700 * 1024)
                answers.append(asyncio.create_task(reader.readuntil(b"}}")))
            done, waiting = await asyncio.wait(answers, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            (refused,) = done
            assert refused.result().startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in refused.result().lower()
            assert (await front.post("dana", "tools/list")).status_code == 200
            for each in waiting:
                each.cancel()
        large = {"_meta": {"padding": "x" * 1024**2}}

        async def there_is_room_again() -> bool:
            return (await front.post("dana", "tools/list", large)).status_code == 200

        deadline = time.monotonic() + 10
        while not await there_is_room_again():
            assert time.monotonic() < deadline


async def test_a_client_that_sends_too_slowly_is_timed_out(tmp_path: Path) -> None:
    with gateway(tmp_path, {}, mcp_body_seconds=0.3) as front:
        async with front.connection(headers("dana", "tools/list"), 100) as (reader, writer):
            answer = asyncio.create_task(reader.read())
            started = time.monotonic()
            while not answer.done() and time.monotonic() < started + 10:
                writer.write(b" ")
                await asyncio.wait([answer], timeout=0.05)
            assert (await answer).startswith(b"HTTP/1.1 408 ")

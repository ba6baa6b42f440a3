"""What takes time comes through as it happens, and stops when nobody listens any more."""

import asyncio
import threading
from collections.abc import Awaitable
from pathlib import Path

import orjson
import pytest
from services.agentgateway.tests.mcp.departments import Department, event, streaming
from services.agentgateway.tests.mcp.harness import Gateway, Served, gateway, headers, request, wait_until, web

pytestmark = pytest.mark.slow

CALL = {"name": "finance_lookup_items", "arguments": {}}


def progress(number: int) -> bytes:
    return event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": number}})


async def test_events_pass_one_by_one(tmp_path: Path) -> None:
    """Each event is waited for by the client before the department sends the next one."""
    answer = event({"jsonrpc": "2.0", "id": 7, "result": {"content": []}})
    events = [progress(1), b": ping\n\n", progress(2), answer]
    seen = threading.Semaphore(0)

    def next_one() -> Awaitable[bool]:
        return asyncio.get_running_loop().run_in_executor(None, lambda: seen.acquire(timeout=5))

    with Served(streaming(events, next_one)) as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}) as front:
        async with web() as http:
            body, sent = orjson.dumps(request("tools/call", CALL)), headers("alice", "tools/call", CALL)
            async with http.stream("POST", f"{front.url}/mcp", content=body, headers=sent) as response:
                assert response.headers["content-type"] == "text/event-stream"
                assert response.headers["cache-control"] == "no-cache, no-transform"
                received = []
                async for chunk in response.aiter_raw():
                    received.append(chunk)
                    seen.release()
    assert received == events
    assert front.audit == [("alice", "finance", "finance_lookup_items", "ok")]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_client_that_leaves_ends_the_departments_work(tmp_path: Path, streams: bool) -> None:
    finance = Department("finance", json_response=not streams)
    with finance.served() as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}) as front:
        call = {"name": "finance_wait", "arguments": {}}
        leaving = asyncio.create_task(front.post("alice", "tools/call", call))
        await asyncio.to_thread(wait_until, lambda: "finance_wait" in finance.asked)
        leaving.cancel()
        await asyncio.to_thread(wait_until, lambda: bool(front.audit))
        assert front.audit == [("alice", "finance", "finance_wait", "cancelled")]
        if streams:
            await asyncio.to_thread(wait_until, lambda: finance.cancelled == 1)
        assert (await front.post("alice", "tools/call", CALL)).status_code == 200


async def test_a_client_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    flood = streaming([event({"jsonrpc": "2.0", "method": "x", "params": {"data": "x" * 100_000}})] * 400)
    body = orjson.dumps(request("tools/call", CALL))
    with Served(flood) as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}, mcp_send_seconds=0.3) as front:
        async with front.connection(headers("alice", "tools/call", CALL), len(body)) as (_, writer):
            writer.write(body)
            await asyncio.to_thread(wait_until, lambda: bool(front.audit))
    assert front.audit == [("alice", "finance", "finance_lookup_items", "cancelled")]


async def test_one_call_after_another_takes_one_connection(front: Gateway, finance: Department) -> None:
    for _ in range(5):
        assert (await front.post("alice", "tools/call", CALL)).status_code == 200
    assert len(finance.connections) == 1


async def test_many_calls_at_once_get_each_its_own_answer(front: Gateway) -> None:
    async def ask(number: int) -> bool:
        department = ("finance", "hr")[number % 2]
        call = {"name": f"{department}_lookup_items", "arguments": {"keys": [str(number)]}}
        text = (await front.post("dana", "tools/call", call)).text
        return f'"key":"{number}"' in text and f'"by":"{department}"' in text

    assert all(await asyncio.gather(*(ask(number) for number in range(60))))

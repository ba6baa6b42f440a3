"""A department that is down, slow, broken, or talks rubbish: its caller is told in words, and no other caller waits."""

import asyncio
import threading
import time
from pathlib import Path

import httpx2
import pytest
from services.agentgateway.tests.mcp.departments import Department, answering, event, streaming
from services.agentgateway.tests.mcp.harness import (
    Gateway,
    Served,
    eventually,
    gateway,
    wait_until,
    with_lifespan,
)
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agentgateway.mcp import endpoint

pytestmark = pytest.mark.slow

CALL = {"name": "finance_lookup_items", "arguments": {"keys": ["a"]}}
DOWN = "http://127.0.0.1:9/mcp"
OK = b'{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[]}}'


async def call(front: Gateway, path: str = "/mcp", tool: str = "lookup_items") -> httpx2.Response:
    return await front.post("alice", "tools/call", {"name": f"finance_{tool}", "arguments": {"size": 3000}}, path)


@pytest.mark.parametrize("path", ["/mcp", "/mcp/finance"])
async def test_a_department_that_is_down(tmp_path: Path, path: str) -> None:
    with gateway(tmp_path, {"finance": DOWN}) as front:
        response = await call(front, path)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    error = response.json()["error"]
    assert (response.json()["id"], error["code"], error["data"]["department"]) == (7, -32010, "finance")
    assert error["message"].startswith("Department 'finance' is unavailable. Retry in ")
    assert front.audit == [("alice", "finance", "finance_lookup_items", "unavailable")]


async def test_a_slow_department_is_given_up_in_time_and_its_work_cancelled(tmp_path: Path) -> None:
    finance = Department("finance")
    with finance.served() as served:
        timeouts = {"mcp_timeout_seconds": 20, "mcp_tool_timeouts": {"finance_wait": 0.3}}
        with gateway(tmp_path, {"finance": f"{served.url}/mcp"}, **timeouts) as front:
            started = time.monotonic()
            response = await call(front, tool="wait")
            assert time.monotonic() - started < 5
            assert (await call(front)).status_code == 200
    assert response.status_code == 504
    assert response.json()["error"]["message"] == "Department 'finance' did not answer within 0.3 s."
    assert front.audit[0] == ("alice", "finance", "finance_wait", "timeout")


@pytest.mark.parametrize(
    ("app", "why"),
    [
        (answering(200, b"<html>"), "it is not JSON"),
        (answering(200, b""), "it is not JSON"),
        (answering(200, b"[]"), "it is not a JSON-RPC response"),
        (answering(200, b'{"jsonrpc":"2.0","id":7}'), "it is not a JSON-RPC response"),
        (answering(200, b'{"jsonrpc":"2.0","id":7,"result":"x"}'), "it is not a JSON-RPC response"),
        (answering(200, OK, "text/html"), None),
        (answering(500, b"Traceback: secret"), "it answered HTTP 500"),
        (answering(401, b"secret"), "it answered HTTP 401"),
        (answering(302, b""), "it answered HTTP 302"),
    ],
)
async def test_rubbish(tmp_path: Path, app: ASGIApp, why: str | None) -> None:
    with Served(app) as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}) as front:
        response = await call(front)
    if why is None:
        assert (response.status_code, response.content) == (200, OK)
        return
    assert response.status_code == 502
    assert response.json()["error"]["code"] == -32012
    assert response.json()["error"]["message"] == f"Department 'finance' returned an invalid answer: {why}."
    assert "secret" not in response.text
    assert front.audit == [("alice", "finance", "finance_lookup_items", "fault")]


async def test_a_department_that_is_not_ready_says_so_itself(tmp_path: Path) -> None:
    with Served(answering(503, b"{}")) as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}) as front:
        response = await call(front)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json()["error"]["message"] == "Department 'finance' is unavailable. Retry in 5 s."


async def test_an_answer_that_is_too_large(tmp_path: Path) -> None:
    finance = Department("finance").served()
    with finance as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}, mcp_response_limit=2000) as front:
        large = await call(front, tool="big")
        assert (await call(front)).status_code == 200
    assert large.status_code == 502
    assert "larger than 2000 bytes" in large.json()["error"]["message"]


@pytest.mark.parametrize("end", [True, False], ids=["ends", "breaks off"])
async def test_a_stream_that_dies_before_its_answer(tmp_path: Path, end: bool) -> None:
    note = event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "half"}})
    dying = streaming([note, note[:20]], end=end)
    with Served(dying) as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}) as front:
        response = await call(front)
    assert response.headers["content-type"] == "text/event-stream"
    first, last = response.content.removesuffix(b"\r\n\r\n").split(b"\n\n", 1)
    assert first + b"\n\n" == note
    assert b'"id":7,"error":{"code":-32012' in last
    assert front.audit == [("alice", "finance", "finance_lookup_items", "fault")]


async def test_an_event_without_end_is_not_held(tmp_path: Path) -> None:
    endless = streaming([b"data: "] + [b"x" * 1000] * 10)
    with (
        Served(endless) as served,
        gateway(tmp_path, {"finance": f"{served.url}/mcp"}, mcp_response_limit=5000) as front,
    ):
        response = await call(front)
    assert "larger than 5000 bytes" in response.text


async def test_the_circuit_opens_after_failures_in_a_row_and_closes_when_the_department_is_back(tmp_path: Path) -> None:
    served = Department("finance").served()
    settings = {"mcp_breaker_failures": 3, "mcp_breaker_seconds": 1}
    with gateway(tmp_path, {"finance": f"{served.url}/mcp"}, **settings) as front:
        for _ in range(3):
            assert (await call(front)).status_code == 503
        with served:

            async def recovered() -> bool:
                return (await call(front)).status_code == 200

            await eventually(recovered)
            answers = await asyncio.gather(*(call(front) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}


async def test_an_open_circuit_answers_at_once(tmp_path: Path) -> None:
    finance = Department("finance")
    served = finance.served()
    settings = {"mcp_breaker_failures": 1, "mcp_breaker_seconds": 30}
    with gateway(tmp_path, {"finance": f"{served.url}/mcp"}, **settings) as front:
        assert (await call(front)).status_code == 503
        with served:
            response = await call(front)
    assert (response.status_code, response.headers["retry-after"]) == (503, "30")
    assert finance.asked == []


async def test_time_outs_of_one_caller_or_one_tool_do_not_open_the_circuit(tmp_path: Path) -> None:
    finance = Department("finance", tools=("finance_wait", "finance_wait_longer", "finance_lookup_items"))
    settings = {"mcp_breaker_failures": 3, "mcp_breaker_seconds": 30, "mcp_calls_at_once": 50}
    slow = {f"finance_{tool}": 0.2 for tool in ("wait", "wait_longer")}
    with (
        finance.served() as served,
        gateway(tmp_path, {"finance": f"{served.url}/mcp"}, mcp_tool_timeouts=slow, **settings) as front,
    ):
        wait = {"name": "finance_wait", "arguments": {}}
        longer = {"name": "finance_wait_longer", "arguments": {}}
        of_one_caller = [front.post("alice", "tools/call", params) for params in (wait, longer) for _ in range(10)]
        of_one_tool = [front.post(who, "tools/call", wait) for who in ("alice", "frank", "dana") for _ in range(5)]
        for calls in (of_one_caller, of_one_tool):
            assert {answer.status_code for answer in await asyncio.gather(*calls)} == {504}
            assert (await front.post("frank", "tools/call", CALL)).status_code == 200


async def test_time_outs_of_several_callers_and_tools_open_the_circuit(tmp_path: Path) -> None:
    mute = Served(streaming([b": \n\n"], lambda: asyncio.sleep(30)))
    settings = {"mcp_breaker_failures": 3, "mcp_breaker_seconds": 30, "mcp_timeout_seconds": 0.3}
    with mute as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}, **settings) as front:
        for who, tool in (("alice", "count"), ("frank", "count"), ("dana", "big")):
            answer = await front.post(who, "tools/call", {"name": f"finance_{tool}", "arguments": {}})
            assert b"-32011" in answer.content
        assert (await call(front)).status_code == 503


async def test_a_callers_calls_wait_for_each_other_and_hold_up_no_other_caller(tmp_path: Path) -> None:
    finance = Department("finance")
    settings = {"mcp_calls_at_once": 2, "mcp_tool_timeouts": {"finance_wait": 2}}
    with finance.served() as served, gateway(tmp_path, {"finance": f"{served.url}/mcp"}, **settings) as front:
        greedy = [asyncio.create_task(call(front, tool="wait")) for _ in range(20)]

        async def under_way() -> bool:
            return len(finance.asked) == 2

        await eventually(under_way)
        assert (await front.post("frank", "tools/call", CALL)).status_code == 200
        assert len(finance.asked) == 3
        answers = [await task for task in greedy]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {504, 429}
    assert statuses.count(504) == 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["message"] == ("Too many of your calls of department 'finance' wait. Retry in 1 s.")


async def test_a_callers_own_mistakes_do_not_open_the_circuit(tmp_path: Path) -> None:
    finance = Department("finance")
    with finance.served() as served:
        settings = {"mcp_breaker_failures": 1, "mcp_response_limit": 2000}
        with gateway(tmp_path, {"finance": f"{served.url}/mcp"}, **settings) as front:
            for tool in ("nothing", "break", "big"):
                await call(front, tool=tool)
            await front.post("alice", "tools/nothing", path="/mcp/finance")
            assert (await call(front)).status_code == 200


async def test_a_dead_department_costs_a_list_no_more_than_its_time(tmp_path: Path, finance: Department) -> None:
    mute = Served(streaming([b": \n\n"], lambda: asyncio.sleep(30)))
    with mute, gateway(tmp_path, {"finance": finance.url}, mcp_list_timeout_seconds=0.5) as front:
        front.add("legal", f"{mute.url}/mcp", ["finance"])

        async def noticed() -> bool:
            started = time.monotonic()
            result = (await front.post("alice", "tools/list")).json()["result"]
            assert time.monotonic() - started < 5
            assert "finance_lookup_items" in [tool["name"] for tool in result["tools"]]
            return "_meta" in result and "legal" in str(result["_meta"])

        await eventually(noticed)


async def test_whom_to_ask_for_a_resource_is_not_known_while_a_department_is_down(
    tmp_path: Path, finance: Department
) -> None:
    with gateway(tmp_path, {"finance": finance.url, "hr": DOWN}) as front:
        mine = await front.post("dana", "resources/read", {"uri": "dataset://finance/items"})
        other = await front.post("dana", "resources/read", {"uri": "dataset://hr/items"})
    assert mine.status_code == 200
    assert (other.status_code, other.json()["error"]["data"]["department"]) == (503, "hr")


async def test_a_department_is_restarted_under_load(tmp_path: Path) -> None:
    """Calls fail while it is away, each in words, and none after it is back."""
    first = Department("finance").served()
    second = Department("finance").served(first.port)
    with gateway(tmp_path, {"finance": f"{first.url}/mcp"}, mcp_breaker_seconds=0.2) as front:
        with first:
            assert (await call(front)).status_code == 200
            load = [asyncio.create_task(call(front)) for _ in range(20)]
            await load[0]
        statuses = {(await task).status_code for task in load}
        assert statuses <= {200, 502, 503}
        with second:

            async def back() -> bool:
                return (await call(front)).status_code == 200

            await eventually(back)
            assert {(await call(front)).status_code for _ in range(5)} == {200}


async def test_no_service_token_is_no_call(front: Gateway, finance: Department) -> None:
    front.tokens.broken = True
    response = await call(front)
    assert (response.status_code, response.json()["error"]["code"]) == (503, -32010)
    assert finance.headers == []
    front.tokens.broken = False
    assert (await call(front)).status_code == 200


async def test_lists_of_one_caller_that_wait_for_a_department_keep_nobody_else_waiting(tmp_path: Path) -> None:
    released = threading.Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(released.wait, 60)
        await PlainTextResponse("", 500)(scope, receive, send)

    async def waits(front: Gateway) -> bool:
        try:
            async with asyncio.timeout(0.5):
                await front.post("dana", "server/discover")
        except TimeoutError:
            return True
        return False

    with (
        Served(with_lifespan(silent)) as department,
        gateway(tmp_path, {"finance": f"{department.url}/mcp"}, mcp_list_timeout_seconds=60) as front,
    ):
        lists = [asyncio.create_task(front.post("dana", "tools/list")) for _ in range(3)]
        try:
            await eventually(lambda: waits(front))
            assert (await front.post("frank", "server/discover")).status_code == 200
            # A client that leaves while it waits was not answered.
            await asyncio.to_thread(wait_until, lambda: ("dana", None, "server/discover", "cancelled") in front.audit)
        finally:
            released.set()
        assert [(await each).status_code for each in lists] == [200] * 3


async def test_lists_of_one_caller_leave_the_event_loop_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "PAUSE_SECONDS", 60)
    with gateway(tmp_path, {"finance": DOWN}) as front:
        for _ in range(2):
            assert (await front.post("dana", "server/discover")).status_code == 200
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await front.post("dana", "server/discover")
        assert (await front.post("frank", "server/discover")).status_code == 200

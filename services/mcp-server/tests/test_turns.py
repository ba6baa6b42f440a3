"""One caller's calls do not hold up another's, and nothing is worked out for a client that has left."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from mcp_server.turns import SUBJECT, Turns

OK: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Handler:
    """An application that answers each request when it is told to, and notes what became of it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.bodies: list[bytes] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        subject: str = scope[SUBJECT]
        self.begun.append(subject)
        body = b""
        while True:
            event = await receive()
            body += event["body"]
            if not event["more_body"]:
                break
        self.bodies.append(body)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled.append(subject)
            raise
        await send(OK)
        await send({"type": "http.response.body", "body": b"done"})


class Request:
    """One request, and the client behind it."""

    def __init__(self, turns: Turns, subject: str, body: bytes = b"{}", send: Send | None = None) -> None:
        half = len(body) // 2
        self.events: asyncio.Queue[Message] = asyncio.Queue()
        self.events.put_nowait({"type": "http.request", "body": body[:half], "more_body": True})
        self.events.put_nowait({"type": "http.request", "body": body[half:], "more_body": False})
        self.sent: list[Message] = []

        async def keep(message: Message) -> None:
            self.sent.append(message)

        self.task = asyncio.create_task(turns({SUBJECT: subject}, self.events.get, send or keep))

    def leave(self) -> None:
        self.events.put_nowait({"type": "http.disconnect"})


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


async def test_a_call_waits_for_none_of_the_hundred_that_another_caller_sent_before() -> None:
    handler = Handler()
    turns = Turns(handler, 100)
    greedy = [Request(turns, "greedy") for _ in range(100)]
    await eventually(lambda: len(handler.begun) == 2)
    other = Request(turns, "other")
    await eventually(lambda: "other" in handler.begun)
    assert handler.begun == ["greedy", "greedy", "other"]
    handler.may_answer.set()
    await asyncio.gather(other.task, *(request.task for request in greedy))
    assert other.sent[-1]["body"] == b"done"
    assert handler.bodies == [b"{}"] * 101


async def test_a_call_that_runs_ends_when_its_client_leaves() -> None:
    handler = Handler()
    request = Request(Turns(handler, 100), "a")
    await eventually(lambda: len(handler.bodies) == 1)
    request.leave()
    await asyncio.wait_for(request.task, 10)
    assert handler.cancelled == ["a"]
    assert request.sent == []


async def test_a_call_that_waits_is_forgotten_when_its_client_leaves() -> None:
    handler = Handler()
    turns = Turns(handler, 100)
    running = [Request(turns, "a") for _ in range(2)]
    await eventually(lambda: len(handler.begun) == 2)
    waiting = Request(turns, "a")
    waiting.leave()
    await asyncio.wait_for(waiting.task, 10)
    handler.may_answer.set()
    await asyncio.gather(*(request.task for request in running))
    assert len(handler.begun) == 2


async def test_a_client_that_reads_slowly_holds_no_turn() -> None:
    handler = Handler()
    handler.may_answer.set()
    turns = Turns(handler, 100)
    may_read = asyncio.Event()

    async def slow(message: Message) -> None:
        if message["type"] == "http.response.body":
            await may_read.wait()

    slow_ones = [Request(turns, "slow", send=slow) for _ in range(10)]
    await eventually(lambda: len(handler.begun) == 10)
    quick = Request(turns, "slow")
    await asyncio.wait_for(quick.task, 10)
    may_read.set()
    await asyncio.gather(*(request.task for request in slow_ones))


@pytest.mark.parametrize("size", [101, 1000])
async def test_a_body_that_is_too_large_is_not_read_to_its_end(size: int) -> None:
    read: list[int] = []

    async def refusing(_: Scope, receive: Receive, send: Send) -> None:
        read.append(len((await receive())["body"]))
        await send(OK)
        await send({"type": "http.response.body", "body": b""})

    request = Request(Turns(refusing, 100), "a", b"x" * (2 * size))
    await asyncio.wait_for(request.task, 10)
    assert read == [size]
    assert request.events.qsize() == 1

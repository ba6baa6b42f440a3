"""Responses of servers that keep to HTTP, and of ones that do not, as the gateway's own client takes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.agentgateway.tests.mcp.harness import Gateway, gateway

from agentgateway.mcp.connection import Connection, ConnectionBroken, Response

ANSWER = b'{"jsonrpc":"2.0","id":7,"result":{"content":[]}}'
EVIL = b'{"jsonrpc":"2.0","id":7,"result":{"content":[],"evil":1}}'
CALL = {"name": "finance_lookup_items", "arguments": {}}


def plain(body: bytes, *more: str) -> bytes:
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(parts: list[bytes]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


sizes = st.integers(1, 20)


class Raw:
    """A server that answers each request by bytes that need not be HTTP, and counts its connections."""

    def __init__(self, answer: Callable[[int], list[bytes]]) -> None:
        self._answer = answer
        self.connections = 0
        self.requests = 0
        self.heads: list[bytes] = []

    @contextlib.asynccontextmanager
    async def url(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                self.requests += 1
                for piece in self._answer(self.requests):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def front_of(raw: Raw, folder: Path) -> AsyncIterator[Gateway]:
    async with raw.url() as url:
        with gateway(folder, {"finance": url}) as front:
            yield front


@pytest.mark.parametrize(
    "response",
    [
        [plain(ANSWER)],
        [bytes([byte]) for byte in plain(ANSWER)],
        [chunked([ANSWER[:10], ANSWER[10:]])],
        [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", plain(ANSWER)],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + plain(ANSWER)],
    ],
    ids=["at once", "byte by byte", "chunked", "early hints", "continue"],
)
async def test_every_form_of_a_response(tmp_path: Path, response: list[bytes]) -> None:
    raw = Raw(lambda _: response)
    async with front_of(raw, tmp_path) as front:
        for _ in range(3):
            answer = await front.post("alice", "tools/call", CALL)
            assert (answer.status_code, answer.content) == (200, ANSWER)
    assert (raw.connections, raw.requests) == (1, 3)


async def test_a_connection_that_the_department_closes_is_not_used_again(tmp_path: Path) -> None:
    raw = Raw(lambda _: [plain(ANSWER, "Connection: close")])
    async with front_of(raw, tmp_path) as front:
        for _ in range(3):
            assert (await front.post("alice", "tools/call", CALL)).content == ANSWER
    assert raw.connections == 3


@pytest.mark.parametrize("apart", [False, True])
async def test_a_second_response_never_answers_the_next_caller(tmp_path: Path, apart: bool) -> None:
    pieces = [plain(ANSWER), plain(EVIL)] if apart else [plain(ANSWER) + plain(EVIL)]
    raw = Raw(lambda number: pieces if number == 1 else [plain(ANSWER)])
    async with front_of(raw, tmp_path) as front:
        for _ in range(3):
            answer = await front.post("alice", "tools/call", CALL)
            # A call may be lost with the connection, but no answer is ever another's.
            assert answer.content == ANSWER or answer.status_code == 502
        assert (await front.post("alice", "tools/call", CALL)).content == ANSWER


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "it is not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "it is not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "it is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "its headers are larger than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}", "it is not JSON"),
    ],
)
async def test_what_is_not_http(tmp_path: Path, response: bytes, why: str) -> None:
    async with front_of(Raw(lambda _: [response]), tmp_path) as front:
        answer = await front.post("alice", "tools/call", CALL)
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == f"Department 'finance' returned an invalid answer: {why}."


async def test_the_head_of_a_request_has_what_it_must_and_nothing_more(tmp_path: Path) -> None:
    raw = Raw(lambda _: [plain(ANSWER)])
    more = {"mcp-param-region": "=?base64?w7w=?=", "x-caller": "forged", "cookie": "secret", "traceparent": "forged"}
    async with front_of(raw, tmp_path) as front:
        await front.post("alice", "tools/call", CALL, headers=more)
    first, *lines = raw.heads[-1].decode().split("\r\n")
    sent = dict(line.split(": ", 1) for line in lines if line)
    assert first == "POST /mcp HTTP/1.1"
    assert sent.keys() == {
        "host",
        "content-type",
        "accept",
        "authorization",
        "x-caller",
        "content-length",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
    }
    assert sent["mcp-param-region"] == "=?base64?w7w=?="
    assert "forged" not in str(sent)


class Wire(asyncio.Transport):
    """Stands for the network: what is read comes from the test."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return self.ended

    def abort(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def connected() -> tuple[Connection, Wire, Response, list[Connection]]:
    free: list[Connection] = []
    connection, wire = Connection(free.append, lambda _: None), Wire()
    connection.connection_made(wire)
    return connection, wire, connection.send(b""), free


async def taken(response: Response) -> bytes:
    await response.begin()
    return b"".join([chunk async for chunk in response.chunks()])


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.booleans(), st.lists(st.integers(1, 20), min_size=1)
)
def test_a_body_is_the_same_however_it_is_cut(parts: list[bytes], is_chunked: bool, cuts: list[int]) -> None:
    body = b"".join(parts)
    data = chunked(parts) if is_chunked else plain(body)
    connection, wire, response, free = connected()
    position = 0
    for number in range(len(data)):
        if position < len(data):
            size = cuts[number % len(cuts)]
            connection.data_received(data[position : position + size])
            position += size
    assert asyncio.run(taken(response)) == body
    assert response.status == 200
    assert free == [connection]
    assert not wire.ended


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_response_or_an_error(data: bytes) -> None:
    connection, _, response, _ = connected()
    if data:
        connection.data_received(data)
    connection.connection_lost(None)
    with contextlib.suppress(ConnectionBroken):
        asyncio.run(taken(response))
        assert response.complete


def test_reading_pauses_while_nobody_takes_the_body() -> None:
    connection, wire, response, _ = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 300_000)
    assert wire.paused

    async def take() -> bytes:
        body = asyncio.ensure_future(taken(response))
        await asyncio.sleep(0)
        assert not wire.paused
        connection.data_received(b"y" * 700_000)
        return await body

    assert asyncio.run(take()) == b"x" * 300_000 + b"y" * 700_000

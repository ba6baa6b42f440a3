"""Heads that are too large, clients that are too slow, callers that ask too often."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from services.agentgateway.tests.world import World, authorization, last, running_gateway, until

from agentgateway.http.rate_limit import RateLimiter
from common.caller import Caller

pytestmark = pytest.mark.slow

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connection(gateway: str) -> AsyncIterator[Connection]:
    host, port = gateway.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def rest_of(reader: asyncio.StreamReader, seconds: float = 10) -> bytes:
    """What comes until the gateway closes the connection."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("path", ["/api/jobs", "/gateway/api/jobs", "/mcp", "/healthz", "/auth/iam"])
async def test_a_header_of_a_megabyte_is_refused_and_the_client_reads_why(gateway: str, path: str) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nx-padding: ".encode() + b"x" * 1_000_000)
        writer.write(b"\r\n\r\n")
        answer = await rest_of(reader)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"urn:fileproc:problem:head-too-large" in answer
    assert b"nosniff" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"y" * 100) for n in range(400)) + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-padding: " + b"x" * 40_000,
    ],
    ids=["a long path", "many headers", "a header without an end"],
)
async def test_a_head_above_the_limit_is_refused_however_it_is_made(gateway: str, head: bytes) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(head)
        assert (await rest_of(reader)).startswith(b"HTTP/1.1 431 ")


async def test_a_head_just_below_the_limit_is_accepted_although_a_body_follows_at_once(
    world: World, gateway: str
) -> None:
    bearer = authorization(world)["authorization"].encode()
    head = b"POST /api/files HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\nauthorization: %s\r\nx-padding: %s\r\n\r\n"
    async with connection(gateway) as (reader, writer):
        writer.write(head % (bearer, b"x" * 30_000) + b"y" * 60_000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http\r\n\r\n",
        b"CONNECT internal.example:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://x:99999999/ HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http:/// HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["TLS", "CONNECT", "bad IPv6 address", "bad port", "no host", "bytes in a path", "HTTP/2"],
)
async def test_a_request_that_is_not_http_gets_a_problem_and_leaves_no_traceback(
    gateway: str, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with connection(gateway) as (reader, writer):
        writer.write(sent)
        answer = await rest_of(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"urn:fileproc:problem:malformed-request" in answer
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


TRAILERS = (b"authorization: %s", b"x-amzn-oidc-accesstoken: %s", b"x-caller: %s")


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("path", ["/api/preview", "/gateway/api/preview", "/mcp"])
async def test_a_token_in_a_trailer_authenticates_nobody(world: World, gateway: str, path: str, trailer: bytes) -> None:
    token = authorization(world)["authorization"]
    value = token if trailer.startswith(b"authorization") else token.removeprefix("Bearer ")
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nsec-fetch-site: same-origin\r\n\r\n"
    async with connection(gateway) as (reader, writer):
        writer.write(head.encode() + b"2\r\n{}\r\n0\r\n" + trailer % value.encode() + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")


async def test_a_write_from_another_site_does_not_become_same_origin_by_a_trailer(world: World, gateway: str) -> None:
    token = authorization(world)["authorization"].removeprefix("Bearer ")
    head = (
        "POST /gateway/api/preview HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
        f"x-amzn-oidc-accesstoken: {token}\r\n\r\n"
    )
    async with connection(gateway) as (reader, writer):
        writer.write(head.encode() + b"2\r\n{}\r\n0\r\nsec-fetch-site: same-origin\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("flood", [b"x-trailer: ", b"1;extension="], ids=["trailers", "chunk extensions"])
async def test_trailers_and_chunk_extensions_without_an_end_are_not_collected(
    world: World, gateway: str, flood: bytes
) -> None:
    bearer = authorization(world)["authorization"]
    head = f"POST /api/files HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ntransfer-encoding: chunked\r\n\r\n"
    last_chunk = b"0\r\n" if flood.startswith(b"x") else b""
    async with connection(gateway) as (reader, writer):
        writer.write(head.encode() + b"2\r\n{}\r\n" + last_chunk + flood)
        closed = asyncio.create_task(rest_of(reader))
        sent = 0
        while not closed.done() and sent < 64_000_000:
            writer.write(b"y" * 65_536)
            sent += 65_536
            await asyncio.wait([closed], timeout=0.01)
        assert closed.done()


async def test_a_body_that_is_not_chunked_as_it_says_is_400_and_no_upload(world: World, gateway: str) -> None:
    bearer = authorization(world)["authorization"]
    head = f"POST /api/files HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ntransfer-encoding: chunked\r\n\r\n"
    before = len(world.application.seen)
    async with connection(gateway) as (reader, writer):
        writer.write(head.encode() + b"5\r\nhello\r\n")
        await until(lambda: len(world.application.seen) > before and last(world.application).body_bytes)
        writer.write(b"not a chunk" * 10_000)
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        await until(lambda: last(world.application).outcome == "broken")


async def test_a_client_that_does_not_finish_its_head_is_not_waited_for(world: World) -> None:
    async with running_gateway(world, header_timeout_seconds=0.5) as gateway:
        for sent in (b"", b"GET /healthz HTTP/1.1\r\nhost: ", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /h"):
            async with connection(gateway) as (reader, writer):
                begin = time.monotonic()
                writer.write(sent)
                answer = await rest_of(reader)
                assert time.monotonic() - begin < 5
            assert answer.count(b"HTTP/1.1 200 ") == sent.count(b"\r\n\r\n")


async def test_a_client_that_goes_on_sending_after_its_answer_is_not_listened_to_for_ever(world: World) -> None:
    head = b"POST /api/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    async with running_gateway(world, header_timeout_seconds=0.5) as gateway, connection(gateway) as (reader, writer):
        writer.write(head)
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        closed = asyncio.create_task(rest_of(reader))
        async with asyncio.timeout(10):
            while not closed.done():
                writer.write(b"x")
                await asyncio.wait([closed], timeout=0.05)


async def test_a_refused_upload_that_is_sent_to_its_end_leaves_the_connection_usable(gateway: str) -> None:
    head = b"POST /api/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    async with connection(gateway) as (reader, writer):
        for _ in range(2):
            writer.write(head + b"x" * 1_000_000)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 401 ")
            length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))


async def test_a_client_that_sends_a_byte_now_and_then_is_told_so(world: World) -> None:
    bearer = authorization(world)["authorization"]
    head = f"POST /api/files HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ncontent-length: 1000\r\n\r\n"
    async with running_gateway(world, client_timeout_seconds=0.5) as gateway, connection(gateway) as (reader, writer):
        writer.write(head.encode())
        answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        async with asyncio.timeout(10):
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait([answer], timeout=0.05)
        assert answer.result().startswith(b"HTTP/1.1 408 ")
        await until(lambda: last(world.application).outcome == "broken")


async def test_a_client_that_is_slow_but_makes_progress_is_waited_for(world: World) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 1000
            await asyncio.sleep(0.05)

    async with (
        running_gateway(world, client_timeout_seconds=0.3) as gateway,
        aiohttp.ClientSession() as client,
        client.post(f"{gateway}/api/files", headers=authorization(world), data=trickle()) as response,
    ):
        assert response.status == 201
        assert (await response.json())["size"] == 30_000


async def test_a_client_that_does_not_read_its_download_is_cut_off(world: World) -> None:
    bearer = authorization(world)["authorization"]
    head = f"GET /api/jobs/size-1000000000/result HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\r\n"
    before = len(world.application.seen)
    async with running_gateway(world, client_timeout_seconds=0.5) as gateway, connection(gateway) as (reader, writer):
        writer.write(head.encode())
        await until(lambda: len(world.application.seen) > before and last(world.application).outcome == "broken")
        assert len(await rest_of(reader)) < 1_000_000_000


async def test_a_quiet_event_stream_is_not_taken_for_a_slow_client(world: World, client: aiohttp.ClientSession) -> None:
    world.application.release.clear()
    async with (
        running_gateway(world, client_timeout_seconds=0.2) as gateway,
        client.get(f"{gateway}/api/jobs/events/events", headers=authorization(world)) as response,
    ):
        await response.content.readuntil(b"\n\n")
        # The quiet itself, ten times as long as a client may make no progress.
        await asyncio.sleep(2)
        world.application.release.set()
        assert await response.content.readuntil(b"\n\n") == b"event: done\ndata: {}\n\n"


async def test_who_has_too_many_requests_under_way_waits_for_one_to_end_and_nobody_else_does(
    world: World, client: aiohttp.ClientSession
) -> None:
    world.application.release.clear()
    async with running_gateway(world, requests_at_once=2) as gateway:
        eager, path = authorization(world, sub="eager"), f"{gateway}/api/jobs/events/events"
        async with client.get(path, headers=eager) as first, client.get(path, headers=eager) as second:
            assert (first.status, second.status) == (200, 200)
            for endpoint in ("/api/jobs", "/mcp"):
                async with client.post(gateway + endpoint, headers=eager) as refused:
                    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            async with client.get(path, headers=authorization(world, sub="patient")) as other:
                assert other.status == 200
            world.application.release.set()
            await first.read()
            await second.read()

        async def is_let_through() -> bool:
            async with client.get(f"{gateway}/api/jobs", headers=eager) as response:
                return response.status != 429

        async with asyncio.timeout(5):
            while not await is_let_through():
                await asyncio.sleep(0.01)


async def test_who_asks_too_often_is_told_when_to_come_back_and_nobody_else_waits(
    world: World, client: aiohttp.ClientSession
) -> None:
    async with running_gateway(world, rate_limit="3 per day") as gateway:
        eager = authorization(world, sub="eager")
        statuses = []
        for endpoint, header in (("/api/jobs", eager), ("/gateway/api/jobs", eager)) * 3:
            token = header["authorization"].removeprefix("Bearer ")
            headers = header if endpoint == "/api/jobs" else {"x-amzn-oidc-accesstoken": token}
            async with client.get(gateway + endpoint, headers=headers) as response:
                statuses.append(response.status)
                refused = response
        assert statuses == [201, 201, 201, 429, 429, 429]
        assert int(refused.headers["retry-after"]) >= 1
        async with client.get(f"{gateway}/api/jobs", headers=authorization(world, sub="patient")) as response:
            assert response.status == 201


def test_large_requests_use_up_the_share_of_many_small_ones() -> None:
    limiter, caller, other = RateLimiter("10 per day", 5), *(Caller(each, "x", frozenset(), "iam") for each in "ab")
    assert [limiter.check_size(caller, size) is None for size in (16384, 16384, 16384, 8192)] == [
        True,
        True,
        False,
        True,
    ]
    # What is too large for any window uses up a whole one.
    assert [limiter.check_size(other, 4 << 20) is None for _ in range(2)] == [True, False]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_large_request_passes_under_any_limit_once_the_one_before_is_paid_off(limit: int) -> None:
    limiter, caller = RateLimiter(f"{limit} per 1 second", 5), Caller("1", "x", frozenset(), "iam")

    def is_allowed() -> bool:
        return limiter.check(caller) is None and limiter.check_size(caller, 1 << 20) is None

    assert is_allowed()
    assert not is_allowed()
    # A client that tries again and again gets through all the same.
    deadline = time.monotonic() + 10
    while not is_allowed():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_wait_that_is_told_is_enough() -> None:
    limiter, caller = RateLimiter("5 per 1 second", 5), Caller("1", "x", frozenset(), "iam")
    # The window may turn over in between, and then let one more through.
    wait = next(wait for _ in range(20) if (wait := limiter.check(caller)) is not None)
    assert 0 < wait <= 2
    time.sleep(wait)
    assert limiter.check(caller) is None

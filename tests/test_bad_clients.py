"""Clients that behave badly: bodies and headers without end, a byte a second, nothing read; each is cut off."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from tests.helpers.files import make_file
from tests.helpers.rest import Rest, bearer
from tests.helpers.sockets import Raw, status_of
from tests.helpers.stack import Stack
from tests.helpers.traces import NOTHING, traces
from tests.helpers.wire import Wire, refused, request

pytestmark = pytest.mark.slow

CUT_OFF_SECONDS = 12
"""The limits of the stack under test are a few seconds; a client that sends a byte a second may not last longer."""


def head(stack: Stack, method: str, path: str, *lines: str) -> bytes:
    """The head of a request by alice."""
    authorization = f"Authorization: Bearer {stack.token('alice')}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: gateway", authorization, *lines, "", ""]).encode()


async def test_an_mcp_body_of_100_mb_is_refused_before_it_is_read(stack: Stack, session: aiohttp.ClientSession) -> None:
    _, headers = request("modern", "tools/list", {})
    lines = [f"{name}: {value}" for name, value in headers.items()]
    async with Raw(stack.addresses.port(2)) as raw:
        await raw.send(head(stack, "POST", "/mcp", *lines, f"Content-Length: {100 << 20}"))
        assert status_of(await raw.head(5)) == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * (1 << 20)

    # Without a declared length it is cut off where the limit is.
    url = f"{stack.gateway}/mcp"
    # The server may close the connection while this client is still sending.
    with suppress(aiohttp.ClientError):
        async with session.post(url, data=endless(), headers={**headers, **bearer(stack.tokens["alice"])}) as answer:
            assert answer.status == 413


async def test_a_header_of_1_mb_is_refused(stack: Stack) -> None:
    for line in (f"X-Long: {'x' * (1 << 20)}", f"Cookie: {'a=b; ' * (200 << 10)}"):
        async with Raw(stack.addresses.port(2)) as raw:
            try:
                await raw.send(head(stack, "GET", "/api/departments", line))
            except ConnectionError:
                continue
            said = await raw.head(5)
            assert not said or status_of(said) in (400, 431), said[:200]
    async with Raw(stack.addresses.port(2)) as raw:
        await raw.send(
            head(stack, "GET", "/api/departments", *(f"X-{number}: {'y' * 100}" for number in range(10_000)))
        )
        said = await raw.head(5)
        assert not said or status_of(said) in (400, 431), said[:200]


async def test_a_client_that_sends_a_byte_a_second_is_cut_off(stack: Stack, rest: Callable[[str], Rest]) -> None:
    before = traces(stack)
    _, headers = request("modern", "tools/list", {})
    mcp = [f"{name}: {value}" for name, value in headers.items()]
    slow = {
        "the head": (b"", head(stack, "GET", "/api/departments")),
        "a file": (head(stack, "POST", "/api/files?name=a.csv", "Content-Length: 100000"), b"v" * 1000),
        "a file of no known size": (
            head(stack, "POST", "/api/files?name=a.csv", "Transfer-Encoding: chunked"),
            b"1\r\nv\r\n" * 200,
        ),
        "a REST body": (
            head(stack, "POST", "/api/jobs", "Content-Type: application/json", "Content-Length: 1000"),
            b" " * 1000,
        ),
        "an MCP body": (head(stack, "POST", "/mcp", *mcp, "Content-Length: 1000"), b" " * 1000),
    }

    async def one(begin: bytes, rest_of_it: bytes) -> tuple[float, bytes]:
        async with Raw(stack.addresses.port(2)) as raw:
            await raw.send(begin)
            return await raw.drip(rest_of_it, CUT_OFF_SECONDS)

    borne = await asyncio.gather(*(one(*parts) for parts in slow.values()))
    for what, (seconds, said) in zip(slow, borne, strict=True):
        print(f"\n{what}: cut off after {seconds:.1f} s with {said[:40]!r}", end="")
        assert not said or status_of(said) == 408, (what, said)
    # Others were served all the time, and nothing of it is left.
    await rest("alice").good("GET", "/api/departments")
    assert traces(stack).beyond(before) == NOTHING


async def test_a_client_that_reads_nothing_is_cut_off(stack: Stack, rest: Callable[[str], Rest]) -> None:
    rows = [{"vendor_id": f"V-{number % 20_000:05}", "note": "x" * 400} for number in range(60_000)]
    job, result = await rest("alice").enrich("a.csv", make_file("csv", rows))
    assert len(result) > 20 << 20
    async with Raw(stack.addresses.port(2)) as raw:
        await raw.send(head(stack, "GET", f"/api/jobs/{job['id']}/result"))
        await asyncio.sleep(CUT_OFF_SECONDS)
        got = await raw.answer(CUT_OFF_SECONDS)
    assert len(got) < len(result)


INLINE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a path", {"name": "../a.csv", "text": "vendor_id\nV-00001\n"}),
    ("no base64", {"name": "a.xlsx", "base64": "not base64!"}),
    ("more than 1 MB", {"name": "a.csv", "text": "vendor_id\n" + "V-00001\n" * 200_000}),
    ("nothing", {}),
    ("a file and a text", {"file": "a", "name": "a.csv", "text": "vendor_id\nV-00001\n"}),
    ("an empty text", {"name": "a.csv", "text": ""}),
    ("an unknown department", {"name": "a.csv", "text": "vendor_id\nV-00001\n", "departments": ["nope"]}),
)


@pytest.mark.parametrize(("what", "arguments"), INLINE, ids=[what.replace(" ", "-") for what, _ in INLINE])
async def test_a_bad_inline_file_gets_a_clear_error_and_leaves_only_what_the_caller_is_told_of(
    stack: Stack, session: aiohttp.ClientSession, rest: Callable[[str], Rest], what: str, arguments: dict[str, Any]
) -> None:
    before = traces(stack)
    answer = await Wire(session, f"{stack.api}/mcp", bearer(stack.tokens["alice"])).tool(
        "files_submit_job", **arguments
    )
    assert answer.status < 500
    assert refused(answer), (what, answer)
    if kept := re.search(rb"file='(\w+)'", answer.body):
        await rest("alice").good("DELETE", f"/api/files/{kept[1].decode()}")
    assert traces(stack).beyond(before) == NOTHING, what

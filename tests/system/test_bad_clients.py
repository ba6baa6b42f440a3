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
from tests.helpers.services import accounts, services
from tests.helpers.sockets import Raw, status_of
from tests.helpers.stack import USERS, Stack
from tests.helpers.traces import NOTHING, traces
from tests.helpers.wire import Wire, refused, request

from common.caller import Caller

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


async def test_a_client_that_leaves_in_the_middle_is_no_error_of_ours(
    stack: Stack, session: aiohttp.ClientSession, rest: Callable[[str], Rest]
) -> None:
    logs = ["gateway", "application", "mcp-finance"]
    before = {name: stack.log(name).stat().st_size for name in logs}
    _, mcp = request("modern", "tools/list", {})
    mcp_lines = [f"{name}: {value}" for name, value in mcp.items()]
    begun = [
        head(stack, "POST", "/api/files?name=a.csv", "Content-Length: 100000"),
        head(stack, "POST", "/api/files", "Content-Type: multipart/form-data; boundary=b", "Content-Length: 1000")
        + b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\nvendor_id\r\n',
        head(stack, "POST", "/api/preview", "Content-Type: application/json", "Content-Length: 1000"),
        head(stack, "POST", "/mcp", *mcp_lines, "Content-Length: 1000"),
        head(stack, "POST", "/mcp/finance", *mcp_lines, "Content-Length: 1000"),
        head(stack, "POST", "/auth/iam", "Content-Type: application/json", "Content-Length: 1000"),
    ]
    for request_head in begun:
        async with Raw(stack.addresses.port(2)) as raw:
            await raw.send(request_head + b'{"a')
    # The same at each service itself, with the rights of the gateway.
    account = next(account for account in accounts(stack) if account.name == "agentgateway")
    caller = Caller("someone", "alice", USERS["alice"], "cognito").to_header()
    for service in services(stack):
        token = await account.token(session, service.name)
        paths = ("/api/files?name=a.csv", "/api/preview") if service.name == "application" else ("/mcp",)
        for path in paths:
            host = service.url.removeprefix("http://")
            lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", f"X-Caller: {caller}"]
            lines += ["Content-Type: application/json", "Accept: application/json, text/event-stream"]
            async with Raw(int(service.url.rpartition(":")[2])) as raw:
                await raw.send("\r\n".join([*lines, "Content-Length: 1000", "", '{"a']).encode())
        # What it answers now it answers after it has dealt with the client that left.
        await service.ask(session, {**bearer(token), "X-Caller": caller})
    await rest("alice").good("GET", "/api/departments")
    for name in logs:
        said = stack.log(name).read_bytes()[before[name] :].decode()
        assert "Traceback" not in said, f"{name}: {said}"
        assert not re.search(r'"level": ?"error"', said), f"{name}: {said}"


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

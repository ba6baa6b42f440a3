"""A download reads the next part while it sends one."""

import asyncio

import pytest

from application.jobs.result_routes import read_ahead


class Source:
    """Parts that come when a test lets them."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)
        self.begun = 0
        self.reading = False
        self.may_go_on = asyncio.Event()

    async def read(self) -> bytes:
        self.begun += 1
        self.reading = True
        await self.may_go_on.wait()
        self.reading = False
        return self.parts.pop(0) if self.parts else b""


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_while_a_part_is_sent_the_next_one_is_read_and_no_more_than_that() -> None:
    source = Source(b"2", b"3")
    parts = read_ahead(b"1", source.read)
    assert await anext(parts) == b"1"
    source.may_go_on.set()
    await turns()
    assert source.begun == 1
    assert source.parts == [b"3"]
    assert [part async for part in parts] == [b"2", b"3"]


async def test_a_download_that_is_given_up_waits_for_the_read_under_way() -> None:
    source = Source(b"2")
    parts = read_ahead(b"1", source.read)
    await anext(parts)
    await turns()
    assert source.reading
    closing = asyncio.create_task(parts.aclose())
    await turns()
    assert not closing.done()
    source.may_go_on.set()
    await closing
    assert not source.reading


async def test_a_read_that_fails_ends_the_download_with_its_error() -> None:
    async def read() -> bytes:
        raise OSError("broken")

    parts = read_ahead(b"1", read)
    await anext(parts)
    with pytest.raises(OSError, match="broken"):
        await anext(parts)

"""HTTP by hand, for what no client library would send."""

import asyncio
import time
from types import TracebackType
from typing import Self


class Raw:
    """One connection."""

    def __init__(self, port: int) -> None:
        """Not connected yet."""
        self._port = port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Send, as far as the other side takes it."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, seconds: float) -> bytes:
        """All that comes until the other side closes; empty if it closes without a word."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read(-1)
            except ConnectionError:
                return b""

    async def head(self, seconds: float) -> bytes:
        """The head of an answer; empty if the other side closes without a word."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.readuntil(b"\r\n\r\n")
            except (ConnectionError, asyncio.IncompleteReadError):
                return b""

    async def drip(self, data: bytes, most_seconds: float) -> tuple[float, bytes]:
        """Send a byte a second; how long the other side bore it, and what it said then.

        Raises:
            TimeoutError: It would have borne more than `most_seconds`.
        """
        started = time.monotonic()

        async def sending() -> None:
            for byte in data:
                await self.send(bytes([byte]))
                await asyncio.sleep(1)

        sender = asyncio.create_task(sending())
        try:
            said = await self.answer(most_seconds)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return time.monotonic() - started, said


def status_of(answer: bytes) -> int:
    """The status code of a raw answer."""
    return int(answer.split(b" ", 2)[1])

"""Answers at an address that pods reach in the place of a server that listens on this machine alone.

`python -m local.kubernetes.real_node.forward ADDRESS:PORT PORT`
"""

import asyncio
import sys
from contextlib import suppress

from local.addresses import HOST

PIECE = 1 << 16


async def forward(address: str, port: int, target: int) -> None:
    """Forward every connection until cancelled."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(HOST, target)
        except OSError:
            writer.transport.abort()  # as a server that is not there
            return
        try:
            with suppress(OSError):
                await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        finally:
            writer.close()
            there_writer.close()

    async with await asyncio.start_server(accept, address, port, limit=PIECE) as server:
        await server.serve_forever()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy one direction; its end is passed on, and the other direction goes on."""
    try:
        while data := await source.read(PIECE):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except OSError:
        target.transport.abort()
        raise


def main() -> None:
    """Forward until the process is stopped."""
    address, _, port = sys.argv[1].rpartition(":")
    asyncio.run(forward(address, int(port), int(sys.argv[2])))


if __name__ == "__main__":
    main()

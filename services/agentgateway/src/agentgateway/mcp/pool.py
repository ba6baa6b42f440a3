"""Connections to one server, kept for the next request."""

import asyncio
import ssl
import time

from yarl import URL

from agentgateway.http.upstream import KEEP_ALIVE_SECONDS
from agentgateway.mcp.connection import Connection, Response


class NotConnected(Exception):
    """There is no connection to be had, and nothing was sent."""


class Pool:
    """As many connections as there are requests at once; the one used last is the first to be used again."""

    def __init__(self, url: URL, connect_seconds: float) -> None:
        self._host = url.host or ""
        self._port = url.port or 80
        self._ssl = ssl.create_default_context() if url.scheme == "https" else None
        self._connect_seconds = connect_seconds
        self._idle: dict[Connection, float] = {}
        self._open: set[Connection] = set()
        self._closed = False

    async def send(self, request: bytes) -> Response:
        """Send one request, head and body; its response has not begun.

        Raises:
            NotConnected: The server is not to be reached.
        """
        connection = self._idle_one() or await self._connect()
        return connection.send(request)

    def close(self) -> None:
        """Close every connection as soon as its response is complete."""
        self._closed = True
        for connection in list(self._idle):
            connection.abort()

    def abort(self) -> None:
        """Close every connection at once."""
        self._closed = True
        for connection in list(self._open):
            connection.abort()

    def _idle_one(self) -> Connection | None:
        while self._idle:
            connection, since = self._idle.popitem()
            if time.monotonic() - since < KEEP_ALIVE_SECONDS and not connection.closing:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> Connection:
        try:
            try:
                return await self._connected()
            except ConnectionRefusedError:
                # As when a pod has just gone: the next connection meets another one.
                return await self._connected()
        except OSError as error:
            raise NotConnected(type(error).__name__) from None

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_seconds):
            _, connection = await loop.create_connection(
                lambda: Connection(self._free, self._lost), self._host, self._port, ssl=self._ssl
            )
        self._open.add(connection)
        return connection

    def _free(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
        else:
            self._idle[connection] = time.monotonic()

    def _lost(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._open.discard(connection)

"""Messages between a service and the process that works for it: a kind, a length, and so many bytes."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

HEADER = struct.Struct("!BI")
READ = struct.Struct("!QI")
PROGRESS = struct.Struct("!qqqq")
ENDED = struct.Struct("!iqd")
"""Wait status, most memory in bytes, processor time in seconds."""

PIECE = 1 << 20
"""The most of a file in one message."""

LOOKUPS = 4
"""Channels for look-ups: as many are under way at the same time."""


class Kind(IntEnum):
    """What a message is."""

    TASK = 1
    READ = 2
    DATA = 3
    WRITE = 4
    PROGRESS = 5
    LOOKUP = 6
    FOUND = 7
    RESULT = 8
    REFUSED = 9
    UNAVAILABLE = 10
    FAILED = 11


class Misused(Exception):
    """A message that the other side never sends."""


class Ended(Exception):
    """The other side is gone. No built-in error: files and libraries raise these for reasons of their own."""


def send(channel: socket.socket, kind: Kind, data: bytes | memoryview = b"") -> None:
    """Send one message. Raises ``Ended``."""
    header = HEADER.pack(kind, len(data))
    try:
        if len(data) < 1 << 14:
            channel.sendall(header + data)
        else:
            channel.sendall(header)
            channel.sendall(data)
    except ConnectionError:
        raise Ended from None


def receive(channel: socket.socket, most: int) -> tuple[Kind, bytes]:
    """The next message. Raises ``Ended``, and ``Misused`` for one of more than ``most`` bytes."""
    kind, length = HEADER.unpack(_exactly(channel, HEADER.size))
    if length > most:
        raise Misused
    return Kind(kind), _exactly(channel, length) if length else b""


def _exactly(channel: socket.socket, size: int) -> bytes:
    try:
        data = channel.recv(size, socket.MSG_WAITALL)
        while data and len(data) < size:
            more = channel.recv(size - len(data), socket.MSG_WAITALL)
            if not more:
                break
            data += more
    except ConnectionError:
        raise Ended from None
    if len(data) < size:
        raise Ended
    return data

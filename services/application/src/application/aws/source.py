"""An object in S3 as a seekable file of constant memory."""

from __future__ import annotations

import io
import random
import time
from typing import TYPE_CHECKING

import structlog

from application.aws.clients import AwsError, is_transient
from application.aws.objects import MEBIBYTE, Objects

if TYPE_CHECKING:
    from botocore.response import StreamingBody

log = structlog.get_logger()

FIRST_WINDOW = MEBIBYTE
LARGEST_WINDOW = 512 * MEBIBYTE
_SKIP = 256 * 1024
_READ_AHEAD = MEBIBYTE


class ObjectSource:
    """Reads by ranges that grow while reading goes on in order, and start small again after a jump.

    So a sequential read takes few requests, and a jump (Parquet's footer) wastes little. A range is read as it comes:
    what is held is one read-ahead of 1 MiB, and what the network has under way. A broken connection is taken up where
    it broke.
    """

    def __init__(self, objects: Objects, key: str, size: int, *, tries: int) -> None:
        """``tries`` bounds how often one read is tried again where the connection breaks."""
        self._objects = objects
        self._key = key
        self._size = size
        self._tries = tries
        self._position = 0
        self._buffer = memoryview(b"")
        self._body: StreamingBody | None = None
        self._window = FIRST_WINDOW
        self._window_end = 0

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._size

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move; a short way forward reads on, any other jump begins a new range at the next read."""
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if target < 0:
            raise ValueError("a position before the start")
        ahead = target - self._position
        if 0 <= ahead <= len(self._buffer):
            self._buffer = self._buffer[ahead:]
        elif not (self._body is not None and 0 < ahead <= _SKIP and self._skip(ahead)):
            self.close()
            self._window = FIRST_WINDOW
        self._position = target
        return target

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, fewer only at the end.

        Raises:
            ObjectGone: The object vanished.
        """
        left = max(0, self._size - self._position)
        wanted = left if size < 0 else min(size, left)
        parts = []
        while wanted:
            if not self._buffer:
                self._buffer = memoryview(self._fill(max(_READ_AHEAD, min(wanted, 8 * MEBIBYTE))))
            part = self._buffer[:wanted]
            self._buffer = self._buffer[len(part) :]
            self._position += len(part)
            wanted -= len(part)
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the connection."""
        self._buffer = memoryview(b"")
        if self._body is not None:
            self._body.close()
            self._body = None

    def _skip(self, ahead: int) -> bool:
        self._position += len(self._buffer)
        ahead -= len(self._buffer)
        self._buffer = memoryview(b"")
        while ahead and self._position < self._size:
            data = self._fill(ahead)
            ahead -= len(data)
            self._position += len(data)
        return True

    def _fill(self, size: int) -> bytes:
        """The next bytes at the position, at least one."""
        for attempt in range(1, self._tries + 1):
            try:
                if self._body is None:
                    self._open()
                assert self._body is not None  # noqa: S101 - just opened
                if data := self._body.read(size):
                    return data
                if self._position < self._window_end:
                    raise EOFError("the connection ended early")
                self.close()
                self._open()
                if data := self._body.read(size):
                    return data
                raise EOFError("the connection ended early")
            except (*AwsError, EOFError, OSError) as error:
                self.close()
                if attempt == self._tries or not (isinstance(error, EOFError | OSError) or is_transient(error)):
                    raise
                log.warning("object.read_again", key=self._key, position=self._position, error=type(error).__name__)
                time.sleep(min(10.0, 0.1 * 2**attempt) * random.random())  # noqa: S311 - spreads tries, guards nothing
        raise AssertionError("unreachable")

    def _open(self) -> None:
        start = self._position + len(self._buffer)
        self._window_end = min(self._size, start + self._window)
        self._body = self._objects.open(self._key, start, self._window_end)
        self._window = min(LARGEST_WINDOW, self._window * 8)

"""A multipart upload to S3 as a writable file of constant memory."""

from __future__ import annotations

import io
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import structlog

from application.aws.clients import AwsError
from application.aws.objects import PART_BYTES, Objects

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

log = structlog.get_logger()

_PARTS_UNDER_WAY = 2
"""Parts that are uploaded while the next is written: with the one being filled, 24 MiB are held."""


class ObjectSink(io.RawIOBase):
    """Nothing of it can be seen before ``complete``, and nothing is left after ``abort``."""

    def __init__(self, objects: Objects, key: str) -> None:
        """Nothing is sent yet: a result of less than one part is written by a single put."""
        super().__init__()
        self._objects = objects
        self._key = key
        self._upload: str | None = None
        self._buffer = bytearray()
        self._pool = ThreadPoolExecutor(_PARTS_UNDER_WAY, thread_name_prefix="sink")
        self._under_way: set[Future[None]] = set()
        self._etags: dict[int, str] = {}
        self._parts = 0
        self.size = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Take all of ``data``; waits while enough parts are under way. Raises what a part's upload raised."""
        view = memoryview(data).cast("B")
        at = 0
        while at < len(view):
            room = PART_BYTES - len(self._buffer)
            self._buffer += view[at : at + room]
            at += room
            if len(self._buffer) == PART_BYTES:
                self._send()
        self.size += len(view)
        return len(view)

    def complete(self) -> str:
        """Make it one object; its ETag."""
        if self._upload is None:
            etag = self._objects.put(self._key, bytes(self._buffer))
        else:
            if self._buffer:
                self._send()
            self._wait_for(0)
            etag = self._objects.complete(self._key, self._upload, sorted(self._etags.items()))
        self._pool.shutdown()
        return etag

    def abort(self) -> None:
        """Throw away what was sent. A failure to do so is logged: the job's next attempt cleans up after this one."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._upload is None:
            return
        try:
            self._objects.abort(self._key, self._upload)
        except AwsError as error:
            log.warning("result.not_aborted", key=self._key, error=str(error))

    def _send(self) -> None:
        if self._upload is None:
            self._upload = self._objects.start(self._key)
        self._wait_for(_PARTS_UNDER_WAY - 1)
        self._parts += 1
        self._under_way.add(self._pool.submit(self._put, self._upload, self._parts, bytes(self._buffer)))
        self._buffer.clear()

    def _put(self, upload: str, number: int, body: bytes) -> None:
        self._etags[number] = self._objects.put_part(self._key, upload, number, body)

    def _wait_for(self, most: int) -> None:
        """Wait until at most ``most`` parts are under way."""
        while len(self._under_way) > most:
            done, self._under_way = wait(self._under_way, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

"""Sources and sinks as the file objects that libraries expect."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from application.engine.core.model import Source

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class SourceFile(io.RawIOBase):
    """A source as a readable, seekable file; closing it leaves the source open."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        source.seek(0)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill ``buffer`` as far as one read of the source does."""
        view = memoryview(buffer).cast("B")
        data = self._source.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to ``offset``."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """The position in bytes."""
        return self._source.tell()


class CountingSink(io.RawIOBase):
    """Passes bytes on and counts them; closing it leaves the sink open."""

    def __init__(self, sink: BinaryIO | io.RawIOBase) -> None:
        super().__init__()
        self._sink = sink
        self.written = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Write all of ``data``."""
        self._sink.write(data)
        size = memoryview(data).nbytes
        self.written += size
        return size

    def tell(self) -> int:
        """How much has been written."""
        return self.written

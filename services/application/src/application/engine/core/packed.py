"""Compressed files (gzip, RFC 1952): unpacked as they are read, and packed as they are written."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING

from application.engine.core.errors import InputError
from application.engine.core.model import Format, Limits, Source
from application.engine.core.streams import SourceFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

GZIP = b"\x1f\x8b"
PACKABLE = frozenset({Format.CSV, Format.TSV, Format.JSON, Format.JSON_LINES})
"""The formats that are read from start to end. None of them starts with the bytes of gzip."""

_MOST_RATIO = 200
"""Tables are packed to a tenth, and hardly any to a hundredth; a bomb is to a thousandth."""

_READ_AHEAD = 1 << 20
_SKIPPED = 1 << 20
_LEVEL = 6
_GZIP_BITS = 16 + zlib.MAX_WBITS
_DAMAGE = (gzip.BadGzipFile, zlib.error, EOFError)


class UnpackedSource:
    """What a compressed file holds, as a source that is read from its start, as often as it is rewound."""

    def __init__(self, packed: Source, limits: Limits) -> None:
        """``limits`` bound what is unpacked, by its size and by its ratio to ``packed``."""
        self._packed = packed
        self._most = min(limits.unpacked_stream, max(limits.unpacked, _MOST_RATIO * packed.size))
        self._length: int | None = None
        self._rewind()

    @property
    def size(self) -> int:
        """Bytes in all: an estimate, more than have been read, until the end has been."""
        if self._length is not None:
            return self._length
        return max(self._at + 1, self._at * self._packed.size // max(1, self.taken))

    @property
    def taken(self) -> int:
        """How many bytes of the compressed file have been read."""
        return self._packed.tell()

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes. Raises ``InputError`` for damage, and for more content than may be."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_SKIPPED), b""))
        try:
            data = self._file.read(size)
        except _DAMAGE:
            raise _damaged(self._at) from None
        self._at += len(data)
        if self._at > self._most:
            raise _too_large(self._most)
        if size and not data:
            self._length = self._at
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to ``offset`` from the start, by reading what is before it."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a compressed file is read from its start")
        if offset < self._at:
            self._rewind()
        while self._at < offset and self.read(min(_SKIPPED, offset - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def _rewind(self) -> None:
        self._at = 0
        self._file = gzip.GzipFile(fileobj=io.BufferedReader(SourceFile(self._packed), _READ_AHEAD), mode="rb")


def unpacked(source: Source, file_format: Format, limits: Limits) -> Source:
    """``source``, or what is in it if it is compressed."""
    if file_format not in PACKABLE:
        return source
    source.seek(0)
    return UnpackedSource(source, limits) if source.read(len(GZIP)) == GZIP else source


def unpacked_head(head: bytes, most: int) -> bytes:
    """Up to ``most`` bytes of what a compressed file that starts with ``head`` holds. Raises ``InputError``."""
    found = b""
    try:
        while head and len(found) < most:
            member = zlib.decompressobj(_GZIP_BITS)
            found += member.decompress(head, most - len(found))
            if not (found or member.eof):
                raise _damaged(0)
            head = member.unused_data.lstrip(b"\0")
    except zlib.error:
        raise _damaged(len(found)) from None
    return found


class PackingSink(io.RawIOBase):
    """A sink whose bytes arrive in another one compressed; without ``finish`` they have no end."""

    def __init__(self, sink: io.RawIOBase) -> None:
        super().__init__()
        self._sink = sink
        # The header has no time and no name: what is written twice is the same.
        self._compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_BITS)

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Write all of ``data``, sooner or later."""
        if packed := self._compressor.compress(data):
            self._sink.write(packed)
        return memoryview(data).nbytes

    def finish(self) -> None:
        """Write what is left, and the checksum."""
        self._sink.write(self._compressor.flush())


def _damaged(at: int) -> InputError:
    return InputError(
        "corrupt-file",
        "The compressed file is damaged",
        f"The file cannot be unpacked beyond byte {at:,} of its content: it is damaged or cut off.",
        expected="a whole gzip file; compress the table again",
    )


def _too_large(most: int) -> InputError:
    limit = f"{most >> 20:,} MB"
    return InputError(
        "file-too-large",
        "The file is too large",
        f"The file holds more than {limit} once it is unpacked.",
        expected=f"at most {limit} unpacked, and no more than {_MOST_RATIO} times the size of the compressed file",
    )

"""Reads ZIP archives of Office files from people who may wish us ill: what is unpacked is counted as it comes out."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from application.engine.core.errors import InputError
from application.engine.core.model import Limits, Source
from application.engine.core.streams import SourceFile

CHUNK = 64 << 10
_MAX_PARTS = 10_000
_MAX_READ = 4 << 20
"""The list of parts is read at once, and held as objects of some ten times its size."""

_MOST_RATIO = 200
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""What Office files may use (ISO/IEC 29500-2, annex B). Python unpacks the others without a bound on what comes out."""

_LEVEL = 2
"""Of compression: a third of the usual one's time, for a sixth more bytes. Excel's own choice is as quick."""

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    struct.error,
    UnicodeDecodeError,
    RuntimeError,
    ValueError,  # an offset before the start of the file
)


def _plain_name(name: str) -> str:
    return name.replace("\\", "/").removeprefix("/").lower()


class _Bounded(io.BufferedReader):
    """A file of which nobody reads very much at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``_MAX_READ`` bytes; raises ``BadZipFile`` where more are asked for."""
        if size is not None and size > _MAX_READ:
            raise zipfile.BadZipFile
        # What is read to the end are the last 64 KiB.
        return super().read(_MAX_READ if size is None or size < 0 else size)


class Archive:
    """An Office file's parts by name. Every method raises ``InputError`` for damage, encryption or too much content.

    All of them are for one thread, whose time is counted.
    """

    def __init__(self, source: Source, limits: Limits, kind: str, most: int) -> None:
        """``kind`` is what the file is called in errors, ``most`` how many bytes it may hold once it is unpacked."""
        self._limits = limits
        self._kind = kind
        # Sheets of a million rows are packed to a tenth, and hardly any to a hundredth; a bomb is to a thousandth.
        self._most = min(most, max(limits.unpacked, _MOST_RATIO * source.size))
        self._unpacked: dict[str, int] = {}
        self._until = time.thread_time() + limits.unpacked_seconds
        file = SourceFile(source)
        if file.read(len(OLE)) == OLE:
            raise self._encrypted()
        file.seek(0)
        with self._damage():
            self._zip = zipfile.ZipFile(_Bounded(file, 1 << 20))
        parts = self._zip.infolist()
        self.names = [part.filename for part in parts]
        self._names = {_plain_name(name): name for name in self.names}
        if len(parts) > _MAX_PARTS or len(self._names) < len(parts):
            raise self.corrupt("it has too many parts, or two of one name")
        if any(part.flag_bits & 1 for part in parts):
            raise self._encrypted()
        if any(part.compress_type not in _METHODS for part in parts):
            raise self.corrupt("it is packed by a method that Office does not use")

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def find(self, name: str) -> str | None:
        """The name of a part as the archive has it; nothing if there is none.

        Names are the same in capitals and small letters (ISO/IEC 29500-2, 6.2.2.3); some programs write a backslash.
        """
        return self._names.get(_plain_name(name))

    def chunks(self, part: str) -> Iterator[bytes]:
        """The unpacked bytes of one part, piece by piece."""
        name = self.find(part)
        if name is None:
            raise self.corrupt(f"its part {part} is missing")
        seen = 0
        with self._damage(), self._zip.open(name) as file:
            while chunk := file.read(CHUNK):
                seen += len(chunk)
                self._unpacked[name] = max(seen, self._unpacked.get(name, 0))
                if sum(self._unpacked.values()) > self._most:
                    raise self._too_large()
                if time.thread_time() > self._until:
                    raise self._too_slow()
                yield chunk

    def read(self, name: str, most: int | None = None) -> bytes:
        """The whole of one part; raises ``InputError`` for one of more than ``most`` bytes."""
        data = bytearray()
        for chunk in self.chunks(name):
            data += chunk
            if most is not None and len(data) > most:
                raise self.corrupt(f"its part {name} is larger than any that Office writes")
        return bytes(data)

    def copy_info(self, name: str) -> zipfile.ZipInfo:
        """A new entry for a part, with the time and the kind of compression of the old one."""
        old = self._zip.getinfo(name)
        info = zipfile.ZipInfo(name, old.date_time)
        info.compress_type = zipfile.ZIP_STORED if old.compress_type == zipfile.ZIP_STORED else zipfile.ZIP_DEFLATED
        info.external_attr = old.external_attr
        info._compresslevel = _LEVEL  # type: ignore[attr-defined]  # noqa: SLF001 - a stream has no other way
        return info

    def corrupt(self, why: str) -> InputError:
        """The file cannot be read."""
        return InputError(
            "corrupt-file",
            "The file is damaged",
            f"The {self._kind} file cannot be read: {why}.",
            expected=f"a whole {self._kind} file; open and save it again",
        )

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE:
            raise self.corrupt("the archive is damaged or cut off") from None

    def _encrypted(self) -> InputError:
        return InputError(
            "encrypted-file",
            "The file is encrypted",
            f"The {self._kind} file is protected by a password, or is of the format before 2007.",
            expected=f"the file saved as {self._kind} without a password",
        )

    def _too_large(self) -> InputError:
        limit = self._most >> 20
        return InputError(
            "file-too-large",
            "The file is too large",
            f"The {self._kind} file holds more than {limit} MB once it is unpacked.",
            expected=f"at most {limit} MB unpacked; larger tables can be sent as CSV or Parquet",
        )

    def _too_slow(self) -> InputError:
        seconds = self._limits.unpacked_seconds
        return InputError(
            "file-too-large",
            "The file is too large",
            f"The {self._kind} file takes more than {seconds:g} s to be looked at.",
            expected="a file with fewer cells or texts; larger tables can be sent as CSV or Parquet",
        )

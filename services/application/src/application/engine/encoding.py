"""How the bytes of a text file become text and back, without loss.

Inside the engine text is UTF-8. A file that is UTF-8 is passed on as it is; any other is decoded and encoded again,
after checking for each piece that this gives back the very same bytes.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

from charset_normalizer import from_bytes

from application.engine.errors import InputError
from application.engine.model import Source

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY = ["cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5", "euc_kr"]
_WESTERN = "cp1252"
_CHARSETS = {
    **{f"cp{number}": f"windows-{number}" for number in (1250, 1251, 1252, 1253, 1254)},
    "cp932": "windows-31j",
    "euc_kr": "euc-kr",
}
_SAMPLE = 1 << 20
_PROBE = 64 << 10
_PROBES = 16


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec's name, and the byte order mark that the file starts with, if any."""

    codec: str
    bom: bytes = b""

    @property
    def charset(self) -> str:
        """The name in a media type (IANA's registry of character sets); with a mark, it says which order bytes have."""
        name = self.codec.removesuffix("-le").removesuffix("-be") if self.bom else self.codec.replace("-le", "le")
        return _CHARSETS.get(name, name.replace("-be", "be"))

    @property
    def is_utf8(self) -> bool:
        """Whether the file's bytes are the engine's own."""
        return self.codec == "utf-8"

    def encode(self, text: bytes | memoryview) -> bytes | memoryview:
        """UTF-8 from inside the engine as the bytes of the file."""
        return text if self.is_utf8 else bytes(text).decode().encode(self.codec)

    def representable(self, text: str) -> str:
        """``text`` with a question mark for each character that the encoding does not have."""
        return text if self.is_utf8 else text.encode(self.codec, "replace").decode(self.codec)


def detect_encoding(source: Source) -> Encoding:
    """Tell the encoding from the byte order mark, else from the first MiB, else (if that is all ASCII) from probes."""
    source.seek(0)
    head = read_exactly(source, _SAMPLE)
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return Encoding(codec, bom)
    if b"\0" in head and (wide := _without_mark(head)):
        return Encoding(wide)
    if not head.isascii():
        return Encoding(_narrow(head))
    step = source.size // (_PROBES + 1)
    for probe in range(1, _PROBES + 1) if source.size > 2 * _SAMPLE else ():
        source.seek(step * probe)
        sample = source.read(_PROBE)
        if not sample.isascii():
            # A probe starts anywhere, perhaps inside a character: continuation bytes at its start mean nothing.
            return Encoding(_narrow(sample.lstrip(bytes(range(0x80, 0xC0))) or sample))
    return Encoding("utf-8")


def _without_mark(head: bytes) -> str | None:
    """UTF-16 without a mark: most text has a zero in every other byte, on one side only."""
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd > 0.4 * pairs and even < 0.05 * pairs:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * pairs and odd < 0.05 * pairs else None


def _narrow(sample: bytes) -> str:
    """UTF-8 if the sample is, or is but for some damage; else a code page that can read it."""
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(sample)
    damage = sum("\udc80" <= char <= "\udcff" for char in text)
    wide = sum(char > "\x7f" for char in text) - damage
    if damage == 0 or wide > damage:
        return "utf-8"
    try:
        sample.decode(_WESTERN)
        western = True
    except UnicodeDecodeError:
        western = False
    # A guess among code pages needs some text to be better than the likeliest one.
    if not western or damage >= 200:
        best = from_bytes(sample, cp_isolation=[_WESTERN, *_LEGACY]).best()
        if best is not None and best.encoding in {_WESTERN, *_LEGACY}:
            return best.encoding
    return _WESTERN if western else "utf-8"


def read_exactly(source: Source, size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end of the source."""
    parts: list[bytes] = []
    while size > 0 and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_text(source: Source, encoding: Encoding, chunk: int) -> Iterator[bytes]:
    """The file after its byte order mark, in pieces of UTF-8 that may break a line or a character anywhere.

    UTF-8 itself is not validated here, as its pieces may break a character; see ``check_utf8``.
    Raises ``InputError`` where another encoding does not fit.
    """
    source.seek(len(encoding.bom))
    if encoding.is_utf8:
        while piece := read_exactly(source, chunk):
            yield piece
        return
    decoder = codecs.getincrementaldecoder(encoding.codec)("strict")
    offset, line = len(encoding.bom), 1
    held = b""
    while True:
        piece = read_exactly(source, chunk)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].decode(encoding.codec, "replace").count("\n")
            raise _broken(encoding.codec, offset - len(held) + error.start, error, None, line) from None
        raw = held + piece
        held = decoder.getstate()[0]
        taken = raw[: len(raw) - len(held)]
        if text.encode(encoding.codec) != taken:
            raise InputError(
                "broken-encoding",
                "The text cannot be kept as it is",
                f"The file looks like {encoding.codec}, but bytes near byte {offset:,} are written unusually.",
                line=line,
                expected="a file in UTF-8",
            )
        line += text.count("\n")
        offset += len(piece)
        if text:
            yield text.encode()
        if not piece:
            return


def check_utf8(data: bytes) -> None:
    """Raise ``UnicodeDecodeError`` for bytes that are not UTF-8, ``InputError`` for a NUL with its line from 1."""
    if not data.isascii():
        data.decode()
    nul = data.find(b"\0")
    if nul >= 0:
        raise nul_error(data.count(b"\n", 0, nul) + 1)


def nul_error(line: int) -> InputError:
    """A NUL byte, which no text file has."""
    return InputError(
        "nul-byte",
        "The file has a NUL byte",
        f"Line {line:,} holds a NUL byte, which text does not have: the file is damaged, or is not a text file.",
        line=line,
        expected="text without NUL bytes",
    )


def utf8_error(error: UnicodeDecodeError, offset: int, row: int | None, line: int) -> InputError:
    """``error`` in words; ``offset`` is where ``error.object`` starts in the file."""
    return _broken("UTF-8", offset + error.start, error, row, line)


def _broken(codec: str, offset: int, error: UnicodeDecodeError, row: int | None, line: int) -> InputError:
    wrong = error.object[error.start : error.start + 1].hex().upper() or "end of file"
    place = f"row {row:,}" if row is not None else f"line {line:,}"
    return InputError(
        "broken-encoding",
        "The text is damaged",
        f"Byte {offset:,} (0x{wrong}, in {place}) is not valid {codec}: {error.reason}.",
        row=row,
        line=line,
        expected=f"text that is {codec} throughout; save the file again as UTF-8",
    )

"""How the bytes of a text file become text and back, without loss.

Inside the engine text is UTF-8. A file that is UTF-8 is passed on as it is; any other is decoded and encoded again,
after checking for each piece that this gives back the very same bytes.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from charset_normalizer import from_bytes

from application.engine.core.errors import InputError
from application.engine.core.model import Source
from application.engine.core.packed import UnpackedSource
from common.file_options import ENCODINGS

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY = ["cp1250", "cp1251", "cp1253", "cp1254", "cp932", "gb18030", "big5", "euc_kr"]
_SCRIPTS = ["cp1251", "cp1253"]
_WESTERN = "cp1252"
_SAMPLE = 1 << 20
_SCANNED = 128 << 20
_PROBE = 64 << 10
_PROBES = 256
_CHECKED = 64 << 20
_RUN = re.compile(rb"[\xc0-\xff]{3,}")
_JSON_ESCAPES = "application.json-escapes"


def _escape_for_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_JSON_ESCAPES, _escape_for_json)


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec's name, the byte order mark that the file starts with, if any, and why it is taken."""

    codec: str
    bom: bytes = b""
    reason: str = field(default="", compare=False)

    @property
    def charset(self) -> str:
        """The name in a media type (IANA's registry of character sets); with a mark, it says which order bytes have."""
        name = self.codec.removesuffix("-le").removesuffix("-be") if self.bom else self.codec.replace("-le", "le")
        return ENCODINGS.get(name, name.replace("-be", "be"))

    @property
    def is_utf8(self) -> bool:
        """Whether the file's bytes are the engine's own."""
        return self.codec == "utf-8"

    def encode(self, text: bytes | memoryview) -> bytes | memoryview:
        """UTF-8 from inside the engine as the bytes of the file."""
        return text if self.is_utf8 else bytes(text).decode().encode(self.codec)

    def encode_json(self, text: bytes) -> bytes:
        """JSON from inside the engine as the bytes of the file; what the encoding does not have is escaped."""
        return text if self.is_utf8 else text.decode().encode(self.codec, _JSON_ESCAPES)

    def representable(self, text: str) -> str:
        """``text`` with a question mark for each character that the encoding does not have."""
        return text if self.is_utf8 else text.encode(self.codec, "replace").decode(self.codec)


def detect_encoding(source: Source, given: str | None = None) -> Encoding:
    """Tell the encoding from the byte order mark, else from the first piece that is not ASCII.

    It is looked for in the whole of a file of up to 128 MiB, and in samples of a larger one, or in the first 128 MiB of
    what a compressed one holds. A codec that is ``given``
    is used instead; the order of bytes of UTF-16 and UTF-32 is detected.
    """
    source.seek(0)
    head = read_exactly(source, _SAMPLE)
    if given is not None:
        return _given(head, given)
    for bom, codec in _BOMS:
        if head.startswith(bom):
            return Encoding(codec, bom, "the file starts with a byte order mark")
    if b"\0" in head and (wide := _without_mark(head)):
        return Encoding(wide, reason="every other byte is zero")
    if not head.isascii():
        return _guessed(head)
    # A sample may start inside a character: continuation bytes at its start mean nothing.
    for sample in _samples(source):
        if not sample.isascii():
            return _guessed(sample.lstrip(bytes(range(0x80, 0xC0))) or sample)
    return Encoding("utf-8", reason="all that was read is ASCII")


def _given(head: bytes, codec: str) -> Encoding:
    reason = "you chose it"
    for bom, marked in _BOMS:
        if head.startswith(bom) and marked in {codec, f"{codec}-le", f"{codec}-be"}:
            return Encoding(marked, bom, reason)
    if codec == "utf-16":
        codec = _without_mark(head) or "utf-16-le"
    return Encoding("utf-32-le" if codec == "utf-32" else codec, reason=reason)


def _guessed(sample: bytes) -> Encoding:
    codec = _narrow(sample)
    if codec == "utf-8":
        return Encoding(codec, reason="its letters beyond ASCII are UTF-8")
    return Encoding(codec, reason="a guess: the text is not UTF-8, and this encoding fits its letters best")


def check_given(source: Source, encoding: Encoding) -> None:
    """Raise ``InputError`` where the encoding that the caller chose does not fit the first 64 MiB."""
    offset, line = len(encoding.bom), 1
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        for piece in read_text(source, encoding, _SAMPLE):
            if encoding.is_utf8:
                held = len(decoder.getstate()[0])
                try:
                    decoder.decode(piece)
                except UnicodeDecodeError as error:
                    line += error.object.count(b"\n", 0, error.start)
                    raise utf8_error(error, offset - held, None, line) from None
                offset += len(piece)
                line += piece.count(b"\n")
            if source.tell() >= _CHECKED:
                break
    except InputError as error:
        raise InputError(
            "broken-encoding",
            "The file is not in the encoding that you chose",
            error.detail,
            line=error.line,
            field="options.encoding",
            expected="the encoding in which the file was saved; without this option it is detected",
        ) from None


def _samples(source: Source) -> Iterator[bytes]:
    """What is looked at of a file after its first piece."""
    # To sample a compressed file would be to read it all.
    if source.size <= _SCANNED or isinstance(source, UnpackedSource):
        while source.tell() <= _SCANNED and (piece := read_exactly(source, _SAMPLE)):
            yield piece
        return
    step = source.size // (_PROBES + 1)
    for probe in range(1, _PROBES + 1):
        source.seek(step * probe)
        yield source.read(_PROBE)


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
    # Letters of Western languages that are not ASCII stand alone or by twos; those of other scripts make whole words.
    elif sum(len(run) for run in _RUN.findall(sample)) > damage / 2:
        best = from_bytes(sample, cp_isolation=_SCRIPTS).best()
        if best is not None and best.encoding in _SCRIPTS:
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

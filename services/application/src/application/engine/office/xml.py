"""Reads the XML of Office files with expat, refusing document type declarations (no entities, so no entity bombs)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

Attributes = dict[str, str]
MAX_DEPTH = 256
"""Open elements, each of which expat holds; Word's own files have some dozens."""

_MAX_TAG = 1 << 20
_MAX_SMALL_PART = 8 << 20
_MAX_ELEMENTS = 100_000
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class UnsafeXml(ValueError):
    """XML that is not read, in words."""


def local(name: str) -> str:
    """An element's or attribute's name without its prefix."""
    return name.rpartition(":")[2]


def new_parser() -> expat.XMLParserType:
    """A parser that raises ``UnsafeXml`` for a document type and for encodings other than UTF-8."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise UnsafeXml("it has a document type declaration")

    def declared(_version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in {"utf-8", "us-ascii"}:
            raise UnsafeXml(f"its XML is in {encoding[:20]}, not in UTF-8")

    parser.StartDoctypeDeclHandler = refuse
    parser.XmlDeclHandler = declared
    return parser


def set_handlers(
    parser: expat.XMLParserType,
    start: Callable[[str, Attributes], None] | None = None,
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    """What the parser calls for elements and character data; without them it only checks what it reads."""
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text


class Feed:
    """Feeds a parser piece by piece, and refuses what a small file can make very large or slow.

    That is a deep nesting of elements, and a tag or comment that does not end: expat reads it anew with each piece.
    """

    def __init__(self, parser: expat.XMLParserType, depth: Callable[[], int]) -> None:
        """``depth`` tells how many elements are open."""
        self._parser = parser
        self._depth = depth
        self._fed = 0

    def feed(self, data: bytes) -> None:
        """Read on; raises ``UnsafeXml``."""
        self._parser.Parse(data)
        self._fed += len(data)
        if self._depth() > MAX_DEPTH:
            raise UnsafeXml(f"its elements are nested more than {MAX_DEPTH} deep")
        if self._fed - self._parser.CurrentByteIndex > _MAX_TAG:
            raise UnsafeXml("it has a tag or a comment of more than 1 MB")

    def check(self, data: bytes) -> None:
        """Parse whole elements, only to see that they are well-formed: no handler is called."""
        self._parser.Parse(data)
        self._fed += len(data)

    def close(self) -> None:
        """Say that there is no more."""
        self._parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by position only


def elements(chunks: Iterable[bytes]) -> list[tuple[str, Attributes]]:
    """All elements of a small part in order, each with its attributes, names without prefixes."""
    found: list[tuple[str, Attributes]] = []
    parser = new_parser()
    depth = size = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        found.append((local(name), {local(key): value for key, value in attributes.items()}))

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    feed = Feed(parser, lambda: depth)
    for chunk in chunks:
        feed.feed(chunk)
        size += len(chunk)
        if size > _MAX_SMALL_PART or len(found) > _MAX_ELEMENTS:
            raise UnsafeXml("it is larger than any that Office writes")
    feed.close()
    return found


def office_text(text: str) -> str:
    """Character data of a cell as a person reads it: ``_x000D_`` is a carriage return (ISO/IEC 29500-1, 22.9.2.19)."""
    return _ESCAPED.sub(_escaped_character, text) if "_x" in text else text


def _escaped_character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code < 0xE000 else chr(code)


def xml_text(text: str) -> str:
    """``text`` as character data of a cell; what XML cannot hold is written as Office does (``_x0000_``)."""
    text = _ESCAPED.sub(lambda match: "_x005F" + match[0], text)
    text = _ILLEGAL.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    return escape(text.encode("utf-8", "replace").decode(), {"\r": "_x000D_"})

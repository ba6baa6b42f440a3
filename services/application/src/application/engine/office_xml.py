"""Reads the XML of Office files with expat, refusing document type declarations (no entities, so no entity bombs)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

Attributes = dict[str, str]
_ESCAPED = re.compile(r"_x[0-9A-Fa-f]{4}_")
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


def finish(parser: expat.XMLParserType) -> None:
    """Say that there is no more."""
    parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by position only


def parse(parser: expat.XMLParserType, chunks: Iterable[bytes]) -> None:
    """Parse a whole part."""
    for chunk in chunks:
        parser.Parse(chunk)
    finish(parser)


def elements(chunks: Iterable[bytes]) -> list[tuple[str, Attributes]]:
    """All elements of a small part in order, each with its attributes, names without prefixes."""
    found: list[tuple[str, Attributes]] = []
    parser = new_parser()

    def start(name: str, attributes: Attributes) -> None:
        found.append((local(name), {local(key): value for key, value in attributes.items()}))

    parser.StartElementHandler = start
    parse(parser, chunks)
    return found


def xml_text(text: str) -> str:
    """``text`` as character data of a cell; what XML cannot hold is written as Office does (``_x0000_``)."""
    text = _ESCAPED.sub(lambda match: "_x005F" + match[0], text)
    text = _ILLEGAL.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    return escape(text.encode("utf-8", "replace").decode(), {"\r": "_x000D_"})

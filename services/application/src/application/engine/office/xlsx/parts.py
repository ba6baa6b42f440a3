"""Edits of a workbook's small parts that leave every other byte as it is: tables, names and styles."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, unescape

from application.engine.office.xlsx.ranges import Area, Growth
from application.engine.office.xml import Attributes, Feed, local, new_parser

_TAG = re.compile(rb"""<[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*>""")
_SHEET_REFERENCE = re.compile(r"(?<![^,(])('(?:[^']|'')+'|[^'!,()]+)!(\$?[A-Z]{1,3}\$?[0-9]*:\$?[A-Z]{1,3}\$?[0-9]*)")
_MAX_COLUMN_NAME = 255
_MAX_NAME = 8192
"""Characters of a formula in Excel; longer ones no program writes."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a part: where its start tag and its end tag start (the same if it is empty, ``<a/>``)."""

    name: str
    attributes: Attributes
    start: int
    end: int


def elements_at(data: bytes) -> list[Element]:
    """The elements of a part with their places, in the order of their start tags."""
    parser = new_parser()
    open_elements: list[tuple[int, str, Attributes, int]] = []
    found: list[tuple[int, Element]] = []
    count = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal count
        named = {local(key): value for key, value in attributes.items()}
        open_elements.append((count, local(name), named, parser.CurrentByteIndex))
        count += 1

    def end(_: str) -> None:
        number, name, attributes, position = open_elements.pop()
        found.append((number, Element(name, attributes, position, parser.CurrentByteIndex)))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    feed = Feed(parser, lambda: len(open_elements))
    for at in range(0, len(data), 1 << 16):
        feed.feed(data[at : at + (1 << 16)])
    feed.close()
    return [element for _, element in sorted(found, key=lambda pair: pair[0])]


def tag_at(data: bytes | bytearray, position: int) -> bytes:
    """The start tag at ``position``."""
    match = _TAG.match(data, position)
    if match is None:
        raise ValueError("no tag")
    return bytes(match[0])


def with_attribute(tag: bytes, name: str, value: str) -> bytes:
    """``tag`` with another value of an attribute that it has."""
    pattern = re.compile(rb"""(\s%s\s*=\s*)("[^"]*"|'[^']*')""" % name.encode())
    quoted = b'"' + escape(value, {'"': "&quot;"}).encode() + b'"'
    return pattern.sub(lambda match: match[1] + quoted, tag, count=1)


def prefix_of(tag: bytes) -> str:
    """The prefix of a tag's name, with its colon."""
    name = re.split(rb"[\s/>]", tag[1:], maxsplit=1)[0].decode()
    return name[: name.index(":") + 1] if ":" in name else ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a sheet: ``headers`` and ``totals`` are its numbers of header and total rows."""

    part: str
    name: str
    area: Area
    headers: int
    totals: int
    columns: tuple[str, ...]
    is_plain: bool
    """Whether its columns are its own, and not those of a query."""

    def can_grow(self, names: Sequence[str]) -> bool:
        """Whether columns of these names can be added."""
        known = {name.casefold() for name in self.columns}
        new = {name.casefold() for name in names}
        fits = all(len(name) <= _MAX_COLUMN_NAME for name in names)
        return self.is_plain and self.headers == 1 and fits and len(new) == len(names) and not known & new


def read_table(part: str, data: bytes) -> Table | None:
    """A table's part; nothing if its range cannot be read."""
    root, *inner = elements_at(data)
    area = Area.parse(root.attributes.get("ref", ""))
    if area is None:
        return None
    columns = tuple(element.attributes.get("name", "") for element in inner if element.name == "tableColumn")
    return Table(
        part,
        root.attributes.get("displayName") or root.attributes.get("name", ""),
        area,
        int(root.attributes.get("headerRowCount", 1)),
        int(root.attributes.get("totalsRowCount", 0)),
        columns,
        root.attributes.get("tableType", "worksheet") == "worksheet",
    )


def grown_table(data: bytes, growth: Growth, names: Sequence[str]) -> bytes:
    """A table's part with more columns at its right end (ISO/IEC 29500-1, 18.5.1)."""
    edits: list[tuple[int, int, bytes]] = []
    elements = elements_at(data)
    number = max((int(e.attributes.get("id", 0)) for e in elements if e.name == "tableColumn"), default=0)
    for element in elements:
        tag = tag_at(data, element.start)
        new = tag
        if element.name in {"table", "autoFilter", "sortState"} and "ref" in element.attributes:
            new = with_attribute(tag, "ref", growth.filter(element.attributes["ref"]))
        elif element.name == "tableColumns":
            count = sum(e.name == "tableColumn" for e in elements) + len(names)
            new = with_attribute(tag, "count", str(count))
            prefix = prefix_of(tag)
            columns = "".join(
                f'<{prefix}tableColumn id="{number + place}" name="{_column_name(name)}"/>'
                for place, name in enumerate(names, start=1)
            )
            edits.append((element.end, 0, columns.encode()))
        if new != tag:
            edits.append((element.start, len(tag), new))
    return _edited(data, edits)


def _column_name(name: str) -> str:
    """A name as an attribute: line ends and tabs as Office writes them, lest XML makes spaces of them."""
    text = re.sub(r"[\t\r\n]", lambda match: f"_x{ord(match[0]):04x}_", name)
    return escape(text, {'"': "&quot;"})


def grown_names(data: bytes, growths: Mapping[str, Growth]) -> bytes:
    """The workbook's part with names that stand for grown tables; ``growths`` are by the name of the sheet."""
    by_name = {name.casefold(): growth for name, growth in growths.items()}
    edits: list[tuple[int, int, bytes]] = []
    for element in elements_at(data):
        if element.name != "definedName" or element.start == element.end:
            continue
        start = element.start + len(tag_at(data, element.start))
        text = unescape(data[start : element.end].decode())
        kind = element.attributes.get("name", "")
        new = _grown_name(text, kind, by_name)
        if new != text:
            edits.append((start, element.end - start, escape(new).encode()))
    return _edited(data, edits)


def _grown_name(text: str, kind: str, growths: Mapping[str, Growth]) -> str:
    if kind.startswith("_xlnm.") and kind not in {"_xlnm._FilterDatabase", "_xlnm.Print_Area"}:
        return text
    if len(text) > _MAX_NAME:
        return text
    rest = _SHEET_REFERENCE.sub("", text)
    if rest.strip(","):
        return text  # a formula, whose meaning is not only a place

    def grown(match: re.Match[str]) -> str:
        name = match[1][1:-1].replace("''", "'") if match[1].startswith("'") else match[1]
        growth = growths.get(name.casefold())
        if growth is None:
            return match[0]
        grow: Callable[[str], str] = growth.filter if kind.startswith("_xlnm.") else growth.named
        return f"{match[1]}!{grow(match[2])}"

    return _SHEET_REFERENCE.sub(grown, text)


def _edited(data: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    parts = []
    at = 0
    for position, length, new in sorted(edits):
        parts += [data[at:position], new]
        at = position + length
    return b"".join([*parts, data[at:]])

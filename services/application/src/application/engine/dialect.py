"""How a delimited file writes its cells: found from its first records."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

_DELIMITERS = (b",", b";", b"\t", b"|", b"\x1f", b"^", b"~", b":")
_QUOTES = (b'"', b"'")
_QUOTED = re.compile(rb'"[^"]*(?:"|\Z)')
_SNIFFED_RECORDS = 200


class NotARecord(ValueError):
    """Bytes that start with a quote that is not closed: what stood before them was taken for line endings."""


@dataclass(frozen=True)
class Dialect:
    """One byte each. ``escape`` is set for files that write a quote in a cell as ``\\"``; ``newline`` ends a line."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes | None = None
    newline: bytes = b"\n"

    @cached_property
    def _field(self) -> bytes:
        quote, delimiter, newline = re.escape(self.quote), re.escape(self.delimiter), re.escape(self.newline)
        escape = re.escape(self.escape) if self.escape else b""
        escaped = rb"|" + escape + rb"(?s:.)" if escape else b""
        inside = rb"(?:[^" + quote + escape + rb"]|" + quote + quote + escaped + rb")*+"
        plain = rb"[^" + delimiter + newline + rb"]*+"
        return (
            rb"(?:"
            + quote
            + rb"("
            + inside
            + rb")"
            + quote
            + rb"("
            + plain
            + rb")|(?!"
            + quote
            + rb")("
            + plain
            + rb"))"
        )

    @cached_property
    def record_pattern(self) -> re.Pattern[bytes]:
        """A whole record without its line ending; does not match where a quote is never closed."""
        groupless = re.sub(rb"(?<!\\)\((?!\?)", rb"(?:", self._field)
        return re.compile(groupless + rb"(?:" + re.escape(self.delimiter) + groupless + rb")*+")

    @cached_property
    def _cell_pattern(self) -> re.Pattern[bytes]:
        return re.compile(self._field)

    def cells(self, record: bytes) -> list[str]:
        """The cells of one record, without its line ending; raises ``NotARecord`` for a quote that is not closed."""
        cells: list[str] = []
        at = 0
        while match := self._cell_pattern.match(record, at):
            quoted, rest, plain = match.groups()
            cells.append((plain if quoted is None else self._unquote(quoted) + rest).decode("utf-8", "replace"))
            at = match.end() + 1
            if at > len(record):
                return cells
        raise NotARecord

    def _unquote(self, quoted: bytes) -> bytes:
        text = quoted.replace(self.quote * 2, self.quote)
        return re.sub(re.escape(self.escape) + rb"(?s:(.))", rb"\1", text) if self.escape else text

    def write(self, text: str) -> str:
        """``text`` as a cell of this dialect, quoted only where it must be."""
        quote = self.quote.decode()
        special = (self.delimiter.decode(), quote, "\n", "\r", *([self.escape.decode()] if self.escape else ()))
        if not any(char in text for char in special) and text == text.strip(" "):
            return text
        if self.escape:
            escape = self.escape.decode()
            return quote + text.replace(escape, escape * 2).replace(quote, escape + quote) + quote
        return quote + text.replace(quote, quote * 2) + quote


def newline_of(head: bytes) -> bytes:
    """The byte that ends a line: CR only in files that have no LF but in quoted cells."""
    if b"\r" not in head:
        return b"\n"
    bare = _QUOTED.sub(b"", head)
    return b"\r" if b"\r" in bare and b"\n" not in bare else b"\n"


def sniff(head: bytes, *, delimiter: bytes | None = None, complete: bool = True) -> Dialect:
    """The dialect of a file that starts with ``head``: the one that gives the most even records.

    ``complete`` tells that ``head`` is the whole file. ``delimiter`` is given where it is known from elsewhere (a TSV,
    a ``sep=`` line). Without a sign of any, the file has one column.
    """
    newline = newline_of(head)
    best, best_score = Dialect(delimiter or b",", newline=newline, escape=_escape(head, delimiter or b",")), 0.0
    for quote in _QUOTES:
        if quote not in head and quote != _QUOTES[0]:
            continue
        for candidate in (delimiter,) if delimiter else _DELIMITERS:
            if candidate not in head:
                continue
            # A single quote has to show that it is one: it is an apostrophe nearly always.
            if quote == b"'" and not _opens_cells(head, candidate):
                continue
            for escape in dict.fromkeys((_escape(head, candidate) if quote == b'"' else None, None)):
                dialect = Dialect(candidate, quote, escape, newline)
                score = _evenness(dialect, head, complete=complete)
                if score > best_score + 1e-9:
                    best, best_score = dialect, score
    return best


def _escape(head: bytes, delimiter: bytes) -> bytes | None:
    r"""A backslash, if quotes in cells are written as ``\"``: none is doubled, and some do not end a cell."""
    inside = rb'[^\\]\\"(?!\s*(?:' + re.escape(delimiter) + rb"|[\r\n]|$))"
    return b"\\" if b'""' not in head and re.search(inside, head) else None


def _opens_cells(head: bytes, delimiter: bytes) -> bool:
    opened = head.count(delimiter + b"'") + head.count(b"\n'") + head.startswith(b"'")
    closed = head.count(b"'" + delimiter) + head.count(b"'\n") + head.count(b"'\r\n") + head.endswith(b"'")
    return opened >= 2 and opened == closed and head.count(b'"') == 0


def _evenness(dialect: Dialect, head: bytes, *, complete: bool) -> float:
    """0 for one column; else the share of records as wide as most, a little more for wider ones."""
    widths = [len(dialect.cells(record)) for record in _records(dialect, head, complete=complete)]
    if not widths or widths[0] < 2:
        return 0.0
    common = Counter(widths).most_common(1)[0][1]
    share = common / len(widths)
    first = widths.count(widths[0]) / len(widths)
    return 0.5 * share + 0.5 * first + min(widths[0], 50) * 0.001


def _records(dialect: Dialect, head: bytes, *, complete: bool) -> list[bytes]:
    """The first whole, non-blank records; without closing line end the last one counts only if ``complete``."""
    records: list[bytes] = []
    at = 0
    while at < len(head) and len(records) < _SNIFFED_RECORDS:
        match = dialect.record_pattern.match(head, at)
        if match is None or (match.end() == len(head) and not complete):
            break
        record = match.group(0).removesuffix(b"\r")
        if match.end() < len(head) and head[match.end() : match.end() + 1] != dialect.newline:
            break
        if record:
            records.append(record)
        at = match.end() + 1
    return records

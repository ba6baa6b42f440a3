"""How a delimited file writes its cells: found from its first records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

_DELIMITERS = (b",", b";", b"\t", b"|", b"\x1f", b"^", b"~", b":")
_QUOTES = (b'"', b"'")
_QUOTED = re.compile(rb'"[^"]*(?:"|\Z)')
_SNIFFED_RECORDS = 200
_SELDOM_TEXT = (b";", b"\t", b"|", b"\x1f")
_ABOUT_AS_GOOD = 0.25
_TITLE_LINES = 10


class NotARecord(ValueError):
    """Bytes that start with a quote that is not closed: what stood before them was taken for line endings."""


@dataclass(frozen=True)
class Dialect:
    """One byte each. ``escape`` is set for files that write a quote in a cell as ``\\"``; ``newline`` ends a line.

    ``quote`` is empty where quotes are text. ``padded`` tells that spaces may stand before an opening quote; ``chosen``
    that a person, and no guess, says what quotes are.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes | None = None
    newline: bytes = b"\n"
    padded: bool = False
    chosen: bool = False

    @cached_property
    def _field(self) -> bytes:
        if not self.quote:
            return rb"()()([^" + re.escape(self.delimiter) + re.escape(self.newline) + rb"]*+)"
        quote, delimiter, newline = re.escape(self.quote), re.escape(self.delimiter), re.escape(self.newline)
        escape = re.escape(self.escape) if self.escape else b""
        escaped = rb"|" + escape + rb"(?s:.)" if escape else b""
        inside = rb"(?:[^" + quote + escape + rb"]|" + quote + quote + escaped + rb")*+"
        plain = rb"[^" + delimiter + newline + rb"]*+"
        space = rb"[ ]*+" if self.padded else b""
        return (
            rb"(?:"
            + space
            + quote
            + rb"("
            + inside
            + rb")"
            + quote
            + rb"("
            + plain
            + rb")|(?!"
            + space
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
            cells.append((plain if plain is not None else self._unquote(quoted) + rest).decode("utf-8", "replace"))
            at = match.end() + 1
            if at > len(record):
                return cells
        raise NotARecord

    def _unquote(self, quoted: bytes) -> bytes:
        text = quoted.replace(self.quote * 2, self.quote)
        return re.sub(re.escape(self.escape) + rb"(?s:(.))", rb"\1", text) if self.escape else text

    def write(self, text: str) -> str:
        """``text`` as a cell of this dialect, quoted only where it must be."""
        if not self.quote:
            return text.translate({ord(char): " " for char in (self.delimiter.decode(), "\n", "\r")})
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


def sniff(
    head: bytes,
    *,
    delimiter: bytes | None = None,
    quote: bytes | None = None,
    complete: bool = True,
    known: Collection[str] = (),
) -> Dialect:
    """The dialect of a file that starts with ``head``: the one that gives the most even records.

    ``complete`` tells that ``head`` is the whole file. ``delimiter`` is given where it is known from elsewhere (a TSV,
    a ``sep=`` line, an option), and so is ``quote``. ``known`` are names of columns that hold keys: of dialects that
    are about as good, one that gives such a column is taken. Without a sign of any, the file has one column.
    """
    newline = newline_of(head)
    found: list[tuple[float, Dialect]] = []
    chosen = quote is not None
    for mark in _QUOTES if quote is None else (quote,):
        if not chosen and mark not in head and mark != _QUOTES[0]:
            continue
        for candidate in (delimiter,) if delimiter else _DELIMITERS:
            if candidate not in head:
                continue
            # A single quote has to show that it is one: it is an apostrophe nearly always.
            if mark == b"'" and not chosen and not _opens_cells(head, candidate):
                continue
            for escape in dict.fromkeys((_escape(head, candidate) if mark == b'"' else None, None)):
                for padded in (False, True) if candidate + b' "' in head and mark == b'"' else (False,):
                    dialect = Dialect(candidate, mark, escape, newline, padded, chosen)
                    found.append((_evenness(dialect, head, complete=complete), dialect))
    found = [pair for pair in found if pair[0]]
    if not found:
        only = delimiter or b","
        mark = _QUOTES[0] if quote is None else quote
        return Dialect(only, mark, _escape(head, only) if mark == _QUOTES[0] else None, newline, chosen=chosen)
    best = max(score for score, _ in found)
    named = [pair for pair in found if pair[0] > best - _ABOUT_AS_GOOD and _has_column(pair[1], head, known)]
    # In text a comma is a sign like others, so that a rarer sign that splits all records alike is the delimiter.
    several = len(_records(found[0][1], head, complete=complete, most=2)) > 1
    even = [pair for pair in found if several and pair[0] >= 1 and pair[1].delimiter in _SELDOM_TEXT]
    return max(named or even or found, key=lambda pair: pair[0])[1]


def without_quotes(dialect: Dialect, head: bytes, *, complete: bool) -> Dialect:
    """``dialect`` of a TSV, with quotes as text where they would swallow line endings of even records.

    A TSV has no quotes by its definition (IANA, text/tab-separated-values), but programs write them.
    """
    plain = replace(dialect, quote=b"", escape=None, padded=False)
    if dialect.quote not in head or _evenness(plain, head, complete=complete) < 1:
        return dialect
    same = len(_records(plain, head, complete=complete)) == len(_records(dialect, head, complete=complete))
    return dialect if same else plain


def titles_above(head: bytes, known: Collection[str], *, delimiter: bytes | None, complete: bool) -> int:
    """The bytes of lines above the header: comments (``#``) or lines of one cell, above a name out of ``known``."""
    at = 0
    newline = newline_of(head)
    for _ in range(_TITLE_LINES):
        dialect = sniff(head[at:], delimiter=delimiter, complete=complete, known=known)
        first = _records(dialect, head[at:], complete=complete, most=1)
        if not first:
            return 0
        cells = [cell for cell in dialect.cells(first[0]) if cell.strip()]
        if any(cell.strip() in known for cell in cells):
            return at
        if len(cells) > 1 and not first[0].startswith(b"#"):
            return 0
        at = head.find(newline, head.index(first[0], at) + len(first[0])) + 1
        if not at:
            return 0
    return 0


def empty_cells_beyond(dialect: Dialect, head: bytes, width: int, *, complete: bool) -> int:
    """How many cells the first records have beyond the ``width`` of the header, all of them empty in all records."""
    most = 0
    for record in _records(dialect, head, complete=complete):
        more = dialect.cells(record)[width:]
        if any(more):
            return 0
        most = max(most, len(more))
    return most


def widest(dialect: Dialect, head: bytes, *, complete: bool) -> int:
    """The most cells that one of the first records has."""
    return max((len(dialect.cells(record)) for record in _records(dialect, head, complete=complete)), default=0)


def has_row_numbers(dialect: Dialect, head: bytes, width: int, *, complete: bool) -> bool:
    """Whether the header leaves out the name of a first column of row numbers, as ``write.table`` of R does.

    The first records then have one cell more than the ``width`` of the header, and start with 1, 2, 3 and so on.
    """
    rows = [dialect.cells(record) for record in _records(dialect, head, complete=complete)[1:]]
    return len(rows) > 1 and all(
        len(cells) == width + 1 and cells[0] == str(number) for number, cells in enumerate(rows, start=1)
    )


def _has_column(dialect: Dialect, head: bytes, known: Collection[str]) -> bool:
    records = _records(dialect, head, complete=True, most=1)
    return bool(records) and any(cell.strip() in known for cell in dialect.cells(records[0]))


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
    return 0.5 * share + 0.5 * first + min(widths[0], 50) * 1e-5


def _records(dialect: Dialect, head: bytes, *, complete: bool, most: int = _SNIFFED_RECORDS) -> list[bytes]:
    """The first whole, non-blank records; without closing line end the last one counts only if ``complete``."""
    records: list[bytes] = []
    at = 0
    while at < len(head) and len(records) < most:
        match = dialect.record_pattern.match(head, at)
        if match is None or (match.end() == len(head) and not complete):
            break
        record = match.group(0).rstrip(b"\r")
        if match.end() < len(head) and head[match.end() : match.end() + 1] != dialect.newline:
            break
        if record:
            records.append(record)
        at = match.end() + 1
    return records

"""Cuts delimited text into blocks of whole records, without a step of Python for each of them.

A block whose quotes are regular (each opens at the start of a cell and closes at its end) is indexed by counting quotes
before each line ending; any other is walked record by record with the dialect's grammar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from application.engine.core.errors import InputError
from application.engine.delimited.dialect import Dialect

Offsets = npt.NDArray[np.int64]
_USUAL = 4 << 20
_DOS_END = b"\x1a"
"""What DOS puts at the end of a text."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records: record ``i`` is ``data[ends[i-1]:ends[i]]`` less the line endings that it starts with.

    ``ends`` are where the contents end, before the line ending. ``regular`` tells whether every CSV reader would find
    the same records. ``offset`` is where ``data`` starts in the file's UTF-8 text, after ``lines_before`` line endings.
    """

    data: bytes
    ends: Offsets
    regular: bool
    offset: int
    lines_before: int

    def record(self, index: int) -> bytes:
        """The bytes of one record without line endings."""
        start = int(self.ends[index - 1]) if index else 0
        return self.data[start : int(self.ends[index])].lstrip(b"\r\n")

    def start(self, index: int) -> int:
        """Where one record starts in ``data``."""
        return int(self.ends[index]) - len(self.record(index))

    def after(self, count: int, newline: bytes) -> Block:
        """The block without its first ``count`` records; starts with the line ending of the last of them."""
        cut = int(self.ends[count - 1])
        lines = self.data.count(newline, 0, cut)
        return Block(
            self.data[cut:], self.ends[count:] - cut, self.regular, self.offset + cut, self.lines_before + lines
        )


def read_blocks(pieces: Iterator[bytes], dialect: Dialect, record_limit: int) -> Iterator[Block]:
    """Blocks of whole records. Raises ``InputError`` for one over ``record_limit`` bytes, without holding much more."""
    held = b""
    offset = 0
    lines = 0
    for piece in pieces:
        data = held + piece if held else piece
        ends, cut, regular = _index(data, dialect, final=False)
        if len(data) - cut > record_limit:
            raise _too_long(data, cut, dialect, lines, record_limit)
        held = data[cut:]
        if cut:
            yield Block(data[:cut], ends, regular, offset, lines)
        lines += data.count(dialect.newline, 0, cut)
        offset += cut
    if held:
        ends, cut, regular = _index(held, dialect, final=True)
        if len(ends) and held[ends[-2] if len(ends) > 1 else 0 : ends[-1]].strip(b"\r\n") == _DOS_END:
            ends = ends[:-1]
        if cut < len(held):
            raise _unclosed(held, cut, dialect, lines)
        yield Block(held, ends, regular, offset, lines)


def _index(data: bytes, dialect: Dialect, *, final: bool) -> tuple[Offsets, int, bool]:
    """Where records' contents end, where the last whole record (with line ending) ends, whether quotes are regular."""
    newline = dialect.newline[0]
    stray = dialect.newline == b"\n" and data.count(b"\r") != data.count(b"\r\n") + data.endswith(b"\r")
    if dialect.escape or dialect.padded or stray:
        return (*_walk(data, dialect, final=final), False)
    buffer = np.frombuffer(data, np.uint8)
    unquoted = _unquoted(buffer, dialect)
    if unquoted is None:
        return (*_walk(data, dialect, final=final), False)
    breaks, closed = unquoted
    cut = int(breaks[-1]) + 1 if len(breaks) else 0
    if final and closed and cut < len(data):
        breaks = np.append(breaks, len(data))
        cut = len(data)
    starts = np.concatenate([np.zeros(min(1, len(breaks)), np.int64), breaks[:-1] + 1])
    ends = breaks
    if newline == 0x0A and b"\r" in data:
        ends = breaks - (buffer[np.maximum(breaks - 1, 0)] == 0x0D) * (breaks > starts)
    return ends[ends > starts], cut, True


def _unquoted(buffer: npt.NDArray[np.uint8], dialect: Dialect) -> tuple[Offsets, bool] | None:
    """The line endings outside of quotes, and whether the last quote is closed; ``None`` where quotes are not regular.

    Counting quotes gives what the grammar gives where each opens after, and closes before, a delimiter or line ending.
    Two quotes for one inside a cell close and open again, so that a quote is a neighbour that is right too.
    """
    is_break = buffer == dialect.newline[0]
    quoted = buffer == dialect.quote[0] if dialect.quote else np.zeros(0, np.bool_)
    if not quoted.any():
        return np.flatnonzero(is_break), True
    edges = np.zeros(256, np.bool_)
    # A CR in an LF file is an edge only as part of CRLF, which the caller has made sure of.
    edges[[dialect.delimiter[0], dialect.quote[0], 0x0A, 0x0D]] = True
    if len(buffer) <= _USUAL:
        quotes = np.flatnonzero(quoted)
        opening, closing = quotes[0::2], quotes[1::2]
        before = buffer[opening[opening > 0] - 1]
        after = buffer[closing[closing < len(buffer) - 1] + 1]
        if not (edges[before].all() and edges[after].all()):
            return None
        breaks = np.flatnonzero(is_break)
        return breaks[np.searchsorted(quotes, breaks) % 2 == 0], len(quotes) % 2 == 0
    # Slower, but it takes a byte for each byte, and not eight for each quote and line ending in a record of megabytes.
    inside = np.bitwise_xor.accumulate(quoted)
    inner = ~edges[buffer]
    if ((quoted & inside)[1:] & inner[:-1]).any() or ((quoted & ~inside)[:-1] & inner[1:]).any():
        return None
    return np.flatnonzero(is_break & ~inside), not inside[-1]


def _walk(data: bytes, dialect: Dialect, *, final: bool) -> tuple[Offsets, int]:
    ends: list[int] = []
    at = 0
    match = dialect.record_pattern.match
    while at < len(data):
        record = match(data, at)
        if record is None:
            break
        end = record.end()
        if end == len(data):
            if not final:
                break
        elif data[end : end + 1] != dialect.newline:
            break
        content = end
        while dialect.newline == b"\n" and content > at and data[content - 1] == 0x0D:
            content -= 1  # one, or two of a CRLF that was made CRLF once more
        if content > at:
            ends.append(content)
        at = min(end + 1, len(data))
    return np.array(ends, np.int64), at


def _too_long(data: bytes, cut: int, dialect: Dialect, lines: int, limit: int) -> InputError:
    line = lines + data.count(dialect.newline, 0, cut) + 1
    if data.count(dialect.newline, cut):
        return _unclosed(data, cut, dialect, lines)
    return InputError(
        "record-too-long",
        "A line is too long",
        f"The record that starts in line {line:,} is longer than {limit >> 20} MB.",
        line=line,
        expected=f"records of at most {limit >> 20} MB, each ended by a line ending",
    )


def _unclosed(data: bytes, cut: int, dialect: Dialect, lines: int) -> InputError:
    return unclosed_quote(lines + data.count(dialect.newline, 0, cut) + 1, dialect)


def unclosed_quote(line: int, dialect: Dialect) -> InputError:
    """A quoted cell that does not end, in the record that starts in ``line``."""
    quote = (dialect.quote or b'"').decode()
    return InputError(
        "unclosed-quote",
        "A quoted cell does not end",
        f"A cell in the record that starts in line {line:,} opens with {quote} and is not closed.",
        line=line,
        expected=f"a closing {quote} before the delimiter or a line ending; or the option quote: none, if it is text",
    )

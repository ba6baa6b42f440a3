"""What the start of a delimited file says about all of it, or a person in its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from application.engine.core.encoding import Encoding, check_utf8, detect_encoding, read_text, utf8_error
from application.engine.core.errors import InputError
from application.engine.core.head import check_count, empty_file, told_apart
from application.engine.core.model import Detected, Detection, Format, Limits, Source
from application.engine.delimited.blocks import Block, read_blocks, unclosed_quote
from application.engine.delimited.cells import explain
from application.engine.delimited.dialect import (
    Dialect,
    NotARecord,
    empty_cells_beyond,
    has_row_numbers,
    newline_of,
    sniff,
    titles_above,
    widest,
    without_quotes,
)
from common.file_options import FileOptions

HEAD_PIECE = 256 << 10
_SEPARATOR_LINE = re.compile(rb'"?sep=(.)"?\r*\n', re.IGNORECASE)
_WITH_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_CHOSEN = "you chose it"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written.

    ``preamble`` is what stands above the header: a ``sep=`` line, which Excel reads, titles and comments. ``header``
    are the bytes of the header's record, with blank lines before it; empty without one. ``named`` are the columns that
    the header accounts for; records may have more cells, which are empty, up to as many as there are ``columns``.
    """

    encoding: Encoding
    dialect: Dialect
    preamble: bytes
    header: bytes
    columns: tuple[str, ...]
    named: int
    detected: Detected

    @property
    def first_row(self) -> int:
        """The number of the first row of data: the header is row 1."""
        return 2 if self.header else 1

    def unusable(self, block: Block, row: int) -> InputError:
        """Why ``block``, which starts with ``row``, cannot be read."""
        line = 1 + self.preamble.count(self.dialect.newline) + block.lines_before
        return explain(block, self.dialect, len(self.columns), row, line, len(self.encoding.bom) + len(self.preamble))


def open_delimited(
    source: Source, file_format: Format, limits: Limits, known: Collection[str], options: FileOptions, piece: int
) -> tuple[Layout, Block, Iterator[Block]]:
    """The file's layout, the block that starts with the first row of data, and the blocks after it.

    ``known`` are names of columns that hold keys. Raises ``InputError``.
    """
    encoding = detect_encoding(source, options.codec)
    pieces = read_text(source, encoding, piece)
    head = next(pieces, b"")
    complete = source.tell() >= source.size and len(head) <= HEAD_PIECE
    delimiter, why = _delimiter(head, file_format, options)
    preamble = _preamble(head, known, delimiter, options, complete=complete)
    head = head[len(preamble) :]
    quote = None if options.quote is None else b"" if options.quote == "none" else options.quote.encode()
    start = head[:HEAD_PIECE]
    dialect = sniff(start, delimiter=delimiter, quote=quote, complete=complete, known=known)
    if file_format is Format.TSV and quote is None:
        dialect = without_quotes(dialect, start, complete=complete)
    blocks = read_blocks(chain([head], pieces), dialect, limits.record)
    first = next((block for block in blocks if len(block.ends)), None)
    if first is None:
        raise empty_file()
    before = len(encoding.bom) + len(preamble)
    names = _first_cells(first, dialect, before)
    check_count(names, limits)
    detected = _detected(file_format, encoding, dialect, len(names), why, options)
    if options.no_header:
        width = max(len(names), widest(dialect, start, complete=complete))
        columns = tuple(f"column_{number}" for number in range(1, width + 1))
        return Layout(encoding, dialect, preamble, b"", columns, width, detected), first, blocks
    names[0] = names[0].removeprefix("\ufeff")
    if has_row_numbers(dialect, start, len(names), complete=complete):
        names.insert(0, "")
    named = len(names)
    names += [""] * empty_cells_beyond(dialect, start, named, complete=complete)
    header = first.data[: int(first.ends[0])]
    row = 1 + preamble.count(dialect.newline) + first.lines_before + header.count(dialect.newline, 0, first.start(0))
    reason = "the first line with a name of a key, or with several cells" if row > 1 else "the first line of the file"
    found = Detection(row, _CHOSEN if options.header_row else reason)
    layout = Layout(encoding, dialect, preamble, header, told_apart(names), named, replace(detected, header_row=found))
    return layout, first.after(1, dialect.newline), blocks


def with_decimal(detected: Detected, rows: Sequence[tuple[str | None, ...]], options: FileOptions) -> Detected:
    """``detected`` with the decimal sign, for which ``rows`` may give a hint."""
    if options.decimal is not None:
        return replace(detected, decimal=Detection(options.decimal, _CHOSEN))
    commas = sum(bool(cell and _WITH_COMMA.fullmatch(cell.strip())) for row in rows for cell in row)
    hint = f"; {commas:,} cells look like numbers with a comma: choose , if they are" if commas else ""
    return replace(detected, decimal=Detection(".", f"added numbers have a point unless you choose{hint}"))


def _delimiter(head: bytes, file_format: Format, options: FileOptions) -> tuple[bytes | None, str | None]:
    """The delimiter, if something says it, and what does."""
    if options.delimiter is not None:
        return (b"\t" if options.delimiter == "tab" else options.delimiter.encode()), _CHOSEN
    if marked := _SEPARATOR_LINE.match(head):
        return marked[1], "the first line of the file says so (sep=)"
    return (b"\t", "a TSV file has tabs") if file_format is Format.TSV else (None, None)


def _preamble(
    head: bytes, known: Collection[str], delimiter: bytes | None, options: FileOptions, *, complete: bool
) -> bytes:
    """What stands above the header."""
    if options.header_row is not None:
        return _lines(head[:HEAD_PIECE], options.header_row - 1)
    marked = _SEPARATOR_LINE.match(head)
    separator = marked[0] if marked else b""
    if options.no_header:
        return separator
    rest = head[len(separator) :][:HEAD_PIECE]
    return separator + rest[: titles_above(rest, known, delimiter=delimiter, complete=complete)]


def _lines(head: bytes, count: int) -> bytes:
    """The first ``count`` lines."""
    newline = newline_of(head)
    at = 0
    for line in range(count):
        at = head.find(newline, at) + 1
        if not at or at == len(head):
            raise InputError(
                "no-header",
                "The header row is not in the file",
                f"The first {HEAD_PIECE >> 10} KB of the file have {line + 1:,} lines, and so no line {count + 1:,}.",
                field="options.header_row",
                expected=f"the number of a line from 1 to {line + 1:,}",
            )
    return head[:at]


def _first_cells(first: Block, dialect: Dialect, before: int) -> list[str]:
    """The cells of the first record; ``before`` are the bytes of the file before its records."""
    try:
        check_utf8(first.data[: int(first.ends[0])])
    except UnicodeDecodeError as error:
        raise utf8_error(error, before, 1, 1) from None
    try:
        return dialect.cells(first.record(0))
    except NotARecord:
        raise unclosed_quote(first.lines_before + 1, dialect) from None


def _detected(
    file_format: Format, encoding: Encoding, dialect: Dialect, width: int, why: str | None, options: FileOptions
) -> Detected:
    spread = f"it divides the first rows into {width:,} cells" if width > 1 else "none was found: one column"
    shown = "tab" if dialect.delimiter == b"\t" else dialect.delimiter.decode("latin-1")
    quote = "no cell of the first rows needs another" if dialect.quote else "quotes are text in the first rows"
    return Detected(
        file_format.value,
        encoding=Detection(encoding.charset, encoding.reason),
        delimiter=Detection(shown, why or spread),
        quote=Detection(dialect.quote.decode() or "none", _CHOSEN if options.quote else quote),
    )

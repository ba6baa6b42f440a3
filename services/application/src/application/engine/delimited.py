"""CSV and TSV: the added cells are put at the end of each record; every byte of the input stays as it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from application.engine.cells import harmless, spreadsheet_text
from application.engine.delimited_cells import Unusable, explain, parse_cells
from application.engine.dialect import Dialect, NotARecord, sniff
from application.engine.encoding import Encoding, check_utf8, detect_encoding, read_text, utf8_error
from application.engine.errors import InputError
from application.engine.join import Rows, clean_keys
from application.engine.model import ColumnMapping, Format, Limits, Source
from application.engine.records import Block, read_blocks, unclosed_quote
from application.engine.run import Run
from application.engine.table import Head, check_columns, check_mapping, empty_file, no_rows

_PARSERS = 2
_AHEAD = 3
_SLICE = 1 << 16
_HEAD_PIECE = 256 << 10


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the start of a file says about all of it. ``preamble`` is a ``sep=`` line, which Excel reads."""

    encoding: Encoding
    dialect: Dialect
    preamble: bytes
    columns: tuple[str, ...]

    def unusable(self, block: Block, row: int) -> InputError:
        """Why ``block``, which starts with ``row``, cannot be read."""
        line = 1 + self.preamble.count(self.dialect.newline) + block.lines_before
        return explain(block, self.dialect, len(self.columns), row, line, len(self.encoding.bom) + len(self.preamble))


def read_head(source: Source, file_format: Format, limits: Limits, rows: int) -> Head:
    """The header and the first rows (fewer where they are long)."""
    layout, first, blocks = _open(source, file_format, limits, piece=_HEAD_PIECE)
    found: list[tuple[str | None, ...]] = []
    for block in chain([first.after(1, layout.dialect.newline)], blocks):
        try:
            cells = parse_cells(block, layout.dialect, layout.columns, layout.columns)
        except Unusable:
            raise layout.unusable(block, 2 + len(found)) from None
        found.extend(zip(*(column.slice(0, rows - len(found)).to_pylist() for column in cells), strict=True))
        if len(found) >= rows or (found and block.offset >= limits.block):
            break
    if not found:
        raise no_rows()
    return Head(layout.columns, tuple(found))


def enrich_delimited(run: Run) -> None:
    """Write the file of ``run`` with the added cells."""
    layout, first, blocks = _open(run.source, run.file_format, run.limits, piece=run.limits.block)
    check_mapping(layout.columns, run.mapping)
    run.charset = layout.encoding.charset
    writer = _Writer(layout)
    names = tuple(dict.fromkeys(entry.column for entry in run.mapping))

    def parse(block: Block) -> dict[str, pa.Array]:
        cells = parse_cells(block, layout.dialect, layout.columns, names)
        return {name: clean_keys(keys) for name, keys in zip(names, cells, strict=True)}

    run.sink.write(layout.encoding.bom)
    run.sink.write(layout.encoding.encode(layout.preamble + first.data[: int(first.ends[0])] + writer.header(run)))
    with run.joiner_for(writer.render) as joiner, ThreadPoolExecutor(_PARSERS, thread_name_prefix="parse") as pool:
        for block, parsed in _ahead(pool, parse, chain([first.after(1, layout.dialect.newline)], blocks)):
            try:
                keys = parsed.result()
            except Unusable:
                raise layout.unusable(block, run.rows + 2) from None
            columns = [keys[entry.column] for entry in run.mapping]
            for at in range(0, len(block.ends), _SLICE):
                part = [column.slice(at, _SLICE) for column in columns]
                added = joiner.join(part, range(run.rows + 2 + at, run.rows + 2 + len(block.ends)))
                run.sink.write(layout.encoding.encode(_splice(block, at, added)))
            tail = int(block.ends[-1]) if len(block.ends) else 0
            run.sink.write(layout.encoding.encode(block.data[tail:]))
            run.advance(len(block.ends), run.source.tell())
    if not run.rows:
        raise no_rows()
    run.warnings.extend(writer.warnings())


def _open(source: Source, file_format: Format, limits: Limits, piece: int) -> tuple[_Layout, Block, Iterator[Block]]:
    """What the file says about itself, the block that starts with the header, and the blocks after it."""
    encoding = detect_encoding(source)
    pieces = read_text(source, encoding, piece)
    head = next(pieces, b"")
    preamble = b""
    delimiter = b"\t" if file_format is Format.TSV else None
    if head[:4].lower() == b"sep=" and len(line := head[:7].splitlines(keepends=True)[0]) > len(line.strip()) == 5:
        preamble, delimiter = line, line[4:5]
    head = head[len(preamble) :]
    dialect = sniff(
        head[:_HEAD_PIECE], delimiter=delimiter, complete=source.tell() >= source.size and len(head) <= _HEAD_PIECE
    )
    blocks = read_blocks(chain([head], pieces), dialect, limits.record)
    first = next((block for block in blocks if len(block.ends)), None)
    if first is None:
        raise empty_file()
    header = first.data[: int(first.ends[0])]
    try:
        check_utf8(header)
    except UnicodeDecodeError as error:
        raise utf8_error(error, len(encoding.bom) + len(preamble), 1, 1) from None
    try:
        columns = tuple(dialect.cells(first.record(0)))
    except NotARecord:
        raise unclosed_quote(first.lines_before + 1, dialect) from None
    check_columns(columns, limits)
    return _Layout(encoding, dialect, preamble, columns), first, blocks


def _ahead(
    pool: ThreadPoolExecutor, parse: Callable[[Block], dict[str, pa.Array]], blocks: Iterator[Block]
) -> Iterator[tuple[Block, Future[dict[str, pa.Array]]]]:
    """Blocks in order, each with its parsing under way or done, and a few more behind it."""
    waiting: deque[tuple[Block, Future[dict[str, pa.Array]]]] = deque()
    for block in blocks:
        waiting.append((block, pool.submit(parse, block)))
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    yield from waiting


def _splice(block: Block, at: int, added: list[pa.Array]) -> memoryview:
    """Up to ``_SLICE`` records from number ``at``, each followed by what is added to it.

    A record is taken from the end of the one before it, so that it brings the line ending between them along as it is.
    """
    ends = block.ends[at : at + _SLICE]
    offsets = np.concatenate([block.ends[at - 1 : at] if at else np.zeros(1, np.int64), ends])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(block.data)]
    records = pa.Array.from_buffers(pa.large_binary(), len(ends), buffers)
    joined = pc.binary_join_element_wise(records, *added, pa.scalar(b"", pa.large_binary()))
    return memoryview(joined.buffers()[2])[
        : joined.offset + int(np.frombuffer(joined.buffers()[1], np.int64)[len(ends)])
    ]


class _Writer:
    """Writes added cells in the file's dialect and encoding."""

    def __init__(self, layout: _Layout) -> None:
        self._dialect = layout.dialect
        self._encoding = layout.encoding
        self._replaced = 0

    def header(self, run: Run) -> bytes:
        """The names of the added columns as they follow the header's record."""
        return self._cells([harmless(name) for entry in run.mapping for name in entry.added])

    def render(self, entry: ColumnMapping, rows: Rows) -> pa.Array:
        """The cells added to a record, with a delimiter before each."""
        nothing = self._dialect.delimiter * len(entry.columns)
        cells = [nothing if row is None else self._cells([spreadsheet_text(value) for value in row]) for row in rows]
        return pa.array(cells, pa.large_binary())

    def warnings(self) -> list[str]:
        """What happened to text that the file's encoding cannot hold."""
        if not self._replaced:
            return []
        warning = (
            f"{self._replaced:,} added values have characters that the file's encoding ({self._encoding.codec}) "
            "does not have; a question mark stands for each of them. Save the file as UTF-8 to keep them."
        )
        return [warning]

    def _cells(self, texts: list[str]) -> bytes:
        kept = [self._encoding.representable(text) for text in texts]
        self._replaced += sum(new != old for new, old in zip(kept, texts, strict=True))
        return b"".join(self._dialect.delimiter + self._dialect.write(text).encode() for text in kept)

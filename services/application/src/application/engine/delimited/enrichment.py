"""CSV and TSV: the added cells are put at the end of each record; every byte of the input stays as it is."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from application.engine.core.cells import FORMULA_STARTS, as_shown, harmless, text_of, with_comma, with_points
from application.engine.core.head import Head, check_mapping
from application.engine.core.join import Rows, clean_keys
from application.engine.core.model import ColumnInfo, ColumnMapping, Format, Limits, Scalar, Source
from application.engine.core.run import Run
from application.engine.delimited.blocks import Block
from application.engine.delimited.cells import Cells, Unusable, parse_cells
from application.engine.delimited.layout import HEAD_PIECE, Layout, open_delimited, with_decimal
from common.file_options import FileOptions

_PARSERS = 2
_AHEAD = 3
_SLICE = 1 << 16


def read_head(
    source: Source, file_format: Format, limits: Limits, rows: int, known: Collection[str], options: FileOptions
) -> Head:
    """The header and the first rows (fewer where they are long); ``known`` are names of columns that hold keys."""
    layout, first, blocks = open_delimited(source, file_format, limits, known, options, piece=HEAD_PIECE)
    found: list[tuple[str | None, ...]] = []
    for block in chain([first], blocks):
        try:
            cells = parse_cells(block, layout.dialect, len(layout.columns), range(len(layout.columns))).columns
        except Unusable:
            raise layout.unusable(block, layout.first_row + len(found)) from None
        shown = [as_shown(column.slice(0, rows - len(found))).to_pylist() for column in cells]
        found.extend(zip(*shown, strict=True))
        if len(found) >= rows or (found and block.offset >= limits.block):
            break
    return Head(layout.columns, tuple(found), with_decimal(layout.detected, found, options))


def enrich_delimited(run: Run) -> None:
    """Write the file of ``run`` with the added cells."""
    known = {entry.column for entry in run.mapping}
    layout, first, blocks = open_delimited(
        run.source, run.file_format, run.limits, known, run.options, piece=run.limits.block
    )
    check_mapping(layout.columns, run.mapping)
    run.charset = layout.encoding.charset
    writer = _Writer(layout, run.options)
    places = {entry.column: layout.columns.index(entry.column) for entry in run.mapping}

    def parse(block: Block) -> Cells:
        cells = parse_cells(block, layout.dialect, len(layout.columns), tuple(places.values()))
        return replace(
            cells, columns=[with_points(clean_keys(as_shown(keys)), run.options.decimal) for keys in cells.columns]
        )

    short = _Short()
    run.sink.write(layout.encoding.bom)
    run.sink.write(layout.encoding.encode(layout.preamble + layout.header + writer.header(run)))
    with run.joiner_for(writer.render) as joiner, ThreadPoolExecutor(_PARSERS, thread_name_prefix="parse") as pool:
        for block, parsed in _ahead(pool, parse, chain([first], blocks)):
            row = run.rows + layout.first_row
            try:
                cells = parsed.result()
            except Unusable:
                raise layout.unusable(block, row) from None
            keys = dict(zip(places, cells.columns, strict=True))
            columns = [keys[entry.column] for entry in run.mapping]
            padding = short.padding(cells.lacking, layout, row)
            for at in range(0, len(block.ends), _SLICE):
                part = [column.slice(at, _SLICE) for column in columns]
                added = joiner.join(part, range(row + at, row + len(block.ends)))
                if padding is not None:
                    added = [padding.slice(at, _SLICE), *added]
                run.sink.write(layout.encoding.encode(_splice(block, at, added)))
            tail = int(block.ends[-1]) if len(block.ends) else 0
            run.sink.write(layout.encoding.encode(block.data[tail:]))
            run.advance(len(block.ends), run.source.tell())
    run.warnings.extend([*short.warnings(), *writer.warnings(), *_unnamed(run, layout)])


def _unnamed(run: Run, layout: Layout) -> list[str]:
    """What the added cells are, where no header says so."""
    if layout.header:
        return []
    names = ", ".join(name for entry in run.mapping for name in entry.added)
    return [f"The file has no header row, so the added cells have no names in it. In this order they are: {names}."]


class _Short:
    """Counts records with fewer cells than the file has columns."""

    def __init__(self) -> None:
        self._count = 0
        self._first = 0

    def padding(self, lacking: npt.NDArray[np.int64] | None, layout: Layout, row: int) -> pa.Array | None:
        """What each record gets before the added cells, so that these stand below their names."""
        if lacking is None:
            return None
        fewer = lacking > len(layout.columns) - layout.named
        if fewer.any():
            self._first = self._first or row + int(fewer.argmax())
            self._count += int(fewer.sum())
        paddings = pa.array([layout.dialect.delimiter * count for count in range(len(layout.columns) + 1)],
                            pa.large_binary())  # fmt: skip
        return paddings.take(pa.array(lacking))

    def warnings(self) -> list[str]:
        """How many there were."""
        if not self._count:
            return []
        rows = "1 row has" if self._count == 1 else f"{self._count:,} rows have"
        warning = (
            f"{rows} fewer cells than the header; the first is row {self._first:,}. The missing cells count as empty, "
            "and delimiters were added before the added cells."
        )
        return [warning]


def _ahead(
    pool: ThreadPoolExecutor, parse: Callable[[Block], Cells], blocks: Iterator[Block]
) -> Iterator[tuple[Block, Future[Cells]]]:
    """Blocks in order, each with its parsing under way or done, and a few more behind it."""
    waiting: deque[tuple[Block, Future[Cells]]] = deque()
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

    def __init__(self, layout: Layout, options: FileOptions) -> None:
        self._options = options
        self._dialect = layout.dialect
        self._encoding = layout.encoding
        self._layout = layout
        self._replaced = self._formulas = self._flattened = 0
        dialect = layout.dialect
        special = re.escape((dialect.delimiter + dialect.quote + (dialect.escape or b"")).decode())
        starts = re.escape("".join(FORMULA_STARTS))
        self._to_look_at = re.compile(rf"[{special}\r]|(?:\A|\n)[ {starts}]| (?:\n|\Z)")
        self._written_as_they_are = self._encoding.is_utf8 and options.decimal != ","

    def header(self, run: Run) -> bytes:
        """The names of the added columns as they follow the header's record; nothing where there is none."""
        if not self._layout.header:
            return b""
        padding = self._dialect.delimiter * (len(self._layout.columns) - self._layout.named)
        return padding + self._cells([self._harmless(name) for entry in run.mapping for name in entry.added])

    def render(self, entry: ColumnMapping, rows: Rows) -> pa.Array:
        """The cells added to a record, with a delimiter before each."""
        nothing = self._dialect.delimiter * len(entry.columns)
        cells = [nothing if row is None else self._plain(row) or self._cells(self._texts(entry, row)) for row in rows]
        return pa.array(cells, pa.large_binary())

    def _plain(self, row: Sequence[Scalar]) -> bytes | None:
        """The cells of a row none of which needs a second look; one search for all of them, as most rows are such."""
        if not self._written_as_they_are:
            return None
        texts = [value if type(value) is str else text_of(value) for value in row]
        joined = "\n".join(texts)
        if self._to_look_at.search(joined) or joined.count("\n") >= len(texts):
            return None
        return self._dialect.delimiter + joined.encode().replace(b"\n", self._dialect.delimiter)

    def _texts(self, entry: ColumnMapping, row: Sequence[Scalar]) -> list[str]:
        return [self._text(value, column) for value, column in zip(row, entry.columns, strict=True)]

    def _text(self, value: Scalar, column: ColumnInfo) -> str:
        if self._options.decimal == "," and (with_sign := with_comma(value, column)) is not None:
            return with_sign
        if not isinstance(value, str):
            return text_of(value)
        text = self._harmless(value)
        self._formulas += text != value
        return text

    def _harmless(self, text: str) -> str:
        return text if self._options.raw else harmless(text)

    def warnings(self) -> list[str]:
        """What happened to texts that are not written as they are."""
        found = []
        if self._formulas:
            found.append(
                f"{self._formulas:,} different added texts begin like a formula; an apostrophe before each keeps a "
                "spreadsheet from running it."
            )
        if self._replaced:
            found.append(
                f"{self._replaced:,} added values have characters that the file's encoding ({self._encoding.codec}) "
                "does not have; a question mark stands for each of them. Save the file as UTF-8 to keep them."
            )
        if self._flattened:
            found.append(
                f"{self._flattened:,} added texts have a tab or a line ending, which a file without quotes cannot "
                "hold; a space stands for each of them."
            )
        return found

    def _cells(self, texts: list[str]) -> bytes:
        kept = [self._encoding.representable(text) for text in texts]
        self._replaced += sum(new != old for new, old in zip(kept, texts, strict=True))
        written = [self._dialect.write(text) for text in kept]
        if not self._dialect.quote:
            self._flattened += sum(new != old for new, old in zip(written, kept, strict=True))
        return b"".join(self._dialect.delimiter + text.encode() for text in written)

"""Takes columns out of a block of delimited records, and explains a block whose records are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from application.engine.core.encoding import check_utf8, utf8_error
from application.engine.core.errors import InputError
from application.engine.delimited.blocks import Block, unclosed_quote
from application.engine.delimited.dialect import Dialect, NotARecord


class Unusable(Exception):
    """A block cannot be read; ``explain`` says why, once its place in the file is known."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Columns of a block as text, and the cells that each record lacks; ``None`` where none does."""

    columns: list[pa.Array]
    lacking: npt.NDArray[np.int64] | None = None


def parse_cells(block: Block, dialect: Dialect, width: int, wanted: Sequence[int]) -> Cells:
    """The ``wanted`` columns, by place, of records of ``width`` cells or fewer. Raises ``Unusable``."""
    if not len(block.ends):
        return Cells([pa.array([], pa.string()) for _ in wanted])
    try:
        check_utf8(block.data)
        if block.regular and width > 1 and dialect.quote and not _has_long_cells(block, dialect):
            try:
                table = _parse(block, dialect, width, wanted)
            except pa.ArrowInvalid:
                table = None  # it has a record of another width
            if table is not None and table.num_rows == len(block.ends):
                return Cells([table.column(str(place)).combine_chunks() for place in wanted])
        return _walk(block, dialect, width, wanted)
    except (UnicodeDecodeError, InputError, NotARecord, pa.ArrowInvalid) as error:
        raise Unusable from error


def _has_long_cells(block: Block, dialect: Dialect) -> bool:
    """Whether a TSV has cells with line endings, which are to be looked at one by one."""
    if dialect.delimiter != b"\t" or dialect.quote not in block.data:
        return False
    return block.data.strip(b"\r\n").count(dialect.newline) >= len(block.ends)


def _parse(block: Block, dialect: Dialect, width: int, wanted: Sequence[int]) -> pa.Table:
    names = [str(place) for place in wanted]
    return arrow_csv.read_csv(
        pa.BufferReader(block.data),
        read_options=arrow_csv.ReadOptions(
            column_names=[str(place) for place in range(width)], use_threads=False, block_size=len(block.data) + 1
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=dialect.delimiter.decode(), quote_char=dialect.quote.decode(), newlines_in_values=True
        ),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=names,
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _walk(block: Block, dialect: Dialect, width: int, wanted: Sequence[int]) -> Cells:
    rows: list[list[str]] = []
    lacking = np.zeros(len(block.ends), np.int64)
    for index in range(len(block.ends)):
        record = block.record(index)
        cells = dialect.cells(record)
        lacking[index] = width - len(cells)
        if _is_misread(cells, record, dialect, width):
            raise Unusable
        cells += [""] * int(lacking[index])
        rows.append([cells[place] for place in wanted])
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return Cells(columns or [], lacking if lacking.any() else None)


def _is_misread(cells: Sequence[str], record: bytes, dialect: Dialect, width: int) -> bool:
    """Whether a record has cells that no header names, or a quote that is none.

    A short record with a quote that is text may be the start of a cell with a line ending. A quoted cell of a TSV whose
    lines are whole records was not meant as one.
    """
    if len(cells) > width:
        return True
    if not dialect.quote:
        opens = dialect.delimiter + b'"' in record or record.startswith(b'"')
        return opens and not dialect.chosen and len(cells) < width
    if dialect.chosen or dialect.delimiter != b"\t" or dialect.newline not in record:
        return False
    return all(line.count(b"\t") == width - 1 for line in record.split(dialect.newline))


def explain(block: Block, dialect: Dialect, width: int, row: int, line: int, before: int) -> InputError:
    """What is wrong with ``block``, whose first record is ``row`` and which starts in ``line``.

    ``width`` is how many cells a record has to have; ``before`` are the bytes of the file before its records.
    """
    try:
        check_utf8(block.data)
    except UnicodeDecodeError as error:
        index = int(np.searchsorted(block.ends, error.start, side="right"))
        return utf8_error(
            error, before + block.offset, row + index, line + block.data.count(dialect.newline, 0, error.start)
        )
    except InputError:
        nul = block.data.index(b"\0")
        index = int(np.searchsorted(block.ends, nul, side="right"))
        return _nul(row + index, line + block.data.count(dialect.newline, 0, nul))
    for index in range(len(block.ends)):
        try:
            cells: int | None = len(dialect.cells(block.record(index)))
        except NotARecord:
            cells = None
        if cells is None or cells > width or _is_misread([""] * cells, block.record(index), dialect, width):
            # Counted for this row alone: for each row it would take the square of the block's size.
            here = line + block.data.count(dialect.newline, 0, block.start(index))
            if cells is None or cells <= width:
                return unclosed_quote(here, dialect)
            return _ragged(row + index, here, cells, width)
    return InputError(
        "ragged-row", "The rows cannot be told apart", f"The rows from row {row:,} on cannot be read.", row=row
    )


def _nul(row: int, line: int) -> InputError:
    return InputError(
        "nul-byte",
        "The file has a NUL byte",
        f"Row {row:,} (line {line:,}) has a NUL byte: the file is damaged, or is not a text file.",
        row=row,
        line=line,
        expected="text without NUL bytes",
    )


def _ragged(row: int, line: int, cells: int, width: int) -> InputError:
    place = f"Row {row:,}" + (f" (line {line:,})" if line != row else "")
    return InputError(
        "ragged-row",
        "A row has more cells than the header",
        f"{place} has {cells:,} cells, the header has {width:,}.",
        row=row,
        line=line if line != row else None,
        expected=f"at most {width:,} cells in every row; a cell that holds the delimiter must be quoted",
    )

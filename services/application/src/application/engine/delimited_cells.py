"""Takes columns out of a block of delimited records, and explains a block whose records are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from application.engine.dialect import Dialect, NotARecord
from application.engine.encoding import check_utf8, utf8_error
from application.engine.errors import InputError
from application.engine.records import Block, unclosed_quote


class Unusable(Exception):
    """A block cannot be read; ``explain`` says why, once its place in the file is known."""


def parse_cells(block: Block, dialect: Dialect, columns: Sequence[str], wanted: Sequence[str]) -> list[pa.Array]:
    """The cells of the ``wanted`` columns as text. Raises ``Unusable``."""
    if not len(block.ends):
        return [pa.array([], pa.string()) for _ in wanted]
    try:
        check_utf8(block.data)
        if block.regular and len(columns) > 1:
            table = _parse(block, dialect, columns, wanted)
            if table.num_rows == len(block.ends):
                return [table.column(name).combine_chunks() for name in wanted]
        return _walk(block, dialect, columns, wanted)
    except (UnicodeDecodeError, InputError, NotARecord, pa.ArrowInvalid) as error:
        raise Unusable from error


def _parse(block: Block, dialect: Dialect, columns: Sequence[str], wanted: Sequence[str]) -> pa.Table:
    return arrow_csv.read_csv(
        pa.BufferReader(block.data),
        read_options=arrow_csv.ReadOptions(
            column_names=list(columns), use_threads=False, block_size=len(block.data) + 1
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=dialect.delimiter.decode(), quote_char=dialect.quote.decode(), newlines_in_values=True
        ),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=list(wanted),
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _walk(block: Block, dialect: Dialect, columns: Sequence[str], wanted: Sequence[str]) -> list[pa.Array]:
    places = [columns.index(name) for name in wanted]
    rows: list[list[str]] = []
    for index in range(len(block.ends)):
        cells = dialect.cells(block.record(index))
        if len(cells) != len(columns):
            raise Unusable
        rows.append([cells[place] for place in places])
    return [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]


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
        if cells != width:
            # Counted for this row alone: for each row it would take the square of the block's size.
            here = line + block.data.count(dialect.newline, 0, block.start(index))
            return unclosed_quote(here, dialect) if cells is None else _ragged(row + index, here, cells, width)
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
        "A row has not as many cells as the header",
        f"{place} has {cells:,} cells, the header has {width:,}.",
        row=row,
        line=line if line != row else None,
        expected=f"{width:,} cells in every row; a cell that holds the delimiter must be quoted",
    )

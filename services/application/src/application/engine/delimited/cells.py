"""Takes columns out of a block of delimited records, and explains a block whose records are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        if block.regular and width > 1 and dialect.quote:
            try:
                table = _parse(block, dialect, width, wanted)
            except pa.ArrowInvalid:
                table = None  # it has a record of another width
            if table is not None and table.num_rows == len(block.ends):
                if any(_swallows(block.record(index), dialect, width) for index in _long_records(block, dialect)):
                    raise Unusable
                return Cells([table.column(str(place)).combine_chunks() for place in wanted])
        return _walk(block, dialect, width, wanted)
    except (UnicodeDecodeError, InputError, NotARecord, pa.ArrowInvalid) as error:
        raise Unusable from error


def _long_records(block: Block, dialect: Dialect) -> Iterable[int]:
    """The records that may have a line ending within; few blocks have any."""
    if dialect.chosen or block.data.strip(b"\r\n").count(dialect.newline) < len(block.ends):
        return ()
    breaks = np.flatnonzero(np.frombuffer(block.data, np.uint8) == dialect.newline[0])
    # A record starts with the line ending of the one before, and blank lines: these are looked at for nothing.
    starts = np.concatenate([np.zeros(1, np.int64), block.ends[:-1]])
    within = np.searchsorted(breaks, block.ends) - np.searchsorted(breaks, starts)
    within[0] += 1
    return np.flatnonzero(within > 1).tolist()


def _swallows(record: bytes, dialect: Dialect, width: int) -> bool:
    """Whether each line of a record with line endings would be a whole record, so that its quote may not be one."""
    if dialect.newline not in record or (width == 1 and dialect.delimiter != b"\t"):
        return False
    return all(line.count(dialect.delimiter) == width - 1 for line in record.split(dialect.newline))


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

    A short record with a quote that is text may be the start of a cell with a line ending.
    """
    if len(cells) > width:
        return True
    if not dialect.quote:
        opens = dialect.delimiter + b'"' in record or record.startswith(b'"')
        return opens and not dialect.chosen and len(cells) < width
    return not dialect.chosen and _swallows(record, dialect, width)


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
            if cells is not None and cells <= width and dialect.quote:
                return _doubtful(row + index, here, dialect, block.record(index).count(dialect.newline) + 1)
            if cells is None or cells <= width:
                return unclosed_quote(here, dialect)
            return _ragged(row + index, here, cells, width)
    return InputError(
        "ragged-row", "The rows cannot be told apart", f"The rows from row {row:,} on cannot be read.", row=row
    )


def _doubtful(row: int, line: int, dialect: Dialect, lines: int) -> InputError:
    quote = dialect.quote.decode()
    return InputError(
        "unclosed-quote",
        "It is not clear whether a quote is text",
        f"A cell in row {row:,} (line {line:,}) opens with {quote} and closes {lines - 1:,} lines below, but each of "
        f"these lines has as many cells as a row. Either the cell holds {lines:,} lines, or {quote} is text.",
        row=row,
        line=line if line != row else None,
        field="options.quote",
        expected=f"the option quote: {quote} if the cell holds lines, none if quotes are text in this file",
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

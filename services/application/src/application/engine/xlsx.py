"""XLSX: cells are added at the end of the rows of one sheet, in its XML; every other byte of every part is kept."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from application.engine.archive import Archive
from application.engine.cells import harmless
from application.engine.errors import InputError
from application.engine.join import Joiner, Rows, clean_keys
from application.engine.model import ColumnMapping, Limits, Mapping, Scalar, Source
from application.engine.office_package import readable
from application.engine.office_xml import xml_text
from application.engine.run import Run
from application.engine.table import Head, check_columns, check_mapping, empty_file, no_rows
from application.engine.xlsx_book import Book, SharedTexts, Sheet
from application.engine.xlsx_sheet import MAX_COLUMNS, Row, SheetReader, column_letters

_MAX_TEXT = 32_767
_BATCH_ROWS = 4096
_ROW_MARK = b"\0"
_EXACT = 10**15
_TITLE_ROWS = 10
_MAX_PART = 2_000_000_000


class _EnoughRows(Exception):
    """As much of a sheet has been read as is needed."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A sheet's header: ``places`` are the column numbers of ``columns``."""

    sheet: Sheet
    row: int
    columns: tuple[str, ...]
    places: tuple[int, ...]
    style: str | None
    rows: tuple[Row, ...]

    def place(self, column: str) -> int:
        """The number of a column in the sheet."""
        return self.places[self.columns.index(column)]


def read_head(source: Source, limits: Limits, rows: int) -> Head:
    """The header and first rows of the sheet that would be enriched."""
    with Archive(source, limits, "XLSX") as archive:
        book = Book(archive)
        table = _find_table(archive, book, book.texts(), limits, rows)
        return Head(table.columns, tuple(tuple(row.cells.get(place) for place in table.places) for row in table.rows))


def enrich_xlsx(run: Run) -> None:
    """Write the workbook of ``run`` with the added cells in its first sheet that holds a table."""
    with Archive(run.source, run.limits, "XLSX") as archive:
        book = Book(archive)
        texts = book.texts()
        table = _find_table(archive, book, texts, run.limits, 1)
        check_mapping(table.columns, run.mapping)
        if len(book.sheets) > 1:
            others = len(book.sheets) - 1
            run.warnings.append(f"Only the sheet {table.sheet.name!r} was enriched; {others} more stay as they are.")
        size = _measure(archive, texts, table)
        run.total_rows = size.filled - 1
        cells = _Cells(run.mapping, size, table)
        with (
            zipfile.ZipFile(run.sink, "w", zipfile.ZIP_DEFLATED) as output,
            run.joiner_for(cells.render) as joiner,
        ):
            for name in archive.names:
                # Not as ZIP64, which Excel refuses in an archive that was written as a stream.
                with output.open(archive.copy_info(name), "w") as part:
                    if name == table.sheet.part:
                        with readable(archive, name):
                            _Splicer(run, archive, texts, table, size, cells, joiner).write(part.write)
                    else:
                        for chunk in archive.chunks(name):
                            part.write(chunk)
        run.warnings.extend(cells.warnings())


def _find_table(archive: Archive, book: Book, texts: SharedTexts, limits: Limits, rows: int) -> _Table:
    """The first visible sheet with a header and a row below it."""
    headers = 0
    for sheet in book.sheets:
        found = _first_rows(archive, sheet, texts, rows + 1 + _TITLE_ROWS)
        headers += bool(found)
        found = found[_titles(found) :][: rows + 1]
        if len(found) > 1:
            header = found[0]
            places = tuple(range(min(header.cells), max(header.cells) + 1))
            columns = tuple(header.cells.get(place, "") for place in places)
            check_columns(columns, limits, header.number)
            style = header.styles.get(places[-1])
            return _Table(sheet, header.number, columns, places, style, tuple(found[1:]))
    raise no_rows() if headers else empty_file()


def _titles(rows: Sequence[Row]) -> int:
    """How many lines with one cell each stand above a header that has several names and a row below it."""
    count = next((index for index, row in enumerate(rows[:_TITLE_ROWS]) if len(row.cells) > 1), 0)
    header, below = rows[count : count + 1], rows[count + 1 : count + 2]
    is_header = header and not any(_is_number(text) for text in header[0].cells.values())
    return count if is_header and below and len(below[0].cells) > 1 else 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_rows(archive: Archive, sheet: Sheet, texts: SharedTexts, count: int) -> list[Row]:
    found: list[Row] = []

    def on_row(row: Row) -> None:
        if row.cells:
            found.append(row)
        if len(found) == count:
            raise _EnoughRows

    reader = SheetReader(texts, on_row)
    with readable(archive, sheet.part):
        try:
            for chunk in archive.chunks(sheet.part):
                reader.feed(chunk)
            reader.close()
        except _EnoughRows:
            pass
    return found


@dataclass(frozen=True, slots=True)
class _Size:
    """How far a sheet reaches; ``filled`` rows hold a value."""

    columns: int
    rows: int
    filled: int


def _measure(archive: Archive, texts: SharedTexts, table: _Table) -> _Size:
    filled = 0

    def on_row(row: Row) -> None:
        nonlocal filled
        filled += row.number >= table.row

    reader = SheetReader(texts, on_row, frozenset())
    with readable(archive, table.sheet.part):
        for chunk in archive.chunks(table.sheet.part):
            reader.feed(chunk)
        reader.close()
    return _Size(reader.last_column, reader.last_row, filled)


class _Cells:
    """Writes cells as XML; the number of the row is filled in later, where a mark stands for it."""

    def __init__(self, mapping: Mapping, size: _Size, table: _Table) -> None:
        """Raises ``InputError`` if the sheet has no room."""
        count = sum(len(entry.columns) for entry in mapping)
        self.last_column = size.columns + count
        if self.last_column > MAX_COLUMNS:
            raise InputError(
                "column-names",
                "The sheet has no room for more columns",
                f"The sheet {table.sheet.name!r} is used up to column {column_letters(size.columns)}; "
                f"{count} more do not fit.",
                expected=f"a sheet with at most {MAX_COLUMNS - count:,} used columns",
            )
        self._first: dict[ColumnMapping, int] = {}
        at = size.columns + 1
        for entry in mapping:
            self._first[entry] = at
            at += len(entry.columns)
        self._mapping = mapping
        self._style = table.style
        self._cut = 0

    def header(self) -> bytes:
        """The names of the added columns, in the style of the last name before them."""
        style = f' s="{int(self._style)}"' if self._style and self._style.isdecimal() else ""
        return b"".join(
            self._cell(self._first[entry] + index, name, style)
            for entry in self._mapping
            for index, name in enumerate(entry.added)
        )

    def render(self, entry: ColumnMapping, rows: Rows) -> pa.Array:
        """The cells added to a row; none for no value."""
        first = self._first[entry]
        return pa.array(
            [b"".join(self._cell(first + index, value) for index, value in enumerate(row or ())) for row in rows],
            pa.large_binary(),
        )

    def warnings(self) -> list[str]:
        """What did not fit."""
        if not self._cut:
            return []
        return [f"{self._cut:,} added texts are longer than the {_MAX_TEXT:,} characters of a cell and were cut off."]

    def _cell(self, column: int, value: Scalar, style: str = "") -> bytes:
        if value is None or value == "":
            return b""
        start = f'<c r="{column_letters(column)}'.encode() + _ROW_MARK + f'"{style}'.encode()
        if isinstance(value, bool):
            return start + b' t="b"><v>%d</v></c>' % value
        if isinstance(value, (int, float)) and abs(value) < _EXACT:
            return start + f"><v>{value!r}</v></c>".encode()
        text = harmless(value) if isinstance(value, str) else repr(value)
        self._cut += len(text) > _MAX_TEXT
        inside = xml_text(text[:_MAX_TEXT])
        return start + f' t="inlineStr"><is><t xml:space="preserve">{inside}</t></is></c>'.encode()


class _Splicer:
    """Passes a sheet's XML through and puts cells before the end tags of its rows."""

    def __init__(
        self, run: Run, archive: Archive, texts: SharedTexts, table: _Table, size: _Size, cells: _Cells, joiner: Joiner
    ) -> None:
        self._run = run
        self._archive = archive
        self._table = table
        self._size = size
        self._cells = cells
        self._joiner = joiner
        self._places = [table.place(entry.column) for entry in run.mapping]
        self._rows: list[Row] = []
        self._reader = SheetReader(texts, self._on_row, frozenset(self._places))
        self._held = bytearray()
        self._base = 0
        self._written = 0

    def write(self, write: Callable[[bytes], object]) -> None:
        """Write the sheet, some rows at a time."""
        for chunk in self._archive.chunks(self._table.sheet.part):
            self._held += chunk
            self._reader.feed(chunk)
            if len(self._rows) >= _BATCH_ROWS or len(self._held) >= self._run.limits.block:
                write(self._fitting(self._flush()))
            if self._reader.fed - self._base > self._run.limits.record + self._run.limits.block:
                raise InputError(
                    "record-too-long",
                    "A row is too long",
                    f"A row after row {self._reader.last_row:,} of the sheet {self._table.sheet.name!r} is too long.",
                    expected=f"rows of at most {self._run.limits.record >> 20} MB",
                )
        self._reader.close()
        write(self._flush())
        write(bytes(self._held))

    def _fitting(self, data: bytes) -> bytes:
        """``data``, if a part without ZIP64 has room for it."""
        self._written += len(data)
        if self._written > _MAX_PART:
            raise InputError(
                "file-too-large",
                "The file becomes too large",
                f"The sheet {self._table.sheet.name!r} has more than 2 GB once the columns are added.",
                expected="fewer rows or fewer columns; larger tables can be sent as CSV or Parquet",
            )
        return data

    def _on_row(self, row: Row) -> None:
        if row.number >= self._table.row:
            self._rows.append(row)

    def _flush(self) -> bytes:
        """What has been read up to the last whole row, with cells added."""
        parts: list[bytes] = []
        at = 0
        for position, length, text in self._edits():
            parts += [bytes(self._held[at : position - self._base]), text]
            at = position - self._base + length
        # Without a row, the start of the sheet (column widths, views) or its end (merged cells, formats) goes through.
        if not self._rows and not parts:
            at = max(0, self._reader.position - self._base)
            parts.append(bytes(self._held[:at]))
        del self._held[:at]
        self._base += at
        self._rows.clear()
        return b"".join(parts)

    def _edits(self) -> Iterator[tuple[int, int, bytes]]:
        """Position, length of what goes, and what comes, in order."""
        start = self._reader.dimension
        if start is not None and start >= self._base:
            tag_end = self._held.find(b">", start - self._base) + 1
            tag = bytes(self._held[start - self._base : tag_end])
            closing = b"/>" if tag.endswith(b"/>") else b">"
            reference = (
                f'<{self._reader.prefix}dimension ref="A1:{column_letters(self._cells.last_column)}{self._size.rows}"'
            )
            yield start, len(tag), reference.encode() + closing
        data = self._rows[1:] if self._rows and self._rows[0].number == self._table.row else self._rows
        if len(data) < len(self._rows):
            yield self._edit(self._rows[0], self._cells.header())
        if data:
            keys = [clean_keys(pa.array([row.cells.get(place) for row in data], pa.string())) for place in self._places]
            added = [part.to_pylist() for part in self._joiner.join(keys, [row.number for row in data])]
            for index, row in enumerate(data):
                yield self._edit(row, b"".join(part[index] for part in added))
            self._run.advance(len(data), self._run.source.tell())

    def _edit(self, row: Row, cells: bytes) -> tuple[int, int, bytes]:
        cells = cells.replace(_ROW_MARK, str(row.number).encode())
        prefix = self._reader.prefix.encode()
        return row.end, 0, _prefixed(cells, prefix) if prefix else cells


def _prefixed(cells: bytes, prefix: bytes) -> bytes:
    """Cells as a file writes them whose elements have a prefix; text has no bare < that could be taken for a tag."""
    return cells.replace(b"</", b"\0").replace(b"<", b"<" + prefix).replace(b"\0", b"</" + prefix)

"""Passes a sheet's XML through and puts cells into its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from application.engine.core.errors import InputError
from application.engine.core.join import Joiner, clean_keys
from application.engine.core.model import ColumnMapping
from application.engine.core.run import Run
from application.engine.office.archive import Archive
from application.engine.office.xlsx.book import Book
from application.engine.office.xlsx.cells import Cells, letters_of, placed, prefixed, styled
from application.engine.office.xlsx.find import Header
from application.engine.office.xlsx.parts import tag_at, with_attribute
from application.engine.office.xlsx.ranges import Area, Growth, column_letters
from application.engine.office.xlsx.sheet import Row, SheetReader
from application.engine.office.xlsx.texts import SharedTexts

_BATCH_ROWS = 4096
_MAX_PART = 2_000_000_000
_MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one sheet.

    ``entries`` are the mapping's entries by their number, with the column of their keys. ``before`` is the table,
    ``first`` and ``last`` the columns that are added, ``totals`` the rows below the data that have no keys.
    """

    header: Header
    entries: dict[int, tuple[ColumnMapping, int]]
    before: Area
    first: int
    last: int
    totals: range
    rows: int

    @property
    def growth(self) -> Growth:
        """How ranges that belong to the table grow."""
        return Growth(self.before, self.last)

    @property
    def places(self) -> frozenset[int]:
        """The columns of the keys."""
        return frozenset(place for _, place in self.entries.values())


class Splicer:
    """Writes one sheet, some rows at a time."""

    def __init__(
        self, run: Run, archive: Archive, book: Book, plan: Plan, texts: SharedTexts, cells: Cells, joiner: Joiner
    ) -> None:
        self._run = run
        self._archive = archive
        self._plan = plan
        self._texts = texts
        self._cells = cells
        self._joiner = joiner
        self._letters: dict[int, tuple[int, list[bytes]]] = {}
        at = plan.first
        for index, (entry, _) in plan.entries.items():
            self._letters[index] = (at, letters_of(at, len(entry.columns)))
            at += len(entry.columns)
        self._rows: list[Row] = []
        self._recalculates = book.recalculates
        self._reader = SheetReader(self._on_row, book.formats, plan.places, (plan.first, plan.last), is_checked=True)
        self._held = bytearray()
        self._base = 0
        self._written = 0
        self._unknown: list[str] = []
        self._unknown_count = 0

    def write(self, write: Callable[[bytes], object]) -> None:
        """Write the sheet."""
        sheet = self._plan.header.sheet
        for chunk in self._archive.chunks(sheet.part):
            self._held += chunk
            self._reader.feed(chunk)
            if len(self._rows) >= _BATCH_ROWS or len(self._held) >= self._run.limits.block:
                write(self._fitting(self._flush()))
            if self._reader.fed - self._base > self._run.limits.record + self._run.limits.block:
                raise InputError(
                    "record-too-long",
                    "A row is too long",
                    f"A row after row {self._reader.last_row:,} of the sheet {sheet.name!r} is too long.",
                    expected=f"rows of at most {self._run.limits.record >> 20} MB",
                )
        self._reader.close()
        write(self._flush())
        write(bytes(self._held))
        if self._unknown:
            more = self._unknown_count - len(self._unknown)
            named = ", ".join(self._unknown) + (f" and {more:,} more" if more else "")
            self._run.warnings.append(
                f"The keys in the cells {named} of the sheet {sheet.name!r} are formulas without a stored result, so "
                "they were not looked up. Open the file in Excel, save it, and send it again."
            )

    def _fitting(self, data: bytes) -> bytes:
        """``data``, if a part without ZIP64 has room for it."""
        self._written += len(data)
        if self._written > _MAX_PART:
            raise InputError(
                "file-too-large",
                "The file becomes too large",
                f"The sheet {self._plan.header.sheet.name!r} has more than 2 GB once the columns are added.",
                expected="fewer rows or fewer columns; larger tables can be sent as CSV or Parquet",
            )
        return data

    def _on_row(self, row: Row) -> None:
        if row.number >= self._plan.header.row.number and row.number not in self._plan.totals:
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
            tag = tag_at(self._held, start - self._base)
            reach = f"A1:{column_letters(self._plan.last)}{max(self._plan.rows, self._plan.before.bottom)}"
            yield start, len(tag), with_attribute(tag, "ref", reach)
        is_header = bool(self._rows) and self._rows[0].number == self._plan.header.row.number
        if is_header:
            yield self._edit(self._rows[0], self._header())
        if data := self._rows[is_header:]:
            yield from self._data(data)
        for found in self._reader.ranges:
            growth = self._plan.growth
            is_filter = found.attribute == "ref"
            new = growth.filter(found.reference) if is_filter else growth.across(found.reference)
            if new != found.reference:
                tag = tag_at(self._held, found.position - self._base)
                yield found.position, len(tag), with_attribute(tag, found.attribute, new)
            elif is_filter and (area := Area.parse(new)) and area.top <= self._plan.before.bottom:
                self._run.warnings.append(outside("filter", area, self._plan))
        self._reader.ranges.clear()

    def _header(self) -> dict[int, bytes]:
        row = self._plan.header.row
        style = row.styles.get(self._plan.before.right)
        return {index: self._cells.header(entry, style) for index, (entry, _) in self._plan.entries.items()}

    def _data(self, rows: Sequence[Row]) -> Iterator[tuple[int, int, bytes]]:
        nothing = pa.array([], pa.string())
        keys = [nothing] * len(self._run.mapping)
        for index, (_, place) in self._plan.entries.items():
            keys[index] = clean_keys(pa.array(self._keys(rows, place), pa.string()))
        added = [part.to_pylist() for part in self._joiner.join(keys, [row.number for row in rows])]
        for number, row in enumerate(rows):
            yield self._edit(row, {index: added[index][number] for index in self._plan.entries})
        self._run.advance(len(rows), self._run.source.tell())

    def _keys(self, rows: Sequence[Row], place: int) -> list[str | None]:
        """The texts of keys, without those that nobody has worked out yet."""
        shared = iter(self._texts.of([row.shared[place] for row in rows if place in row.shared]))
        return [next(shared) if place in row.shared else self._own_key(row, place) for row in rows]

    def _own_key(self, row: Row, place: int) -> str | None:
        if place in row.unknown:
            self._unknown_count += 1
            if len(self._unknown) < _MAX_NAMED:
                self._unknown.append(f"{column_letters(place)}{row.number}")
            return None
        return row.cells.get(place)

    def _edit(self, row: Row, cells: dict[int, bytes]) -> tuple[int, int, bytes]:
        number = str(row.number).encode()
        parts = []
        for index, (first, letters) in self._letters.items():
            rendered = cells[index]
            if row.styles:
                own = {at: style for at, style in row.styles.items() if first <= at < first + len(letters)}
                rendered = styled(rendered, first, own) if own else rendered
            parts.append(placed(rendered, letters, number))
        text = b"".join(parts)
        prefix = self._reader.prefix.encode()
        start = row.end if row.cut is None else row.cut
        end = row.end if row.cut is None else (row.resume or row.end)
        return start, end - start, prefixed(text, prefix) if prefix else text


def outside(what: str, area: Area, plan: Plan) -> str:
    """A warning that sorting would mix up data."""
    new = Area(plan.first, plan.before.top, plan.last, plan.before.bottom)
    return (
        f"The {what} on the sheet {plan.header.sheet.name!r} covers {area}; the added columns {new} are outside of it. "
        f"Sorting by the {what} moves its rows without them: select all columns before you sort."
    )

"""Finds where a workbook's tables are: the sheets and header rows that have keys of departments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from application.engine.core.errors import InputError
from application.engine.core.evidence import CERTAIN, POSSIBLE, key_pattern, weigh
from application.engine.core.head import empty_file, no_rows, told_apart
from application.engine.core.model import DatasetInfo, DetectedSheet
from application.engine.office.archive import Archive
from application.engine.office.package import readable
from application.engine.office.xlsx.book import Book, Sheet
from application.engine.office.xlsx.sheet import Row, SheetReader
from common.file_options import FileOptions

_HEADER_ROWS = 30
_SAMPLED = 50
_MOST_SHEETS = 64
_MOST_CELLS = 200_000
"""Of all sheets together, each of which is an object: some tens of megabytes."""
_FITTING = 0.3
_UNFIT = 0.4


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a column is to be: ``column`` is its name, or any if there is none."""

    column: str | None
    dataset: DatasetInfo


@dataclass(frozen=True, slots=True)
class Header:
    """A table's header: ``names`` are the columns' names by their number in the sheet, each once.

    ``row`` has the number 0 where the table has no header row.
    """

    sheet: Sheet
    row: Row
    names: dict[int, str]
    rows: tuple[Row, ...]

    def place(self, column: str) -> int:
        """The number of a column in the sheet."""
        return next(place for place, name in self.names.items() if name == column)


class _EnoughRows(Exception):
    """As much of a sheet has been read as is needed."""


def find_headers(
    archive: Archive, book: Book, wanted: Sequence[Wanted], rows: int, options: FileOptions
) -> tuple[list[Header], tuple[DetectedSheet, ...]]:
    """The tables that have keys, in the order of their sheets, each with its first ``rows`` rows below the header.

    And what was found on each sheet that was looked at.

    If no sheet has a column that looks like keys, it is the first sheet with a header and a row below it.
    Raises ``InputError``.
    """
    sheets = book.sheets[:_MOST_SHEETS] if options.sheet is None else [_chosen(book, options.sheet)]
    top = max(_HEADER_ROWS, options.header_row or 0)
    heads = _first_rows(archive, book, sheets, max(rows, _SAMPLED) + top)
    found = [_header(sheet, head, wanted, options) for sheet, head in zip(sheets, heads, strict=True)]
    best = max((score for score, _ in found), default=0.0)
    least = CERTAIN if best >= CERTAIN else best
    with_keys = [header for score, header in found if header is not None and score >= max(least, POSSIBLE)]
    chosen = with_keys or [header for _, header in found if header is not None][:1]
    if not chosen:
        if options.header_row is not None and any(heads):
            raise _no_such_row(options.header_row, sheets)
        raise no_rows() if any(heads) else empty_file()
    used = {header.sheet.place for header in chosen}
    detected = tuple(
        DetectedSheet(
            sheet.name,
            header.row.number or None if header else None,
            has_keys=header is not None and score >= POSSIBLE,
            used=sheet.place in used,
        )
        for sheet, (score, header) in zip(sheets, found, strict=True)
    )
    return [Header(header.sheet, header.row, header.names, header.rows[:rows]) for header in chosen], detected


def _chosen(book: Book, wanted: str | int) -> Sheet:
    """The sheet of a name, or else of a number from 1."""
    same = [sheet for sheet in book.sheets if sheet.name.casefold() == str(wanted).casefold()]
    number = int(wanted) if isinstance(wanted, int) or (wanted.isascii() and wanted.isdigit()) else 0
    if isinstance(wanted, str) and same:
        return same[0]
    if 1 <= number <= len(book.sheets):
        return book.sheets[number - 1]
    names = ", ".join(f"{place} {sheet.name!r}" for place, sheet in enumerate(book.sheets[:50], start=1))
    raise InputError(
        "unknown-sheet",
        "There is no such sheet",
        f"The workbook has no visible sheet {wanted!r}. It has: {names}.",
        field="options.sheet",
        expected=f"the name or number of one of: {names}",
    )


def _no_such_row(row: int, sheets: Sequence[Sheet]) -> InputError:
    names = ", ".join(repr(sheet.name) for sheet in sheets[:20])
    return InputError(
        "no-header",
        "The header row is not in the sheet",
        f"Row {row:,} has no names of columns with a row below it, on any of the sheets {names}.",
        row=row,
        field="options.header_row",
        expected="the number of the row with the names of the columns, as the sheet shows it",
    )


def _first_rows(archive: Archive, book: Book, sheets: Sequence[Sheet], count: int) -> list[list[Row]]:
    """The first rows of each sheet that hold a value, with all their texts."""
    share = _MOST_CELLS // len(sheets)
    heads = [_rows_of(archive, book, sheet, count, share) for sheet in sheets]
    sizes = [sum(_size(row) for row in head) for head in heads]
    wide = [place for place, size in enumerate(sizes) if size > share]
    if len(wide) < len(sheets):
        # They get what the others leave: a header row and its keys may be no more than begun.
        left = _MOST_CELLS - sum(size for size in sizes if size <= share)
        for place in wide:
            heads[place] = _rows_of(archive, book, sheets[place], count, left // len(wide))
    texts = book.texts(number for head in heads for row in head for number in row.shared.values())
    for row in (row for head in heads for row in head):
        cells = {**row.cells, **{place: text for place, number in row.shared.items() if (text := texts[number])}}
        row.cells = dict(sorted(cells.items()))
    return heads


def _rows_of(archive: Archive, book: Book, sheet: Sheet, count: int, most: int) -> list[Row]:
    found: list[Row] = []
    cells = 0

    def on_row(row: Row) -> None:
        nonlocal cells
        found.append(row)
        cells += _size(row)
        if len(found) == count or cells > most:
            raise _EnoughRows

    reader = SheetReader(on_row, book.formats)
    with readable(archive, sheet.part):
        try:
            for chunk in archive.chunks(sheet.part):
                reader.feed(chunk)
            reader.close()
        except _EnoughRows:
            pass
    return found


def _size(row: Row) -> int:
    return len(row.cells) + len(row.shared)


def _header(
    sheet: Sheet, head: Sequence[Row], wanted: Sequence[Wanted], options: FileOptions
) -> tuple[float, Header | None]:
    """The header of a sheet, and how much speaks for its having keys; none if no row is below it."""
    if options.no_header:
        last = max((place for row in head for place in row.cells), default=0)
        names = Row(0, cells={place: f"column_{place}" for place in range(1, last + 1)})
        head = [names, *head]
        return _score(head, 0, wanted), _made(sheet, head, 0)
    if options.header_row is not None:
        at = next((place for place, row in enumerate(head) if row.number == options.header_row), None)
        return (0.0, None) if at is None else (_score(head, at, wanted), _made(sheet, head, at))
    tops = list(range(min(len(head), _HEADER_ROWS)))
    # Below a row with the name of a key, a row of data may have values that look like keys as well.
    named = [place for place in tops if _is_named(head[place], wanted)]
    candidates = [(_score(head, place, wanted), min(len(head[place].cells), 2), -place) for place in named or tops]
    score, _, place = max(candidates, default=(0.0, 0, 0))
    return score, _made(sheet, head, -place if score >= POSSIBLE else _titles(head))


def _made(sheet: Sheet, head: Sequence[Row], place: int) -> Header | None:
    below = tuple(head[place + 1 :])
    if not below or not head[place].cells:
        return None
    return Header(sheet, head[place], _names(head[place]), below)


def _names(row: Row) -> dict[int, str]:
    """The columns' names by their number, as far as the header reaches: what stands beside a table is none of them."""
    places = range(min(row.cells, default=1), max(row.cells, default=0) + 1)
    return dict(zip(places, told_apart([row.cells.get(place, "") for place in places]), strict=True))


def _is_named(row: Row, wanted: Sequence[Wanted]) -> bool:
    """Whether a row has the name of a key."""
    return any(
        entry.column == name if entry.column is not None else bool(weigh(name, (), entry.dataset).score)
        for name in _names(row).values()
        for entry in wanted
    )


def _score(head: Sequence[Row], place: int, wanted: Sequence[Wanted]) -> float:
    """How much speaks for a row being the header of a column of keys."""
    best = 0.0
    below = head[place + 1 : place + 1 + _SAMPLED]
    for at, name in _names(head[place]).items():
        values = [text.strip() for row in below if (text := row.cells.get(at, "")).strip()]
        for entry in wanted:
            pattern = key_pattern(entry.dataset)
            if entry.column is None:
                is_key = pattern is not None and pattern.search(name.strip()) is not None
                best = max(best, 0.0 if is_key else weigh(name, values, entry.dataset).score)
            elif entry.column == name:
                fits = sum(pattern.search(value) is not None for value in values) if pattern else len(values)
                best = max(best, 1.0 if not values or fits >= _FITTING * len(values) else _UNFIT)
    return best


def _titles(rows: Sequence[Row]) -> int:
    """How many lines with one cell each stand above a header that has several names and a row below it."""
    count = next((index for index, row in enumerate(rows[:_HEADER_ROWS]) if len(row.cells) > 1), 0)
    header, below = rows[count : count + 1], rows[count + 1 : count + 2]
    is_header = header and not any(_is_number(text) for text in header[0].cells.values())
    return count if is_header and below and len(below[0].cells) > 1 else 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

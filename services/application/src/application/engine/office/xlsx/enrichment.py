"""XLSX: cells are added at the end of the rows of each sheet that has keys; what else there is stays, byte by byte."""

from __future__ import annotations

import zipfile
from array import array
from collections.abc import Mapping, Sequence

from application.engine.core.errors import InputError
from application.engine.core.head import Head, check_mapping
from application.engine.core.model import DatasetInfo, Detected, Format, Limits, Source
from application.engine.core.run import Run
from application.engine.office.archive import Archive
from application.engine.office.package import readable
from application.engine.office.xlsx.book import MAX_SMALL_PART, Book
from application.engine.office.xlsx.cells import Cells, is_day
from application.engine.office.xlsx.find import Header, Wanted, find_headers
from application.engine.office.xlsx.number_formats import with_date_styles
from application.engine.office.xlsx.parts import grown_names, grown_table
from application.engine.office.xlsx.ranges import MAX_COLUMNS, Area, column_letters
from application.engine.office.xlsx.sheet import Row, SheetReader
from application.engine.office.xlsx.splice import Plan, Splicer, outside
from application.engine.office.xlsx.texts import SharedTexts
from common.file_options import FileOptions


def read_head(
    source: Source,
    datasets: Sequence[DatasetInfo],
    given: Mapping[str, Sequence[str]] | None,
    options: FileOptions,
    limits: Limits,
    rows: int,
) -> Head:
    """The columns and first rows of the sheets that would be enriched; a column of one sheet is empty in the others."""
    wanted = [Wanted(None, dataset) for dataset in datasets]
    if given:
        known = {str(dataset.ref): dataset for dataset in datasets}
        wanted = [Wanted(name, known[ref]) for name, refs in given.items() for ref in refs if ref in known]
    with Archive(source, limits, "XLSX", limits.workbook) as archive:
        headers, sheets = find_headers(archive, Book(archive), wanted, rows, options)
    columns = tuple(dict.fromkeys(name for header in headers for name in header.names.values()))
    found: list[tuple[str | None, ...]] = []
    for header in headers:
        places = {name: place for place, name in header.names.items()}
        found += [
            tuple(row.cells.get(places[name]) if name in places else None for name in columns)
            for row in header.rows[: max(1, rows // len(headers))]
        ]
    return Head(columns, tuple(found), Detected(Format.XLSX.value, sheets=sheets))


def enrich_xlsx(run: Run) -> None:
    """Write the workbook of ``run`` with the added cells."""
    with Archive(run.source, run.limits, "XLSX", run.limits.workbook) as archive:
        book = Book(archive)
        wanted = [Wanted(entry.column, entry.dataset) for entry in run.mapping]
        headers, _ = find_headers(archive, book, wanted, 1, run.options)
        check_mapping([name for header in headers for name in header.names.values()], run.mapping)
        plans: list[Plan] = []
        edits: dict[str, bytes] = {}
        numbers = array("I")
        for header in headers:
            plan, size = _planned(run, archive, book, header)
            plans.append(plan)
            numbers += size.numbers
            run.total_rows = (run.total_rows or 0) + size.filled
            edits |= _grown_tables(run, archive, book, plan)
        edits |= _grown_workbook(archive, book, plans)
        styles: dict[int, str] = {}
        if book.styles is not None and any(is_day(column.type) for entry in run.mapping for column in entry.columns):
            with readable(archive, book.styles):
                edits[book.styles], styles = with_date_styles(archive.read(book.styles, MAX_SMALL_PART))
        _say_which(run, book, plans)
        _write(run, archive, book, plans, edits, book.texts(numbers), Cells(book.formats, styles))


def _write(
    run: Run,
    archive: Archive,
    book: Book,
    plans: Sequence[Plan],
    edits: Mapping[str, bytes],
    texts: SharedTexts,
    cells: Cells,
) -> None:
    by_part = {plan.header.sheet.part: plan for plan in plans}
    with (
        zipfile.ZipFile(run.sink, "w", zipfile.ZIP_DEFLATED) as output,
        run.joiner_for(cells.render) as joiner,
    ):
        for name in archive.names:
            # Not as ZIP64, which Excel refuses in an archive that was written as a stream.
            with output.open(archive.copy_info(name), "w") as part:
                if name in by_part:
                    with readable(archive, name):
                        Splicer(run, archive, book, by_part[name], texts, cells, joiner).write(part.write)
                elif name in edits:
                    part.write(edits[name])
                else:
                    for chunk in archive.chunks(name):
                        part.write(chunk)
    run.warnings.extend(cells.warnings())


class _Size:
    """How far the rows of a sheet reach from its header on; ``numbers`` are of the shared texts of its keys."""

    def __init__(self, header: Header, totals: range) -> None:
        self._first = header.row.number
        self._totals = totals
        self.column = max(header.names)
        self.row = 0
        self.filled = 0
        self.numbers = array("I")

    def add(self, row: Row) -> None:
        """Take in a row."""
        self.row = max(self.row, row.number)
        if row.number < self._first:
            return
        self.column = max(self.column, row.last_value)
        if row.number not in self._totals:
            self.filled += row.number > self._first
            self.numbers.extend(row.shared.values())


def _planned(run: Run, archive: Archive, book: Book, header: Header) -> tuple[Plan, _Size]:
    """What is to be done with a sheet. Raises ``InputError`` if it has no room."""
    names = set(header.names.values())
    entries = {
        index: (entry, header.place(entry.column)) for index, entry in enumerate(run.mapping) if entry.column in names
    }
    tables = book.tables(header.sheet)
    table = next((table for table in tables if _is_header_of(table.area, header)), None)
    totals = range(table.area.bottom - table.totals + 1, table.area.bottom + 1) if table else range(0)
    size = _Size(header, totals)
    reader = SheetReader(size.add, book.formats, {place for _, place in entries.values()})
    with readable(archive, header.sheet.part):
        for chunk in archive.chunks(header.sheet.part):
            reader.feed(chunk)
        reader.close()
    merged = [area.right for area in reader.merged if area.bottom >= header.row.number]
    column = max([size.column, *merged, *(table.area.right for table in tables)])
    count = sum(len(entry.columns) for entry, _ in entries.values())
    if column + count > MAX_COLUMNS:
        raise InputError(
            "column-names",
            "The sheet has no room for more columns",
            f"The sheet {header.sheet.name!r} is used up to column {column_letters(column)}; {count} more do not fit.",
            expected=f"a sheet with at most {MAX_COLUMNS - count:,} used columns",
        )
    before = Area(min(header.names), header.row.number or 1, column, table.area.bottom if table else size.row)
    return Plan(header, entries, before, column + 1, column + count, totals, size.row), size


def _is_header_of(area: Area, header: Header) -> bool:
    return area.top == header.row.number and area.left <= max(header.names) and area.right >= min(header.names)


def _grown_tables(run: Run, archive: Archive, book: Book, plan: Plan) -> dict[str, bytes]:
    """The parts of the tables that get the added columns."""
    added = [name for entry, _ in plan.entries.values() for name in entry.added]
    parts: dict[str, bytes] = {}
    for table in book.tables(plan.header.sheet):
        if table.area.bottom < plan.before.top or table.area.top > plan.before.bottom:
            continue
        if _is_header_of(table.area, plan.header) and table.area.right == plan.before.right and table.can_grow(added):
            with readable(archive, table.part):
                parts[table.part] = grown_table(archive.read(table.part, MAX_SMALL_PART), plan.growth, added)
        else:
            run.warnings.append(outside(f"table {table.name!r}", table.area, plan))
    return parts


def _grown_workbook(archive: Archive, book: Book, plans: Sequence[Plan]) -> dict[str, bytes]:
    """The workbook's part, if a name in it stands for a table that gets columns."""
    with readable(archive, book.part):
        data = archive.read(book.part, MAX_SMALL_PART)
        grown = grown_names(data, {plan.header.sheet.name: plan.growth for plan in plans})
    return {} if grown == data else {book.part: grown}


def _say_which(run: Run, book: Book, plans: Sequence[Plan]) -> None:
    if len(book.sheets) > len(plans):
        named = " and ".join(f"{plan.header.sheet.name!r}" for plan in plans)
        kind = "sheets" if len(plans) > 1 else "sheet"
        others = len(book.sheets) - len(plans)
        run.warnings.append(f"Only the {kind} {named} got columns; {others} more stay as they are.")

"""The parts of a workbook: its sheets with their tables, its number formats, and the texts that sheets share."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from application.engine.office.archive import Archive
from application.engine.office.package import Relations, main_part, readable, relations_of
from application.engine.office.xlsx.number_formats import Formats
from application.engine.office.xlsx.parts import Table, read_table
from application.engine.office.xlsx.texts import SharedTexts
from application.engine.office.xml import elements

MAX_SMALL_PART = 8 << 20


@dataclass(frozen=True, slots=True)
class Sheet:
    """A visible worksheet: its place in the workbook, its name for people, and its part in the archive."""

    place: int
    name: str
    part: str


class Book:
    """A workbook: ``part`` is its own, ``styles`` that of its styles; ``recalculates`` when Excel opens it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        part = main_part(archive, "xl/workbook.xml")
        relations = relations_of(archive, part)
        with readable(archive, part):
            found = elements(archive.chunks(part))
        sheets = [attributes for kind, attributes in found if kind == "sheet"]
        self.sheets = [
            Sheet(place, attributes.get("name", ""), relation[1])
            for place, attributes in enumerate(sheets)
            if attributes.get("state", "visible") == "visible"
            and (relation := relations.get(attributes.get("id", ""), ("", "")))[0] == "worksheet"
        ]
        if not self.sheets:
            raise archive.corrupt("it has no visible worksheet")
        self.part = part
        self.recalculates = any(kind == "calcPr" and _is_true(a.get("fullCalcOnLoad")) for kind, a in found)
        self.styles = self._first(relations, "styles")
        self._texts = self._first(relations, "sharedStrings")
        from_1904 = any(kind == "workbookPr" and _is_true(a.get("date1904")) for kind, a in found)
        self.formats = Formats(from_1904=from_1904)
        if self.styles is not None:
            with readable(archive, self.styles):
                self.formats.load(archive.chunks(self.styles))

    def texts(self, wanted: Iterable[int]) -> SharedTexts:
        """The shared texts of these numbers. Raises ``InputError`` where the workbook has no such text."""
        texts = SharedTexts(wanted)
        if len(texts.numbers):
            with readable(self._archive, self._texts or "xl/sharedStrings.xml"):
                if self._texts is None:
                    raise KeyError
                texts.load(self._archive, self._texts)
        return texts

    def tables(self, sheet: Sheet) -> list[Table]:
        """The tables of a sheet."""
        found = []
        # A sheet without relations has no part for them.
        folder, name = posixpath.split(sheet.part.replace("\\", "/"))
        if self._archive.find(posixpath.join(folder, "_rels", f"{name}.rels")) is None:
            return []
        for kind, part in relations_of(self._archive, sheet.part).values():
            if kind == "table":
                with readable(self._archive, part):
                    table = read_table(part, self._archive.read(part, MAX_SMALL_PART))
                found += [table] if table else []
        return found

    def _first(self, relations: Relations, kind: str) -> str | None:
        parts = (part for found, part in relations.values() if found == kind)
        return next((part for part in parts if self._archive.find(part)), None)


def _is_true(value: str | None) -> bool:
    return value in {"1", "true"}

"""The parts of a workbook: which sheets there are, and the table of texts that they share."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from application.engine.archive import Archive
from application.engine.office_package import main_part, readable, relations_of
from application.engine.office_xml import Attributes, Feed, elements, local, new_parser


@dataclass(frozen=True, slots=True)
class Sheet:
    """A visible worksheet: its name for people, and its part in the archive."""

    name: str
    part: str


class Book:
    """A workbook's sheets in order, and its shared texts."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        workbook = main_part(archive, "xl/workbook.xml")
        relations = relations_of(archive, workbook)
        with readable(archive, workbook):
            found = [attributes for kind, attributes in elements(archive.chunks(workbook)) if kind == "sheet"]
        self.sheets = [
            Sheet(attributes.get("name", ""), relations[attributes.get("id", "")][1])
            for attributes in found
            if relations.get(attributes.get("id", ""), ("", ""))[0] == "worksheet"
            and attributes.get("state", "visible") == "visible"
        ]
        if not self.sheets:
            raise archive.corrupt("it has no visible worksheet")
        self._texts = next((target for kind, target in relations.values() if kind == "sharedStrings"), None)

    def texts(self) -> SharedTexts:
        """The texts that cells refer to by number."""
        texts = SharedTexts()
        if self._texts is not None and self._texts in self._archive.names:
            with readable(self._archive, self._texts):
                texts.load(self._archive, self._texts)
        return texts


class SharedTexts:
    """Texts by number, held as one run of UTF-8: a list of a million strings would take several times as much."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("Q", [0])

    def __getitem__(self, number: int) -> str:
        if number < 0:
            raise IndexError(number)
        return self._data[self._ends[number] : self._ends[number + 1]].decode("utf-8", "replace")

    def load(self, archive: Archive, part: str) -> None:
        """Read the table; phonetic hints are no part of a text."""
        parser = new_parser()
        path: list[str] = []

        def start(name: str, _: Attributes) -> None:
            path.append(local(name))

        def end(_: str) -> None:
            if path.pop() == "si":
                self._ends.append(len(self._data))

        def text(data: str) -> None:
            if path[-1] == "t" and "rPh" not in path:
                self._data.extend(data.encode())

        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text
        feed = Feed(parser, lambda: len(path))
        for chunk in archive.chunks(part):
            feed.feed(chunk)
        feed.close()

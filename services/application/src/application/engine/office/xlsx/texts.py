"""The texts that the sheets of a workbook share (ISO/IEC 29500-1, 18.4.8)."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from application.engine.office.archive import Archive
from application.engine.office.xlsx.scan import Scanner
from application.engine.office.xml import Attributes, Feed, local, new_parser, office_text, set_handlers

_MOST_HELD = 1 << 20
"""Of a text that has not ended: expat reads longer ones, within its own limits."""

_FIRST = re.compile(rb"<([^\s<>/:]+:)?si[\s>/]")


class _Enough(Exception):
    """As many texts have been read as are needed."""


class SharedTexts:
    """The texts of some numbers, held as one run of UTF-8: a million strings would take several times as much."""

    def __init__(self, numbers: Iterable[int]) -> None:
        """Texts of these ``numbers`` will be read."""
        given = numbers if isinstance(numbers, array) else array("I", numbers)
        # Of a column of a million keys, a set of Python's would take a hundred megabytes.
        self.numbers = np.unique(np.frombuffer(given, np.uint32)) if len(given) else np.array([], np.uint32)
        self._data = bytearray()
        self._ends = array("q", [0])
        self._texts: pa.Array = pa.array([], pa.large_string())

    def __getitem__(self, number: int) -> str:
        (text,) = self.of([number])
        return text

    def of(self, numbers: Sequence[int]) -> list[str]:
        """The texts of ``numbers``, all of which were given before."""
        wanted = np.array(numbers, np.uint32)
        places = np.searchsorted(self.numbers, wanted)
        if (self.numbers[places] != wanted).any():
            raise IndexError(numbers)
        found: list[str] = self._texts.take(pa.array(places)).to_pylist()
        return found

    def load(self, archive: Archive, part: str) -> None:
        """Read the table up to the last number."""
        reader = _TableReader(self)
        try:
            for chunk in archive.chunks(part):
                reader.feed(chunk)
            reader.close()
        except _Enough:
            pass
        if len(self._ends) <= len(self.numbers):
            raise IndexError(int(self.numbers[len(self._ends) - 1]))
        self._texts = pa.LargeStringArray.from_buffers(
            len(self.numbers), pa.py_buffer(self._ends), pa.py_buffer(self._data)
        )

    def wanted(self, first: int, count: int) -> list[int]:
        """Those numbers that are among ``count`` from ``first`` on."""
        start, end = np.searchsorted(self.numbers, [first, first + count])
        numbers: list[int] = self.numbers[start:end].tolist()
        return numbers

    def add(self, text: str) -> None:
        """Take in the text of the next number."""
        self._data.extend(office_text(text).encode("utf-8", "replace"))
        self._ends.append(len(self._data))
        if len(self._ends) > len(self.numbers):
            raise _Enough


class _TableReader:
    """Finds the texts in the table's bytes while these are written plainly; else expat tells them."""

    def __init__(self, texts: SharedTexts) -> None:
        self._texts = texts
        self._number = 0
        self._path: list[str] = []
        self._parts: list[str] = []
        self._is_wanted = False
        self._parser = new_parser()
        self._feed = Feed(self._parser, lambda: len(self._path))
        set_handlers(self._parser, self._start, self._end, self._text)
        self._scanner: Scanner | None = None
        self._unread = b""
        self._is_first = True

    def feed(self, data: bytes) -> None:
        """Read on."""
        data = self._unread + data
        self._unread = b""
        if self._is_first:
            found = _FIRST.search(data)
            if found is None and len(data) < _MOST_HELD:
                self._unread = data
                return
            self._is_first = False
            if found is not None:
                self._feed.feed(data[: found.start()])
                data = data[found.start() :]
                if len(self._path) == 1:
                    self._scanner = Scanner((found[1] or b"").decode())
                    set_handlers(self._parser)
        if self._scanner is not None:
            data = self._scan(self._scanner, data)
        if data:
            self._feed.feed(data)

    def close(self) -> None:
        """Say that there is no more."""
        set_handlers(self._parser, self._start, self._end, self._text)
        self._feed.feed(self._unread)
        self._feed.close()

    def _scan(self, scanner: Scanner, data: bytes) -> bytes:
        """Read the whole texts of ``data``; what is left is kept, or returned where the parser has to go on."""
        cut = data.rfind(scanner.text_end)
        end = data.find(b">", cut) + 1 if cut >= 0 else 0
        whole = data[:end]
        if b"<!" in whole or b"<?" in whole or scanner.empty_text in whole or len(data) - end > _MOST_HELD:
            self._scanner = None
            set_handlers(self._parser, self._start, self._end, self._text)
            return data
        self._feed.check(whole)
        self._unread = data[end:]
        texts = whole.split(scanner.text_end)
        for number in self._texts.wanted(self._number, len(texts) - 1):
            self._texts.add(scanner.text(texts[number - self._number]))
        self._number += len(texts) - 1
        return b""

    def _start(self, name: str, _: Attributes) -> None:
        self._path.append(local(name))
        if self._path[-1] == "si":
            self._is_wanted = bool(self._texts.wanted(self._number, 1))

    def _end(self, _: str) -> None:
        if self._path.pop() != "si":
            return
        if self._is_wanted:
            self._texts.add("".join(self._parts))
        self._is_wanted = False
        self._parts.clear()
        self._number += 1

    def _text(self, data: str) -> None:
        if self._is_wanted and self._path[-1] == "t" and "rPh" not in self._path:
            self._parts.append(data)

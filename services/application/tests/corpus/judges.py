"""What another reader than the engine finds in a file before and after its enrichment.

A judge chooses a key column from the file's own cells, so that each key has a match, and says what is wrong afterwards.
It shares no code with the engine. Readers: Python's csv and json, polars (pyarrow where that cannot), openpyxl, lxml.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import openpyxl
import polars
import pyarrow.parquet as pq
import pypdfium2
from lxml import etree

FOUND = "corpus-match"
"""What the data set has for each key."""
_DELIMITERS = ",;\t|"
_WORD = re.compile(r"(?<!\S)[A-Za-z][A-Za-z0-9]{3,}(?!\S)")
_PARAGRAPH = re.compile(r"(?<=\n\n)[A-Z][A-Za-z0-9 .,]+(?=\n\n)")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_TEXT = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}t"
Rows = list[list[str]]


@dataclass(frozen=True)
class Key:
    """The column to enrich and its values; ``column`` is empty for a document, whose one value is a word."""

    column: str
    values: frozenset[str]


def text_of(data: bytes) -> str:
    """The text of a file; one that is neither UTF-8 nor marked has a character for each byte."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data.decode(codec, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


class Judge(Protocol):
    """Another reader of one format."""

    def key(self, data: bytes) -> Key | None:
        """What to enrich; none where the file has nothing that could be a key."""
        ...

    def faults(self, before: bytes, after: bytes, key: Key, added: str) -> Iterator[str]:
        """What is wrong with ``after``, of which ``added`` is the column that was to be added."""
        ...


class Delimited:
    """Python's csv module, with the delimiter that stands most often in the header (or the one that is given).

    Lines above the header that start with ``#`` are comments. A header of one name less than all rows have cells is of
    R, which leaves the name of the first column out.
    """

    def __init__(self, delimiter: str = "") -> None:
        self._given = delimiter

    def key(self, data: bytes) -> Key | None:
        """The first column with a name of its own and a value."""
        header, rows = self._table(self._rows(data, self._delimiter(data)))
        for place, name in enumerate(header):
            values = frozenset(row[place].strip() for row in rows if len(row) > place) - {""}
            if values and name.strip() and name.isascii() and header.count(name) == 1:
                return Key(name, values)
        return None

    def faults(self, before: bytes, after: bytes, key: Key, added: str) -> Iterator[str]:
        """Cells that changed, and rows without what was to be added."""
        delimiter = self._delimiter(before)
        old, new = self._rows(before, delimiter), self._rows(after, delimiter)
        if len(old) != len(new):
            yield f"{len(old)} records became {len(new)}"
            return
        header, rows = self._table(old)
        above = len(old) - len(rows) - 1
        place = header.index(key.column)
        if new[above][-1] not in {added, f"'{added}"}:
            yield f"the last column is {new[above][-1]!r}"
        for number, (cells, written) in enumerate(zip(old, new, strict=True)):
            if written[: len(cells)] != cells:
                yield f"record {number}: {cells} became {written}"
            elif any(written[len(cells) : -1]):
                yield f"record {number} has more than was to be added: {written}"
            elif number > above and written[-1] != (FOUND if len(cells) > place and cells[place].strip() else ""):
                yield f"record {number} has {written[-1]!r} for {cells}"

    def _delimiter(self, data: bytes) -> str:
        bare = re.sub(r'"[^"]*"', "", text_of(data))
        header = next((line for line in bare.splitlines() if line.strip() and not line.startswith("#")), "")
        return self._given or max(_DELIMITERS, key=header.count)

    @staticmethod
    def _table(records: Rows) -> tuple[list[str], Rows]:
        """The header, with a name for each column, and the rows."""
        below = [number for number, record in enumerate(records) if not record[0].startswith("#")]
        if not below:
            return [], []
        header, rows = records[below[0]], records[below[0] + 1 :]
        from_r = bool(rows) and all(len(row) == len(header) + 1 for row in rows) and all(row[-1] for row in rows)
        return ["", *header] if from_r else header, rows

    @staticmethod
    def _rows(data: bytes, delimiter: str) -> Rows:
        return [row for row in csv.reader(io.StringIO(text_of(data), newline=""), delimiter=delimiter) if row]


class Json:
    """Python's json module, with all digits of numbers and all members of objects, in their order."""

    lines = False

    def key(self, data: bytes) -> Key | None:
        """The first member of the first list of objects that has a text or a whole number."""
        try:
            records: list[Any] = next(self._lists(self._read(data)), [])
        except ValueError:
            return None
        for name in {name: None for record in records for name, _ in record}:
            found = [value for record in records for other, value in record if other == name]
            values = frozenset(str(value).strip() for value in found if isinstance(value, str | int)) - {""}
            if values and not any(isinstance(value, bool | tuple | list) for value in found):
                return Key(name, values)
        return None

    def faults(self, before: bytes, after: bytes, key: Key, added: str) -> Iterator[str]:
        """Whether anything but the added members is different."""
        del key
        old, new = self._read(before), self._read(after)
        if self._without(new, added) != old:
            yield "what was there is different"
        if FOUND not in text_of(after):
            yield "no match was added"

    def _read(self, data: bytes) -> Any:
        text = text_of(data).removeprefix("\ufeff")
        read = json.JSONDecoder(object_pairs_hook=tuple, parse_float=Decimal).decode
        return [read(line) for line in text.splitlines() if line.strip()] if self.lines else read(text)

    def _lists(self, value: Any) -> Iterator[Any]:
        """Lists whose items are all objects; an object is a tuple of pairs."""
        if isinstance(value, list):
            if value and all(isinstance(item, tuple) for item in value):
                yield value
        elif isinstance(value, tuple):
            for _, member in value:
                yield from self._lists(member)

    def _without(self, value: Any, added: str) -> Any:
        if isinstance(value, list):
            return [self._without(item, added) for item in value]
        if isinstance(value, tuple):
            return tuple((name, self._without(member, added)) for name, member in value if name != added)
        return value


class JsonLines(Json):
    """As ``Json``, for each line."""

    lines = True


class Parquet:
    """Polars, or pyarrow where polars cannot read the file."""

    def key(self, data: bytes) -> Key | None:
        """The first column of texts or whole numbers."""
        try:
            table = pq.read_table(io.BytesIO(data))
        except (OSError, ValueError, NotImplementedError):
            return None
        for name in table.column_names:
            if table.column_names.count(name) > 1:
                continue
            column = table.column(name).to_pylist()
            values = frozenset(str(value).strip() for value in column if isinstance(value, str | int)) - {""}
            if values and not any(isinstance(value, bool) for value in column):
                return Key(name, values)
        return None

    def faults(self, before: bytes, after: bytes, key: Key, added: str) -> Iterator[str]:
        """Columns that changed in type or value, and rows without what was to be added."""
        try:
            old = polars.read_parquet(before)
        except BaseException as error:  # a panic of Rust is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            first, second = (pq.read_table(io.BytesIO(data)) for data in (before, after))
            if not second.select(range(len(first.column_names))).cast(first.schema).equals(first):
                yield "a column changed"
            return
        new = polars.read_parquet(after)
        kept = new.drop(added)
        if kept.schema != old.schema:
            yield f"the schema {old.schema} became {kept.schema}"
        elif not kept.equals(old):
            yield "a column changed"
        expected = [FOUND if value is not None and str(value).strip() else None for value in old[key.column]]
        if new[added].to_list() != expected:
            yield "not every row has what was to be added"


class Workbook:
    """Openpyxl: every cell of every sheet, with its format."""

    def key(self, data: bytes) -> Key | None:
        """The first text above texts or whole numbers, in the first sheet that has such."""
        try:
            book = openpyxl.load_workbook(io.BytesIO(data))
        except Exception:  # noqa: BLE001 - openpyxl fails by any exception
            return None
        for sheet in book.worksheets:
            rows = [row for row in sheet.iter_rows(values_only=True) if any(value is not None for value in row)]
            if len(rows) < 2:
                continue
            for place, name in enumerate(rows[0]):
                below = [row[place] for row in rows[1:]]
                values = frozenset(str(value).strip() for value in below if type(value) in {str, int}) - {""}
                if values and isinstance(name, str) and name.strip() and not any(v.startswith("=") for v in values):
                    return Key(name, values)
        return None

    def faults(self, before: bytes, after: bytes, key: Key, added: str) -> Iterator[str]:
        """Cells that changed, and whether anything was added."""
        del key
        old, new = (openpyxl.load_workbook(io.BytesIO(data)) for data in (before, after))
        if old.sheetnames != new.sheetnames:
            yield f"the sheets {old.sheetnames} became {new.sheetnames}"
        for sheet in old.worksheets:
            for row in sheet.iter_rows():
                for cell in row:
                    other = new[sheet.title][cell.coordinate]
                    if cell.value is not None and (self._value(cell.value), cell.number_format) != (
                        self._value(other.value),
                        other.number_format,
                    ):
                        yield f"{sheet.title}!{cell.coordinate}: {cell.value!r} became {other.value!r}"
        texts = {cell for sheet in new.worksheets for row in sheet.iter_rows(values_only=True) for cell in row}
        if not {FOUND, added} <= {text for text in texts if isinstance(text, str)}:
            yield "no match was added"

    @staticmethod
    def _value(value: Any) -> Any:
        """A formula's text where it is an object."""
        return (value.ref, value.text) if hasattr(value, "ref") and hasattr(value, "text") else value


class Text:
    """The text of a document, in which everything has to be left when notes are taken out."""

    def key(self, data: bytes) -> Key | None:
        """The first word of at least four letters and digits."""
        found = _WORD.search(self.text(data))
        return Key("", frozenset({found[0]})) if found else None

    def faults(self, before: bytes, after: bytes, key: Key, added: str) -> Iterator[str]:
        """Whether a character is missing or no note was added."""
        del key, added
        rest = iter(self.text(after))
        if not all(char in rest for char in self.text(before)):
            yield "a part of the text is missing"
        if FOUND not in self.text(after):
            yield "no note was added"

    def text(self, data: bytes) -> str:
        """What a person reads."""
        return text_of(data)


class Markdown(Text):
    """The text of a Markdown file; identifiers in code, links and front matter get no notes."""

    def key(self, data: bytes) -> Key | None:
        """The first word of the first line that is a paragraph without any markup."""
        for line in _PARAGRAPH.findall(self.text(data)):
            if found := _WORD.search(line):
                return Key("", frozenset({found[0]}))
        return None


class Docx(Text):
    """The texts of the body."""

    def text(self, data: bytes) -> str:
        """Paragraphs and tables in their order."""
        try:
            body = zipfile.ZipFile(io.BytesIO(data)).read("word/document.xml")
        except (KeyError, zipfile.BadZipFile):
            return ""
        return " ".join(node.text or "" for node in etree.fromstring(body).iter(_TEXT))


class Pdf(Text):
    """The texts of the pages; the file's bytes are the start of what comes back."""

    def faults(self, before: bytes, after: bytes, key: Key, added: str) -> Iterator[str]:
        """Whether the file is there, and as many pages can be read."""
        del key, added
        if not after.startswith(before):
            yield "bytes of the file changed"
        if len(pypdfium2.PdfDocument(after)) < len(pypdfium2.PdfDocument(before)):
            yield "pages are missing"

    def text(self, data: bytes) -> str:
        """The first pages' text."""
        try:
            document = pypdfium2.PdfDocument(data)
            return " ".join(document[page].get_textpage().get_text_range() for page in range(min(3, len(document))))
        except pypdfium2.PdfiumError:
            return ""


JUDGES: dict[str, Judge] = {
    "csv": Delimited(),
    "tsv": Delimited("\t"),
    "tab": Delimited("\t"),
    "json": Json(),
    "jsonl": JsonLines(),
    "ndjson": JsonLines(),
    "parquet": Parquet(),
    "xlsx": Workbook(),
    "docx": Docx(),
    "pdf": Pdf(),
    "md": Markdown(),
    "txt": Text(),
}

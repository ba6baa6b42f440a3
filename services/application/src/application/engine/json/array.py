"""JSON: an array of objects is streamed; members are added before each closing brace, all other text stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from application.engine.core.encoding import Encoding, detect_encoding, nul_error, read_text, utf8_error
from application.engine.core.errors import InputError
from application.engine.core.head import Head, check_mapping, column_collision, empty_file
from application.engine.core.join import clean_keys
from application.engine.core.model import Limits, Source
from application.engine.core.run import Run
from application.engine.json.values import (
    HeadRecords,
    InvalidJson,
    NotKeys,
    Object,
    collision,
    head_of,
    invalid_json,
    not_an_object,
    read_value,
    render_members,
    skip_space,
    too_deep,
)

_CHECKED_ROWS = 1000
_BATCH = 8192
_PIECE = 256 << 10
_INDENT = re.compile(r"\{([ \t\n\r]*)(?:\"(?:[^\"\\]|\\.)*\"[ \t\n\r]*:([ \t]*))?")


@dataclass(frozen=True, slots=True)
class _Item:
    """Raw text between the end of the item before and the end of this one; its object's braces are within."""

    text: str
    start: int
    value: Object


@dataclass(frozen=True, slots=True)
class _Tail:
    """The closing bracket and what is around it."""

    text: str


def read_head(source: Source, encoding: Encoding, limits: Limits, rows: int) -> Head:
    """The members of the first objects (fewer where they are long), in the order in which they first appear."""
    head = HeadRecords(rows, limits)
    for item in _Scanner(source, encoding, limits).items():
        if isinstance(item, _Tail) or not head.add(item.value, len(item.text)):
            break
    return head_of(head.records)


def enrich_json_array(run: Run) -> None:
    """Write the file of ``run`` with the added members."""
    encoding = detect_encoding(run.source, run.options.codec)
    if columns := read_head(run.source, encoding, run.limits, _CHECKED_ROWS).columns:
        check_mapping(columns, run.mapping)
    not_keys = NotKeys()
    run.sink.write(encoding.bom)
    items = _Scanner(run.source, encoding, run.limits).items()
    batch: list[_Item] = []
    size = 0
    with run.joiner_for(render_members(b":")) as joiner:

        def flush() -> None:
            for number, item in enumerate(batch, start=run.rows + 1):
                if (name := collision(item.value, run.mapping)) is not None:
                    raise column_collision(name, number)
            values = [item.value for item in batch]
            keys = [clean_keys(not_keys.keys(values, entry.column)) for entry in run.mapping]
            added = [part.to_pylist() for part in joiner.join(keys, range(run.rows + 1, run.rows + 1 + len(batch)))]
            texts = [_spliced(item, [part[index] for part in added]) for index, item in enumerate(batch)]
            run.sink.write(encoding.encode_json("".join(texts).encode()))
            run.advance(len(batch), run.source.tell())
            batch.clear()

        for item in items:
            if isinstance(item, _Tail):
                flush()
                run.sink.write(encoding.encode_json(item.text.encode()))
                continue
            batch.append(item)
            size += len(item.text)
            if len(batch) >= _BATCH or size >= run.limits.block:
                flush()
                size = 0
    run.warnings.extend(not_keys.warnings())


def _spliced(item: _Item, added: list[bytes]) -> str:
    """The item with members added in the way it is laid out itself."""
    text = item.text
    style = _INDENT.match(text, item.start)
    indent, space = (style.group(1), style.group(2) or "") if style else ("", "")
    members = "".join(part.decode() for part in added)
    if not item.value:
        return text[:-1] + members[1:] + "}"
    kept = text[:-1].rstrip(" \t\n\r")
    if indent or space:
        members = "".join(_laid_out(part, indent or " ", space) for part in added)
    return kept + members + text[len(kept) :]


@lru_cache(maxsize=4096)
def _laid_out(added: bytes, indent: str, space: str) -> str:
    """Members that are rendered without white space, with the white space of their neighbours."""
    parts: list[str] = []
    text = added.decode()
    at = 0
    while at < len(text):
        end = read_value(text, at + 1)[1]
        after = read_value(text, end + 1)[1]
        parts.append("," + indent + text[at + 1 : end] + ":" + space + text[end + 1 : after])
        at = after
    return "".join(parts)


class _Scanner:
    """Walks an array in a window of text that holds little more than one object."""

    def __init__(self, source: Source, encoding: Encoding, limits: Limits) -> None:
        self._pieces = _decoded(source, encoding)
        self._limits = limits
        self._text = ""
        self._start = 0
        self._at = 0
        self._line = 1
        self._wrapped = False

    def items(self) -> Iterator[_Item | _Tail]:
        """Each object of the array, then the tail. Raises ``InputError``."""
        self._open()
        row = 0
        while True:
            mark = self._peek(row)
            if mark == "]":
                yield self._close(row)
                return
            if row:
                if mark != ",":
                    raise self._invalid("a comma or ] is expected", row)
                self._at += 1
                mark = self._peek(row)
            row += 1
            yield self._object(mark, row)

    def _open(self) -> None:
        first = self._peek(0, at_start=True)
        if first == "":
            raise empty_file()
        if first == "{":
            self._enter()
        elif first == "[":
            self._at += 1
        else:
            raise _no_list("The file holds a single value.")

    def _enter(self) -> None:
        """Move into the member of the document's object that is a list of objects; without one, into an empty list."""
        self._wrapped = True
        empty = 0
        while True:
            self._at += 1
            if (mark := self._peek(1)) == "}":
                break
            if mark != '"':
                raise self._invalid("a name in quotes is expected", 1)
            self._at = self._value(1)[1]
            if self._peek(1) != ":":
                raise self._invalid("a colon is expected", 1)
            self._at += 1
            if self._peek(1) == "[":
                # Reading on lets go of no text, as long as no object is handed out.
                start = self._at
                self._at += 1
                first = self._peek(1)
                if first == "{":
                    return
                empty = empty or (self._at if first == "]" else 0)
                self._at = start
            self._at = self._value(1)[1]
            if self._peek(1) != ",":
                break
        if not empty:
            raise _no_list("The file holds one object, and none of its members is a list of objects.")
        self._at = empty

    def _object(self, mark: str, row: int) -> _Item:
        start = self._at
        line = self._line + self._text.count("\n", self._start, start)
        if mark not in "{" or not mark:
            value = self._value(row)[0]
            raise not_an_object(row, line if line != row else None, value)
        value, end = self._value(row)
        item = _Item(self._text[self._start : end], self._at - self._start, value)
        self._line += item.text.count("\n")
        self._start = self._at = end
        return item

    def _close(self, row: int) -> _Tail:
        self._at += 1
        while len(self._text) - self._start <= self._limits.record and self._more():
            pass
        if len(self._text) - self._start > self._limits.record and self._more():
            raise self._too_long(row)
        if self._wrapped:
            self._check_rest(row)
        elif skip_space(self._text, self._at) != len(self._text):
            raise self._invalid("there is more after the array", row)
        return _Tail(self._text[self._start :])

    def _check_rest(self, row: int) -> None:
        """See that the object around the list ends well and has no second list of objects."""
        rest = '{"":0' + self._text[self._at :]
        try:
            others, end = read_value(rest, 0)
        except InvalidJson as error:
            raise self._invalid(str(error), row, self._at + error.position - 5) from None
        if skip_space(rest, end) != len(rest):
            raise self._invalid("there is more after the document", row)
        firsts = {name: value[0] for name, value in others.items() if isinstance(value, list) and value}
        lists = [name for name, first in firsts.items() if isinstance(first, dict)]
        if lists:
            raise _no_list(f"The file has more than one list of objects; another one is {lists[0]!r}.")

    def _value(self, row: int) -> tuple[Object, int]:
        """The value at the position; reads on while it may only be cut off by the window."""
        while True:
            try:
                value, end = read_value(self._text, self._at)
            except InvalidJson as error:
                if error.deep:
                    raise too_deep(row, None) from None
                if (error.position > len(self._text) - 16 or self._open_text(error)) and self._grow(row):
                    continue
                raise self._invalid(str(error), row, error.position) from None
            # A number may go on in the next piece.
            if end < len(self._text) or not self._grow(row):
                return value, end

    def _grow(self, row: int) -> bool:
        """Read as much again as is waiting, so that a long value is not parsed from its start too often."""
        waiting = len(self._text) - self._at
        if waiting > self._limits.record:
            raise self._too_long(row)
        while len(self._text) - self._at < 2 * waiting and self._more():
            pass
        return len(self._text) - self._at > waiting

    @staticmethod
    def _open_text(error: InvalidJson) -> bool:
        return "Unterminated string" in str(error)

    def _peek(self, row: int, *, at_start: bool = False) -> str:
        """The next character that is not white space."""
        while True:
            self._at = skip_space(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if len(self._text) - self._start > self._limits.record:
                raise self._too_long(row + 1)
            if not self._more():
                if at_start:
                    return ""
                raise self._invalid("the file ends before the array does", max(row, 1))

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        # What has been handed out is let go here, once a piece, and not at each object.
        self._text = self._text[self._start :] + piece
        self._at -= self._start
        self._start = 0
        return True

    def _invalid(self, message: str, row: int, position: int | None = None) -> InputError:
        line = self._line + self._text.count("\n", self._start, self._at if position is None else position)
        return invalid_json(f"{message}, in line {line:,}", row, line if line != row else None, f"Record {row:,}")

    def _too_long(self, row: int) -> InputError:
        limit = self._limits.record >> 20
        return InputError(
            "record-too-long",
            "An object is too long",
            f"Object {row:,} of the array is longer than {limit} MB.",
            row=row,
            expected=f"objects of at most {limit} MB",
        )


def _no_list(detail: str) -> InputError:
    return InputError(
        "json-shape",
        "The file is not a list of objects",
        detail,
        row=1,
        expected='a list of objects, such as [{"id": "1"}] or {"data": [{"id": "1"}]}',
    )


def _decoded(source: Source, encoding: Encoding) -> Iterator[str]:
    """The text in pieces of whole characters. Raises ``InputError``."""
    held = b""
    offset = len(encoding.bom)
    line = 1
    for piece in read_text(source, encoding, _PIECE):
        data = held + piece
        try:
            text = data.decode()
            held = b""
        except UnicodeDecodeError as error:
            if len(data) - error.start > 3 or error.reason != "unexpected end of data":
                raise utf8_error(error, offset, None, line + data.count(b"\n", 0, error.start)) from None
            text, held = data[: error.start].decode(), data[error.start :]
        if "\0" in text:
            raise nul_error(line + text.count("\n", 0, text.index("\0")))
        line += text.count("\n")
        offset += len(data) - len(held)
        yield text
    if held:
        raise utf8_error(UnicodeDecodeError("utf-8", held, 0, len(held), "unexpected end of data"), offset, None, line)

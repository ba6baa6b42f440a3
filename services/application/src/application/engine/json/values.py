"""Reads JSON objects out of raw text and tells where each ends, so that members can be added and the rest kept."""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import orjson
import pyarrow as pa

from application.engine.core.cells import json_of
from application.engine.core.errors import InputError
from application.engine.core.head import Head
from application.engine.core.join import Rows
from application.engine.core.model import ColumnMapping, Limits

Object = dict[str, Any]
_SPACE = re.compile(r"[ \t\n\r]*")
_DEEPEST = 5
_MOST_PATHS = 16_384
_MOST_LATE = 100


class InvalidJson(ValueError):
    """Text that is not JSON; ``position`` is a character index; ``deep`` if it nests too deeply to be read."""

    def __init__(self, message: str, position: int, *, deep: bool = False) -> None:
        super().__init__(message)
        self.position = position
        self.deep = deep


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


# Numbers are kept as they are written: 1.10 and 20-digit identifiers must not change on their way into a look-up.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse)


def skip_space(text: str, at: int) -> int:
    """The index of the next character that is not white space."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def read_value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value at ``at`` and the index after it; numbers as the text they are. Raises ``InvalidJson``."""
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise InvalidJson(error.msg, error.pos) from None
    except RecursionError:
        raise InvalidJson("nested too deeply", at, deep=True) from None
    except ValueError as error:
        raise InvalidJson(str(error), at) from None


def key_text(value: Any) -> str | None:
    """A member's value as a key: text and numbers as they are written; nothing for null, lists and objects."""
    if isinstance(value, str):
        # A lone surrogate escape is valid JSON but no text.
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return None


def is_text(value: str) -> bool:
    """Whether all characters are whole: a lone surrogate escape is valid JSON, but no UTF-8 can hold it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def member(record: Object, column: str) -> Any:
    """The value of a column: of the member of that name, else at that path (``customer.id``); ``None`` without one.

    Names may have dots themselves, so a path can be divided in several ways: the one with the fewest steps counts.
    """
    if column in record or "." not in column:
        return record.get(column)
    waiting = deque([(record, column)])
    while waiting:
        value, rest = waiting.popleft()
        if rest in value:
            return value[rest]
        for dot in re.finditer(r"\.", rest):
            if isinstance(inner := value.get(rest[: dot.start()]), dict):
                waiting.append((inner, rest[dot.end() :]))
    return None


def paths(record: Object) -> dict[str, Any]:
    """The members by name; those of an object within by their path."""
    found: dict[str, Any] = {}
    waiting = deque([("", record, _DEEPEST)])
    while waiting:
        prefix, value, depth = waiting.popleft()
        for name, inner in value.items():
            path = prefix + name
            if isinstance(inner, dict) and inner and depth:
                waiting.append((f"{path}.", inner, depth - 1))
            elif path in found:
                found[path] = member(record, path)
            elif len(found) < _MOST_PATHS:
                found[path] = inner
    return found


def head_of(records: Sequence[Object]) -> Head:
    """A table of the members of ``records``. Raises ``InputError`` for a name that cannot be shown or asked for."""
    rows = [paths(record) for record in records]
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    for name in columns:
        if not is_text(name):
            raise name_not_text(name, 1 + next(place for place, row in enumerate(rows) if name in row))
    return Head(columns, tuple(tuple(key_text(row.get(name)) for name in columns) for row in rows))


class HeadRecords:
    """Collects the first records of a file, and some later ones with members that none before has."""

    def __init__(self, rows: int, limits: Limits) -> None:
        self.records: list[Object] = []
        self._rows = rows
        self._limits = limits
        self._names: set[str] = set()
        self._late = 0
        self._seen = 0

    def add(self, record: Object, size: int) -> bool:
        """Look at ``record``, of ``size`` characters. Whether to go on."""
        first = not self.records or (len(self.records) < self._rows and self._seen < self._limits.block)
        if first or (self._late < _MOST_LATE and not record.keys() <= self._names):
            self.records.append(record)
            self._names.update(record)
            self._late += not first
        self._seen += size
        return self._seen < self._limits.searched


class NotKeys:
    """Counts values that are lists or objects where a key is expected."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def keys(self, records: Sequence[Object], column: str) -> pa.Array:
        """The texts of the keys in ``column``."""
        values = [member(record, column) for record in records]
        if count := sum(isinstance(value, (list, dict)) for value in values):
            self._counts[column] += count
        return pa.array([key_text(value) for value in values], pa.string())

    def warnings(self) -> list[str]:
        """Which columns have some."""
        return [
            f"{count:,} values of {column!r} are lists or objects; they were not looked up."
            for column, count in self._counts.items()
        ]


def render_members(separator: bytes) -> Callable[[ColumnMapping, Rows], pa.Array]:
    """A renderer of added values as JSON members, a comma before each and ``separator`` between name and value."""

    def render(entry: ColumnMapping, rows: Rows) -> pa.Array:
        names = [orjson.dumps(name) + separator for name in entry.added]
        nothing = b"".join(b"," + name + b"null" for name in names)
        return pa.array(
            [
                nothing
                if row is None
                else b"".join(
                    b"," + name + json_of(value, column)
                    for name, value, column in zip(names, row, entry.columns, strict=True)
                )
                for row in rows
            ],
            pa.large_binary(),
        )

    return render


def collision(record: Mapping[str, Any], mapping: Sequence[ColumnMapping]) -> str | None:
    """The name of an added member that ``record`` has already."""
    return next((name for entry in mapping for name in entry.added if name in record), None)


def invalid_json(message: str, row: int, line: int | None, place: str) -> InputError:
    """Text that is not JSON, in words."""
    return InputError(
        "invalid-json",
        "The file is not valid JSON",
        f"{place} is not valid JSON: {message}.",
        row=row,
        line=line,
        expected="valid JSON (RFC 8259)",
    )


def name_not_text(name: str, row: int) -> InputError:
    """A member's name with a lone surrogate escape."""
    shown = orjson.dumps(name[:40].encode("utf-8", "replace").decode()).decode()
    return InputError(
        "json-shape",
        "A name is not text",
        f"Record {row:,} has a member whose name holds half a character, shown as ? here: {shown}.",
        row=row,
        expected="names of whole characters, without lone surrogates (RFC 7493, section 2.1)",
    )


def too_deep(row: int, line: int | None) -> InputError:
    """A value that nests more deeply than it is read."""
    return InputError(
        "nested-too-deep",
        "A value is nested too deeply",
        f"Record {row:,} holds lists or objects nested too deeply.",
        row=row,
        line=line,
        expected="fewer levels of nesting",
    )


def not_an_object(row: int, line: int | None, value: Any) -> InputError:
    """A record that is not a JSON object."""
    kind = {dict: "an object", list: "a list", type(None): "null", bool: "true or false"}.get(
        type(value), "a text or number"
    )
    return InputError(
        "json-shape",
        "A record is not an object",
        f"Record {row:,} is {kind}.",
        row=row,
        line=line,
        expected='an object for every record, such as {"id": "1"}',
    )

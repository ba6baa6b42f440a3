"""Reads JSON objects out of raw text and tells where each ends, so that members can be added and the rest kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import orjson
import pyarrow as pa

from application.engine.errors import InputError
from application.engine.join import Rows
from application.engine.model import ColumnMapping

Object = dict[str, Any]
_SPACE = re.compile(r"[ \t\n\r]*")


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


def render_members(separator: bytes) -> Callable[[ColumnMapping, Rows], pa.Array]:
    """A renderer of added values as JSON members, a comma before each and ``separator`` between name and value."""

    def render(entry: ColumnMapping, rows: Rows) -> pa.Array:
        names = [orjson.dumps(name) + separator for name in entry.added]
        nothing = b"".join(b"," + name + b"null" for name in names)
        return pa.array(
            [
                nothing
                if row is None
                else b"".join(b"," + name + orjson.dumps(value) for name, value in zip(names, row, strict=True))
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

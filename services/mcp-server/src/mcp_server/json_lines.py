"""JSON Lines as columns: the object is read once for the columns' types, and once more for their values."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, BinaryIO, Final

import orjson
import pyarrow as pa

from mcp_server.columns import field_of

BOM: Final = b"\xef\xbb\xbf"
BLOCK_BYTES: Final = 4 << 20
"""Of lines that are Python's objects at a time, which take ten times as much."""

MOST_LINE_BYTES: Final = 16 << 20

MOST_DIGITS: Final = 76
"""Of Arrow's largest decimal type."""

LONG_NUMBER: Final = re.compile(rb"[0-9.]{17}|[0-9][eE][+-]?[0-9]{3}")
"""What a number looks like that a float or a 64-bit integer may not hold."""

TYPES: Final[dict[pa.DataType, set[type]]] = {
    pa.string(): {str},
    pa.bool_(): {bool},
    pa.int64(): {int},
    pa.float64(): {float},
}
"""Types of a column, with what can be in it."""

Columns = dict[str, list[Any]]


@dataclass(slots=True)
class _Seen:
    """What a column has.

    Attributes:
        kinds: Types of its values.
        long: Whether it has an integer of more than 64 bits.
        whole: Most digits before the point, where a decimal type may be needed.
        scale: Most digits after it.
    """

    kinds: set[type] = field(default_factory=set)
    long: bool = False
    whole: int = 0
    scale: int = 0

    @property
    def exact(self) -> bool:
        """Whether neither 64-bit integers nor floats hold its numbers."""
        return self.kinds <= {int, float, Decimal} and (Decimal in self.kinds or self.long)

    def add(self, values: Sequence[Any]) -> None:
        """Take note of some of its values."""
        kinds = set(map(type, values)) - {type(None)}
        self.kinds |= kinds
        if int in kinds:
            whole = [value for value in values if type(value) is int]
            self.long = self.long or min(whole) < -(2**63) or max(whole) >= 2**63

    def measure(self, values: Iterable[Any]) -> None:
        """Count the digits of some of its numbers."""
        for value in values:
            if value is not None:
                _, digits, exponent = Decimal(str(value)).as_tuple()
                if isinstance(exponent, int):
                    self.whole = max(self.whole, len(digits) + exponent)
                    self.scale = max(self.scale, -exponent)

    def field(self, name: str) -> tuple[pa.Field, Callable[[Any], Any] | None]:
        """The column's field, and what turns its values into those that are kept, if they are not the same."""
        precision = self.whole + self.scale
        if self.exact and precision <= MOST_DIGITS:
            kind = f"decimal{128 if precision <= 38 else 256}({precision}, {self.scale})"
            return field_of(name, pa.string(), kind), lambda value: format(Decimal(str(value)), "f")
        if self.kinds == {int, float} and not self.long:
            return field_of(name, pa.string(), "double", as_numbers=True), _json_text
        for kept, accepted in TYPES.items():
            if self.kinds <= accepted and not self.long:
                return field_of(name, kept), None
        # Real data mixes types in one column: all of it becomes text. So do lists and objects.
        return field_of(name, pa.string()), lambda value: value if isinstance(value, str) else _json_text(value)


def read(source: BinaryIO) -> tuple[list[str], pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns' names as they are written, their fields, and the rows.

    Raises:
        ValueError: A line is no JSON object; iterating raises it, too.
    """
    seen: dict[str, _Seen] = {}
    for _, columns in _blocks(source):
        for name, values in columns.items():
            seen.setdefault(name, _Seen()).add(values)
    if exact := [name for name, column in seen.items() if column.exact]:
        for _, columns in _blocks(source):
            for name in exact:
                seen[name].measure(columns.get(name, ()))
    fields = {name: column.field(name.strip()) for name, column in seen.items()}
    schema = pa.schema([kept for kept, _ in fields.values()])

    def rows() -> Iterator[pa.RecordBatch]:
        for count, columns in _blocks(source):
            nothing = [None] * count
            arrays = [
                pa.array(_kept(columns.get(name, nothing), convert), kept.type)
                for name, (kept, convert) in fields.items()
            ]
            yield pa.record_batch(arrays, schema)

    return list(fields), schema, rows()


def _kept(values: list[Any], convert: Callable[[Any], Any] | None) -> list[Any]:
    return values if convert is None else [None if value is None else convert(value) for value in values]


def _blocks(source: BinaryIO) -> Iterator[tuple[int, Columns]]:
    """The rows from the first one on, some megabytes at a time: how many, and their values by column."""
    for block in _whole_lines(source):
        lines = [line for line in block.splitlines() if line.strip()]
        rows = list(map(_exact_row if LONG_NUMBER.search(block) else orjson.loads, lines))
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("each line has to be an object")
        names: dict[str, Any] = {}
        for row in rows:
            names.update(row)
        if rows:
            yield len(rows), {name: [row.get(name) for row in rows] for name in names}


def _exact_row(line: bytes) -> Any:
    # Digits beyond those of a float are read as they are written, which takes several times as long.
    return json.loads(line, parse_float=_number) if LONG_NUMBER.search(line) else orjson.loads(line)


def _whole_lines(source: BinaryIO) -> Iterator[bytes]:
    source.seek(0)
    rest = source.read(len(BOM)).removeprefix(BOM)
    while block := source.read(BLOCK_BYTES):
        whole, end, rest = (rest + block).rpartition(b"\n")
        if len(rest) > MOST_LINE_BYTES:
            raise ValueError("a line is too long")
        yield whole + end
    yield rest


def _number(text: str) -> float | Decimal:
    """A JSON number with a fraction: a float only where that is the very same number."""
    number, exact = float(text), Decimal(text)
    return number if math.isfinite(number) and Decimal(repr(number)) == exact else exact


def _json_text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).strip('"')

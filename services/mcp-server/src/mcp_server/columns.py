"""Columns in Arrow's format; what is asked for becomes values as JSON has them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

SLICE_ROWS: Final = 5000
"""Arrow holds the interpreter's lock while it converts; between slices, requests are answered."""

_TYPE: Final = b"type"
_NUMBERS: Final = b"numbers"

Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and its Arrow type's name."""

    name: str
    type: str


class Values:
    """One column, whose chunks may lie in a file that is mapped into memory.

    Attributes:
        type: The name of its Arrow type in the object, which may be another one than that in which it is kept.
    """

    def __init__(self, field: pa.Field, chunks: Sequence[pa.Array]) -> None:
        """Show the values of a column of which `field_of` made the field."""
        details = field.metadata or {}
        self.type = details.get(_TYPE, str(field.type).encode()).decode()
        self._chunks = chunks
        self._starts = np.cumsum([0, *map(len, chunks)])
        self._shown = _numbers if _NUMBERS in details else shown(field.type)

    def at(self, rows: Rows) -> list[Any]:
        """The values of some rows, in their order."""
        if len(rows) == 1:
            # One key is what most calls ask for, and a slice costs a tenth of a selection.
            chunk = int(self._starts.searchsorted(rows[0], "right")) - 1
            return self._shown(self._chunks[chunk].slice(int(rows[0] - self._starts[chunk]), 1))
        if not len(rows):
            return []
        # In the order of the file, each chunk at once.
        order = np.argsort(rows)
        in_order = rows[order]
        chunks = np.searchsorted(self._starts, in_order, "right") - 1
        numbers, firsts = np.unique(chunks, return_index=True)
        taken = [
            self._chunks[number].take(pa.array(some - self._starts[number]))
            for number, some in zip(numbers.tolist(), np.split(in_order, firsts[1:]), strict=True)
        ]
        as_asked = np.empty(len(rows), np.int64)
        as_asked[order] = np.arange(len(rows))
        return self._shown(pa.concat_arrays(taken).take(pa.array(as_asked)))

    def slices(self) -> Iterator[list[Any]]:
        """All values, some thousands at a time."""
        for chunk in self._chunks:
            for start in range(0, len(chunk), SLICE_ROWS):
                yield self._shown(chunk.slice(start, SLICE_ROWS))


def field_of(name: str, kept: pa.DataType, kind: str | None = None, *, as_numbers: bool = False) -> pa.Field:
    """The field of a column in a file of ours.

    Args:
        name: The column's.
        kept: The type in which it is kept.
        kind: The name of its type in the object, where that is another one.
        as_numbers: It is kept as texts of JSON numbers, because whole ones and others are to stay what they are.
    """
    return pa.field(name, kept, metadata={_TYPE: kind or str(kept)} | ({_NUMBERS: ""} if as_numbers else {}))


def kept_type(kind: pa.DataType) -> pa.DataType:
    """The type in which `keepable` keeps arrays of a type."""
    if pa.types.is_dictionary(kind):
        return kept_type(kind.value_type)
    return pa.string() if pa.types.is_nested(kind) else kind


def keepable(array: pa.Array) -> pa.Array:
    """The array as it is kept: flat, and with values that can all be shown, which a look-up is too late for.

    Raises:
        ValueError, OverflowError, ArrowException: One cannot; a time stamp after the year 9999, for example.
    """
    if pa.types.is_dictionary(array.type):
        return keepable(array.dictionary_decode())
    if pa.types.is_nested(array.type):
        return pa.array(_shown_slices(array), pa.string())
    if pa.types.is_temporal(array.type):
        for _ in _shown_slices(array):
            pass
    return array


def _shown_slices(array: pa.Array) -> Iterator[Any]:
    show = shown(array.type)
    for start in range(0, len(array), SLICE_ROWS):
        yield from show(array.slice(start, SLICE_ROWS))


def _numbers(array: pa.Array) -> list[Any]:
    return [None if text is None else orjson.loads(text) for text in array.to_pylist()]


def shown(kind: pa.DataType) -> Callable[[pa.Array], list[Any]]:
    """What turns arrays of a type into values as JSON has them: dates and decimals as strings, no number as null."""
    if pa.types.is_date(kind):
        return lambda array: list(array.cast(pa.date32()).cast(pa.string()).to_pylist())
    convert = _conversion(kind)
    in_microseconds = _in_microseconds(kind)

    def values(array: pa.Array) -> list[Any]:
        if in_microseconds != kind:
            array = array.cast(in_microseconds, safe=False)
        found: list[Any] = array.to_pylist()
        return found if convert is None else [None if value is None else convert(value) for value in found]

    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # 19.99 of 32 bits is 19.989999771118164 of 64.
        return lambda array: values(array.cast(pa.float32()).cast(pa.string()).cast(pa.float64()))
    return values


def _in_microseconds(kind: Any) -> pa.DataType:
    """The type with times in microseconds at any depth: Python's end there."""
    types = pa.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return pa.struct([field.with_type(_in_microseconds(field.type)) for field in fields])
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_microseconds(kind.value_type)))
    if types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_in_microseconds(kind.value_type)))
    return kind


def _conversion(kind: pa.DataType) -> Callable[[Any], Any] | None:
    if pa.types.is_floating(kind):
        return lambda value: value if math.isfinite(value) else None
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return lambda value: value.isoformat()
    if pa.types.is_decimal(kind):
        return lambda value: format(value, "f")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        return None
    if pa.types.is_boolean(kind):
        return None
    if pa.types.is_nested(kind):
        return lambda value: orjson.dumps(value, default=_text).decode()
    return _text


def _text(value: Any) -> str:
    """A value that JSON has no form for: bytes as the text that they are, or else as hexadecimal digits."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()

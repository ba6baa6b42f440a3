"""Columns in Arrow's memory; what is asked for becomes values as JSON has them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

SLICE_ROWS: Final = 5000
"""Arrow holds the interpreter's lock while it converts; between slices, requests are answered."""

Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and its Arrow type's name."""

    name: str
    type: str


class Values:
    """One column.

    Attributes:
        type: The name of its Arrow type, which may be another one than that in which it is kept.
    """

    def __init__(self, kept: pa.ChunkedArray, kind: str | None = None, *, as_numbers: bool = False) -> None:
        """Keep an array.

        Args:
            kept: The values; of type `kind`, unless that is given.
            as_numbers: They are texts of JSON numbers, because whole ones and others are to stay what they are.
        """
        self.type = str(kept.type) if kind is None else kind
        self._kind = kept.type
        self._chunks: list[pa.Array] = kept.chunks
        self._starts = np.cumsum([0, *map(len, self._chunks)])
        self._shown = _numbers if as_numbers else _shown(kept.type)

    def at(self, rows: Rows) -> list[Any]:
        """The values of some rows, in their order."""
        if len(rows) == 1:
            # One key is what most calls ask for, and a slice costs a tenth of a selection.
            chunk = int(self._starts.searchsorted(rows[0], "right")) - 1
            return self._shown(self._chunks[chunk].slice(int(rows[0] - self._starts[chunk]), 1))
        if len(self._chunks) == 1:
            return self._shown(self._chunks[0].take(pa.array(rows)))
        found: list[Any] = [None] * len(rows)
        chunks = np.searchsorted(self._starts, rows, "right") - 1
        for chunk in np.unique(chunks).tolist():
            places = np.flatnonzero(chunks == chunk)
            taken = self._chunks[chunk].take(pa.array(rows[places] - self._starts[chunk]))
            for place, value in zip(places.tolist(), self._shown(taken), strict=True):
                found[place] = value
        return found

    def check(self) -> None:
        """See that every value can be shown, which a look-up is too late for.

        Raises:
            ValueError, OverflowError, ArrowException: One cannot; a time stamp after the year 9999, for example.
        """
        if pa.types.is_temporal(self._kind) or pa.types.is_nested(self._kind) or pa.types.is_dictionary(self._kind):
            for _ in self.slices():
                pass

    def slices(self) -> Iterator[list[Any]]:
        """All values, some thousands at a time."""
        for chunk in self._chunks:
            for start in range(0, len(chunk), SLICE_ROWS):
                yield self._shown(chunk.slice(start, SLICE_ROWS))


def _numbers(array: pa.Array) -> list[Any]:
    return [None if text is None else orjson.loads(text) for text in array.to_pylist()]


def _shown(kind: pa.DataType) -> Callable[[pa.Array], list[Any]]:
    """What turns arrays of a type into values as JSON has them: dates and decimals as strings, no number as null."""
    if pa.types.is_dictionary(kind):
        shown = _shown(kind.value_type)
        return lambda array: shown(array.dictionary_decode())
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

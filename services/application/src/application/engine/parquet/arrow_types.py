"""Turns looked-up values into Arrow columns of the types that a data set declares."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from application.engine.core.errors import DepartmentUnavailable
from application.engine.core.model import ColumnMapping, Scalar

_DECIMAL = re.compile(r"decimal(?:128|256)?\((\d+),\s*(-?\d+)\)")
_ALIASES = {
    "str": "string",
    "utf8": "string",
    "large_utf8": "string",
    "int": "int64",
    "integer": "int64",
    "number": "double",
    "float64": "double",
    "boolean": "bool",
    "date": "date32",
    "date32[day]": "date32",
}
_SIMPLE: dict[str, pa.DataType] = {
    "string": pa.string(),
    "large_string": pa.string(),
    "bool": pa.bool_(),
    "date32": pa.date32(),
    "double": pa.float64(),
    "float": pa.float32(),
    **{
        name: getattr(pa, name)() for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
}


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of that name; text for any that values are not converted to."""
    plain = name.strip().lower()
    plain = _ALIASES.get(plain, plain)
    if plain in _SIMPLE:
        return _SIMPLE[plain]
    if match := _DECIMAL.fullmatch(plain):
        precision, scale = int(match[1]), int(match[2])
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    if plain.startswith(("timestamp", "datetime")):
        return pa.timestamp("us", tz="UTC") if "tz=" in plain or "utc" in plain else pa.timestamp("us")
    return pa.string()


def _converter(kind: pa.DataType) -> Callable[[Scalar], Any]:
    """From a value as JSON carries it; no text is not a value of any other type."""
    if pa.types.is_string(kind):
        return lambda value: (
            value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        )
    if pa.types.is_date(kind):
        return lambda value: dt.date.fromisoformat(str(value)[:10])
    if pa.types.is_timestamp(kind):
        return lambda value: dt.datetime.fromisoformat(str(value))
    if pa.types.is_decimal(kind):
        return lambda value: decimal.Decimal(str(value))
    if pa.types.is_integer(kind):
        return lambda value: int(value) if isinstance(value, (str, int)) else value
    if pa.types.is_floating(kind):
        return lambda value: float(value) if isinstance(value, (str, int, float)) else value
    return lambda value: value == "true" if isinstance(value, str) else value


def typed_columns(entry: ColumnMapping, rows: Sequence[Sequence[Scalar] | None]) -> list[pa.Array]:
    """One array for each added column. Raises ``DepartmentUnavailable`` for a value not of its column's type."""
    arrays: list[pa.Array] = []
    for place, column in enumerate(entry.columns):
        kind = arrow_type(column.type)
        convert = _converter(kind)
        is_text = pa.types.is_string(kind)
        try:
            values = [
                None
                if row is None or (value := row[place]) is None or (value == "" and not is_text)
                else convert(value)
                for row in rows
            ]
            arrays.append(pa.array(values, kind))
        except (ValueError, TypeError, ArithmeticError, pa.ArrowException) as error:
            detail = f"a value of {entry.dataset.ref}.{column.name} is not of the type {column.type}"
            raise DepartmentUnavailable(entry.dataset.ref.department, detail) from error
    return arrays

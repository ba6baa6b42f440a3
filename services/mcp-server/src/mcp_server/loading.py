"""From an object's bytes to columns: CSV (always strings), JSON Lines, Parquet."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mcp_server.columns import Values
from mcp_server.errors import BrokenObject

BOM = b"\xef\xbb\xbf"
BLOCK_BYTES = 16 << 20
"""Most bytes that one row of a CSV object can have."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name."""

    columns: dict[str, Values]
    row_count: int


def load_table(name: str, data: bytes) -> Table:
    """Read `data` by the ending of `name`.

    Raises:
        BrokenObject: The bytes are not of that format, or two columns have one name.
    """
    ending = name.rpartition(".")[2]
    try:
        return READERS[ending](data)
    except Misnamed as error:
        raise BrokenObject(f"{name} {error}") from error
    except (pa.ArrowException, ArithmeticError, ValueError, OSError, csv.Error) as error:
        # Arrow's messages can quote a cell; the kind of the error is enough to look for it.
        raise BrokenObject(f"{name} cannot be read as {ending}: {type(error).__name__}") from error


class Misnamed(ValueError):
    """The columns' names do not tell the columns apart."""


def _names(written: Iterable[str]) -> list[str]:
    names = [name.strip() for name in written]
    if len(set(names)) != len(names) or not all(names):
        raise Misnamed("has two columns of one name, or a column without a name")
    return names


def _read_csv(data: bytes) -> Table:
    header = next(csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")), [])
    _names(header)
    return _from_arrow(
        pacsv.read_csv(
            io.BytesIO(data),
            read_options=pacsv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in header}, null_values=[""], strings_can_be_null=True
            ),
        )
    )


def _read_parquet(data: bytes) -> Table:
    # INT96 reaches further than 64 bits of nanoseconds, which by themselves would begin anew in 1677.
    return _from_arrow(pq.read_table(pa.BufferReader(data), coerce_int96_timestamp_unit="us"))


def _from_arrow(table: pa.Table) -> Table:
    names = _names(table.column_names)
    columns = {name: Values(column) for name, column in zip(names, table.columns, strict=True)}
    for values in columns.values():
        values.check()
    return Table(columns, table.num_rows)


def _read_json_lines(data: bytes) -> Table:
    # Column by column from the start: a list of all rows as dictionaries would keep the garbage collector busy.
    written: dict[str, list[Any]] = {}
    count = 0
    for line in data.removeprefix(BOM).splitlines():
        if not line.strip():
            continue
        # Digits beyond those of a float are read as they are written, which takes several times as long.
        row = json.loads(line, parse_float=_number) if LONG_NUMBER.search(line) else orjson.loads(line)
        if not isinstance(row, dict):
            raise ValueError("each line has to be an object")
        for name, value in row.items():
            column = written.setdefault(name, [])
            column.extend([None] * (count - len(column)))
            column.append(value)
        count += 1
    for column in written.values():
        column.extend([None] * (count - len(column)))
    names = _names(written)
    columns: dict[str, Values] = {}
    for name, wrote in zip(names, list(written), strict=True):
        columns[name] = _column(written.pop(wrote))
    return Table(columns, count)


def _number(text: str) -> float | Decimal:
    """A JSON number with a fraction: a float only where that is the very same number."""
    number, exact = float(text), Decimal(text)
    return number if math.isfinite(number) and Decimal(repr(number)) == exact else exact


def _column(values: list[Any]) -> Values:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float, Decimal} and (kind := _exact_type(values, kinds)):
        return Values(_texts(None if value is None else format(Decimal(str(value)), "f") for value in values), kind)
    if kinds == {int, float} and not _has_long(values):
        return Values(
            _texts(None if value is None else _json_text(value) for value in values), "double", as_numbers=True
        )
    for kind, accepted in JSON_TYPES.items():
        if kinds <= accepted and not (int in kinds and _has_long(values)):
            return Values(pa.chunked_array([pa.array(values, kind)]))
    # Real data mixes types in one column: all of it becomes text. So do lists and objects.
    return Values(_texts(v if v is None or isinstance(v, str) else _json_text(v) for v in values))


def _texts(texts: Iterable[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def _has_long(values: list[Any]) -> bool:
    return any(type(value) is int and not -(2**63) <= value < 2**63 for value in values)


def _exact_type(values: list[Any], kinds: set[type]) -> str | None:
    """The decimal type of numbers that neither 64-bit integers nor floats hold; `None` where these do."""
    if Decimal not in kinds and not (int in kinds and _has_long(values)):
        return None
    parts = [Decimal(str(value)).as_tuple() for value in values if value is not None]
    exponents = [part.exponent for part in parts if isinstance(part.exponent, int)]
    scale = max(0, -min(exponents))
    whole = max(len(part.digits) + exponent for part, exponent in zip(parts, exponents, strict=True))
    precision = max(whole, 0) + scale
    return f"decimal{128 if precision <= 38 else 256}({precision}, {scale})" if precision <= MOST_DIGITS else None


def _json_text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).strip('"')


JSON_TYPES: dict[pa.DataType, set[type]] = {
    pa.string(): {str},
    pa.bool_(): {bool},
    pa.int64(): {int},
    pa.float64(): {float},
}
"""Types of a column of JSON Lines."""

MOST_DIGITS = 76
"""Of Arrow's largest decimal type."""

LONG_NUMBER = re.compile(rb"[0-9.]{17}|[0-9][eE][+-]?[0-9]{3}")
"""What a number looks like that a float or a 64-bit integer may not hold."""

READERS: dict[str, Callable[[bytes], Table]] = {
    "csv": _read_csv,
    "jsonl": _read_json_lines,
    "parquet": _read_parquet,
}

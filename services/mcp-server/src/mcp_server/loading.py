"""From an object's bytes to columns of JSON values: CSV (always strings), JSON Lines, Parquet."""

import csv
import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mcp_server.errors import BrokenObject

BOM = b"\xef\xbb\xbf"
BLOCK_BYTES = 16 << 20
"""Most bytes that one row of a CSV object can have."""

SLICE_ROWS = 5000
"""Arrow holds the interpreter's lock while it converts; between slices, requests are answered."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name: the names of their Arrow types, and their values as JSON has them."""

    types: dict[str, str]
    values: dict[str, list[Any]]
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
    return _from_arrow(pq.read_table(pa.BufferReader(data)))


def _from_arrow(table: pa.Table) -> Table:
    names = _names(table.column_names)
    types = {name: str(field.type) for name, field in zip(names, table.schema, strict=True)}
    values = {name: json_values(column) for name, column in zip(names, table.columns, strict=True)}
    return Table(types, values, table.num_rows)


def _read_json_lines(data: bytes) -> Table:
    # Column by column from the start: a list of all rows as dictionaries would keep the garbage collector busy.
    written: dict[str, list[Any]] = {}
    count = 0
    for line in data.removeprefix(BOM).splitlines():
        if not line.strip():
            continue
        row = orjson.loads(line)
        if not isinstance(row, dict):
            raise ValueError("each line has to be an object")
        for name, value in row.items():
            column = written.setdefault(name, [])
            column.extend([None] * (count - len(column)))
            column.append(value)
        count += 1
    for column in written.values():
        column.extend([None] * (count - len(column)))
    columns = [_column(values) for values in written.values()]
    names = _names(written)
    types = {name: kind for name, (kind, _) in zip(names, columns, strict=True)}
    return Table(types, {name: values for name, (_, values) in zip(names, columns, strict=True)}, count)


def _column(values: list[Any]) -> tuple[str, list[Any]]:
    kinds = {type(value) for value in values if value is not None}
    for kind, accepted in JSON_TYPES.items():
        if kinds <= accepted:
            return kind, values
    # Real data mixes types in one column: all of it becomes text. So do lists and objects.
    return "string", [v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in values]


JSON_TYPES: dict[str, set[type]] = {"string": {str}, "bool": {bool}, "int64": {int}, "double": {int, float}}
"""Types of a column of JSON Lines, named as Arrow names them."""

READERS: dict[str, Callable[[bytes], Table]] = {
    "csv": _read_csv,
    "jsonl": _read_json_lines,
    "parquet": _read_parquet,
}


def json_values(column: pa.ChunkedArray) -> list[Any]:
    """The column's values as JSON has them: dates and decimals as strings, what is no number as null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return json_values(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        # Python's times end at microseconds.
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    values: list[Any] = []
    for start in range(0, len(column), SLICE_ROWS):
        values.extend(column.slice(start, SLICE_ROWS).to_pylist())
    convert = _conversion(kind)
    return values if convert is None else [None if value is None else convert(value) for value in values]


def _conversion(kind: pa.DataType) -> Callable[[Any], Any] | None:
    if pa.types.is_floating(kind):
        return lambda value: value if math.isfinite(value) else None
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        return lambda value: value.isoformat()
    if pa.types.is_decimal(kind):
        return lambda value: format(value, "f")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind):
        return None
    if pa.types.is_boolean(kind):
        return None
    return lambda value: value if isinstance(value, str) else orjson.dumps(value, default=_text).decode()


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

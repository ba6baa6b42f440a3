"""What the departments' data says, read from the objects themselves: what every answer is compared with."""

import csv
import datetime as dt
import decimal
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq
import yaml
from tests.helpers.stack import USERS

from local import names

RUN = re.compile(r"=|@[A-Z]+\(|[-+][0-9]+ [A-Z]|[-+].*[A-Z]+[0-9(!]")
"""What a spreadsheet would run of the texts in the tests' data."""

Values = Mapping[str, Any]


class Source(Protocol):
    """Where departments and their data are: a local stack, or a cluster."""

    @property
    def departments_folder(self) -> Path:
        """The Department objects."""

    def client(self, service: str) -> Any:
        """boto3's client of a service of its AWS."""


@dataclass(frozen=True)
class DataSet:
    """One data set; `rows` by key, first come first served, `columns` without the key."""

    department: str
    name: str
    key: str
    aliases: tuple[str, ...]
    columns: tuple[str, ...]
    restricted: frozenset[str]
    object: str
    search: tuple[str, ...]
    rows: Mapping[str, Values]
    groups: frozenset[str]
    restricted_groups: frozenset[str]

    @property
    def ref(self) -> str:
        """As a mapping names it."""
        return f"{self.department}.{self.name}"

    @property
    def prefix(self) -> str:
        """What the department's tools start with."""
        return f"{self.department.replace('-', '_')}_"

    def permits(self, user: str) -> bool:
        """Whether `user` may use the department."""
        return bool(USERS[user] & self.groups)

    def visible(self, user: str) -> tuple[str, ...]:
        """The columns besides the key that `user` may see."""
        if not self.permits(user):
            return ()
        if USERS[user] & self.restricted_groups:
            return self.columns
        return tuple(column for column in self.columns if column not in self.restricted)


def read_departments(folder: Path) -> list[Mapping[str, Any]]:
    """The Department objects as they are in the files."""
    documents = (yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml")))
    return [document for document in documents if document["kind"] == "Department"]


def object_key(department: str, name: str) -> str:
    """Where a department's object is in the bucket."""
    return f"departments/mcp-{department}/{name}"


def read_data_sets(stack: Source) -> list[DataSet]:
    """Every data set of every department, with its data as it is in S3 now."""
    return [
        _data_set(stack, department, spec)
        for department in read_departments(stack.departments_folder)
        for spec in department["spec"]["datasets"]
    ]


def _data_set(stack: Source, department: Mapping[str, Any], spec: Mapping[str, Any]) -> DataSet:
    name, access = department["metadata"]["name"], department["spec"]["access"]
    s3 = stack.client("s3")
    answer = s3.get_object(Bucket=names.DATA_BUCKET, Key=object_key(name, spec["object"]))
    columns, rows = read_object(spec["object"], answer["Body"].read())
    by_key: dict[str, Values] = {}
    for row in rows:
        if key := str(row[spec["key"]] or "").strip():
            by_key.setdefault(key, row)
    return DataSet(
        name,
        spec["name"],
        spec["key"],
        tuple(spec.get("aliases", ())),
        tuple(column for column in columns if column != spec["key"]),
        frozenset(spec.get("restrictedColumns", ())),
        spec["object"],
        tuple(spec.get("search", ())),
        by_key,
        frozenset(access["groups"]),
        frozenset(access.get("restrictedGroups", ())),
    )


def read_object(name: str, data: bytes) -> tuple[list[str], list[Values]]:
    """An object's columns and rows; CSV has text only, where nothing is no value."""
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(data))
        return table.column_names, table.to_pylist()
    if name.endswith(".jsonl"):
        records = [json.loads(line) for line in data.decode("utf-8-sig").splitlines() if line.strip()]
        columns = list(dict.fromkeys(column for record in records for column in record))
        return columns, [{column: record.get(column) for column in columns} for record in records]
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return list(reader.fieldnames or ()), [{name: text or None for name, text in row.items()} for row in reader]


def json_value(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return value


def cell(extension: str, value: Any) -> Any:
    """An added value as a file of that kind has it; in delimited text it cannot be a formula."""
    if extension == "xlsx":
        return _cell_value(value)
    if extension in ("json", "jsonl") and isinstance(value, decimal.Decimal):
        return float(value)
    value = json_value(value)
    if extension not in ("csv", "tsv"):
        return value
    if isinstance(value, str) and RUN.match(value):
        value = f"'{value}"
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell_value(value: Any) -> Any:
    """What openpyxl reads of a cell: numbers are floats, days have a time."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.isoformat()
    return None if value == "" else value


Mapped = Sequence[tuple[str, DataSet, Sequence[str]]]
"""For each input column that is a key: the data set, and the columns that are added."""


def expected_rows(extension: str, rows: Sequence[Mapping[str, Any]], mapped: Mapped) -> Iterator[dict[str, Any]]:
    """The enriched rows: a nested loop over dictionaries, which shares nothing with the engine."""
    for row in rows:
        enriched = dict(row)
        for column, data_set, added in mapped:
            found = data_set.rows.get(str(row.get(column) or "").strip(), {})
            for name in added:
                enriched[f"{column}.{data_set.department}.{name}"] = cell(extension, found.get(name))
        yield enriched

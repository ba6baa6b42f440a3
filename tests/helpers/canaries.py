"""Departments' data in which every cell says where it comes from, so that a leak is found in any bytes, and named."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.helpers.data import DataSet
from tests.helpers.files import everything_in
from tests.helpers.stack import USERS

CELL = re.compile(r"zq(\d{3})x(\d{4})zq|(?<![\w.])91(\d{3})(\d{4})77(?!\d)")
"""A text cell, or a number: which column, which row."""

STRUCTURAL = {"currency", "status", "manager_id", "rate_to_usd"}
"""Columns whose values departments' own tools follow, so they stay as they are."""

LEAST_ROWS = 1301
"""Sizes of data sets that are no round number, each its own, so that a count is found as well."""


@dataclass(frozen=True)
class Place:
    """Where a cell belongs."""

    data_set: DataSet
    column: str


class Canaries:
    """The data to publish, and what in it is to be found in no answer to a user who may not see it."""

    def __init__(self, data_sets: Sequence[DataSet]) -> None:
        """Number the columns; nothing is published yet."""
        self.data_sets = data_sets
        self.places = [Place(data_set, column) for data_set in data_sets for column in data_set.columns]
        self.arguments: dict[str, set[str]] = {}
        """By department, names of arguments of its tools: whoever may use one department may know its words."""
        self.sizes = {data_set.ref: LEAST_ROWS + 26 * number for number, data_set in enumerate(data_sets)}

    def rows(self, data_set: DataSet) -> list[dict[str, Any]]:
        """The rows of a data set, with a canary in every text and number but those that tools compute with."""
        size = min(self.sizes[data_set.ref], len(data_set.rows))
        numbers = {place.column: at for at, place in enumerate(self.places) if place.data_set is data_set}
        rows = []
        for row, (key, values) in zip(range(size), data_set.rows.items(), strict=False):
            cells = {
                column: values[column] if column in STRUCTURAL else _cell(values[column], numbers[column], row)
                for column in data_set.columns
            }
            rows.append({data_set.key: key, **cells})
        self.sizes[data_set.ref] = len(rows)
        return rows

    def forbidden_cells(self, user: str, text: str) -> set[str]:
        """The cells in `text` that `user` may not see, by where they belong."""
        found = set()
        for match in CELL.finditer(text):
            place = self.places[int(match[1] or match[3])]
            if place.column not in place.data_set.visible(user):
                found.add(f"cell {place.data_set.ref}.{place.column}: {match[0]}")
        return found

    def forbidden_counts(self, user: str, text: str) -> set[str]:
        """The sizes of data sets in `text` that `user` may not know."""
        own = {self.sizes.get(data_set.ref) for data_set in self.data_sets if data_set.permits(user)}
        return {
            f"count {ref}: {size}"
            for ref, size in self.sizes.items()
            if size >= LEAST_ROWS
            and size not in own
            and re.search(rf"(?<![\w.-])(?:{size}|{size:,})(?![\w-]|[.,]\d)", text)
        }

    def forbidden_words(self, user: str, text: str, said: str) -> set[str]:
        """The names in `text` that `user` may not know and did not say."""
        found = (word for word in self.words(user) - _words(said) if word in text)
        return {f"name {word}" for word in found if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)}

    def words(self, user: str) -> set[str]:
        """The names that `user` may not know, without words that anybody may use."""
        known: set[str] = set(USERS[user])
        hidden: set[str] = set()
        for data_set in self.data_sets:
            visible = data_set.visible(user)
            names = known if data_set.permits(user) else hidden
            names |= {data_set.ref, data_set.key, *data_set.aliases, data_set.department, data_set.name}
            names |= {f"{data_set.prefix}{verb}_{data_set.name}" for verb in ("lookup", "search")}
            names.add(f"mcp-{data_set.department}")
            if data_set.permits(user):
                known |= self.arguments.get(data_set.department, set())
            hidden |= {group for group in data_set.groups | data_set.restricted_groups if group not in USERS[user]}
            for column in data_set.columns:
                (known if column in visible else hidden).update({column, f"{data_set.department}.{column}"})
        return {word for word in hidden - known if re.search(r"[._-]|^zq", word)}

    def leaks(self, user: str, answer: bytes, said: str = "") -> set[str]:
        """All that is in an answer to `user` and must not be; `said` is what the user sent."""
        text = everything_in(answer)
        own = {match[0] for match in CELL.finditer(said)}
        cells = {leak for leak in self.forbidden_cells(user, text) if leak.rpartition(" ")[2] not in own}
        return cells | self.forbidden_counts(user, text) | self.forbidden_words(user, text, said)


def _cell(value: Any, number: int, row: int) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return value
    if isinstance(value, str):
        return f"zq{number:03}x{row:04}zq"
    return type(value)(int(f"91{number:03}{row:04}77"))


def _words(said: str) -> set[str]:
    whole = set(re.findall(r"[\w.-]+", said))
    return whole | {part for word in whole for part in word.split(".")}


def as_object(name: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as an object of the kind that its name says."""
    table = pa.Table.from_pylist([dict(row) for row in rows])
    if name.endswith(".parquet"):
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return sink.getvalue()
    return b"".join(_lines(name, rows))


def _lines(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    if name.endswith(".jsonl"):
        for row in rows:
            yield json.dumps(row, default=str).encode() + b"\n"
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    yield text.getvalue().encode()

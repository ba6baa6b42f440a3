"""CSV of any dialect: input cells come back as they were, each row once and in order, with the right cells added."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.application.tests.engine.support import VENDORS, enrich, enrich_or_refuse, is_spliced_into

from application.engine import DEFAULT_LIMITS

pytestmark = pytest.mark.slow

KEYS = st.sampled_from(["V-00001", "V-00002", "V-00003", "V-00004", "V-99999", "", "x", "V-00002"])
TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"])
    | st.sampled_from(list("\"',;\t|\\\n\r =+-@'")),
    max_size=12,
)


@dataclass(frozen=True)
class Table:
    """A file as somebody's program writes it."""

    rows: list[tuple[str, str, str]]
    delimiter: str
    newline: str
    quoting: Literal[0, 1, 2, 3]
    encoding: str
    bom: bool
    final: bool

    def text(self) -> str:
        buffer = io.StringIO(newline="")
        # This version of csv.writer leaves a line ending bare that is not the file's own, which no reader can undo.
        bare = any(char in cell for row in self.rows for cell in row for char in "\r\n")
        quoting = csv.QUOTE_ALL if bare else self.quoting
        writer = csv.writer(buffer, delimiter=self.delimiter, lineterminator=self.newline, quoting=quoting)
        writer.writerows([("note", "vendor_id", "other"), *self.rows])
        text = buffer.getvalue()
        return text if self.final else text.removesuffix(self.newline)

    def data(self) -> bytes:
        mark = "\ufeff" if self.bom else ""
        return (mark + self.text()).encode(self.encoding)

    def parse(self, data: bytes) -> list[list[str]]:
        text = data.decode(self.encoding).removeprefix("\ufeff" if self.bom else "")
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter))


def tables(encodings: list[str]) -> st.SearchStrategy[Table]:
    return st.builds(
        Table,
        rows=st.lists(st.tuples(TEXT, KEYS, TEXT), min_size=1, max_size=12),
        delimiter=st.sampled_from([",", ";", "\t", "|", "^", "~", ":"]),
        newline=st.sampled_from(["\n", "\r\n", "\r"]),
        quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)),
        encoding=st.sampled_from(encodings),
        bom=st.booleans(),
        final=st.booleans(),
    )


def expected(row: list[str]) -> list[str]:
    found = VENDORS.rows.get(row[1].strip())
    return row + (
        ["", ""] if found is None else [str(found["name"]).replace("=", "'=", 1), str(found["country"] or "")]
    )


MAPPING = {"vendor_id": ["finance.vendors"]}
COLUMNS = {"finance.vendors": ["name", "country"]}
TINY = replace(DEFAULT_LIMITS, block=64, cached_keys=2, cached_bytes=1)


@settings(max_examples=400, deadline=None)
@given(tables(["utf-8"]))
def test_any_utf8_file_parses_to_its_own_cells_and_the_added_ones(table: Table) -> None:
    data = table.data()
    result = enrich(data, "x.csv", given=MAPPING, columns=COLUMNS)
    before, after = table.parse(data), table.parse(result.data)
    assert after[0] == [*before[0], "vendor_id.finance.name", "vendor_id.finance.country"]
    assert after[1:] == [expected(row) for row in before[1:]]
    assert result.report.rows == len(table.rows)


@settings(max_examples=150, deadline=None)
@given(tables(["utf-16-le", "utf-16-be"]).map(lambda table: replace(table, bom=True)))
def test_any_utf16_file_parses_to_its_own_cells_and_the_added_ones(table: Table) -> None:
    data = table.data()
    after = table.parse(enrich(data, "x.csv", given=MAPPING, columns=COLUMNS).data)
    assert after[1:] == [expected(row) for row in table.parse(data)[1:]]


# Letters alone: signs after letters can happen to be UTF-8, as no text in Latin-1 is.
LATIN = st.text(st.characters(min_codepoint=0xC0, max_codepoint=0xFF) | st.sampled_from(list('abc ",;')), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(LATIN, KEYS.filter(lambda key: key != "V-00004")), min_size=1, max_size=10))
def test_any_latin_1_file_keeps_its_bytes(rows: list[tuple[str, str]]) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("Größe Ä", "vendor_id"), *rows])
    data = buffer.getvalue().encode("latin-1")
    after = list(
        csv.reader(
            io.StringIO(enrich(data, "x.csv", given=MAPPING, columns=COLUMNS).data.decode("latin-1"), newline="")
        )
    )
    assert [row[:2] for row in after[1:]] == [list(row) for row in rows]
    assert [row[2] for row in after[1:]] == [expected(["", key])[2] for _, key in rows]


@settings(max_examples=150, deadline=None)
@given(tables(["utf-8"]))
def test_blocks_and_a_cache_of_almost_nothing_change_nothing(table: Table) -> None:
    data = table.data()
    whole = enrich(data, "x.csv", given=MAPPING, columns=COLUMNS)
    pieces = enrich(data, "x.csv", given=MAPPING, columns=COLUMNS, limits=TINY)
    assert pieces.data == whole.data
    assert pieces.report.mappings == whole.report.mappings


@settings(max_examples=200, deadline=None)
@given(tables(["utf-8"]), st.integers(0, 400), st.binary(max_size=3))
def test_damage_is_refused_or_leaves_every_byte_of_the_input_in_order(table: Table, place: int, damage: bytes) -> None:
    data = table.data()
    data = data[:place] + damage + data[place:]
    result = enrich_or_refuse(data, "x.csv", MAPPING)
    assert result is None or is_spliced_into(data, result.data)

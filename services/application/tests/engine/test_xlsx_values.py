"""XLSX: what the text of a key is, and what a value becomes in a cell."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import Any

import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from services.application.tests.engine.support import Departments, dataset, enrich
from services.application.tests.engine.workbooks import (
    SHEET,
    active,
    opened,
    repacked,
    saved,
    sheet_xml,
    values,
    with_shared_texts,
    workbook,
)

from application.engine import DEFAULT_LIMITS

NAMES = {"finance.vendors": ["name"]}
MAPPING = {"vendor_id": ["finance.vendors"]}


@pytest.mark.parametrize(
    ("value", "number_format", "key"),
    [
        (501, "00000", "00501"),
        (501, '"K-"0000', "K-0501"),
        (12345, "000-000", "012-345"),
        (501, "00000;-00000", "00501"),
        (1234567, "00000", "1234567"),
        (501.0, "0.00", "501"),
        (7.5, "0", "7.5"),
        (1501, "#,##0", "1501"),
        (dt.date(2024, 1, 1), "dd.mm.yyyy", "2024-01-01"),
        (dt.datetime.fromisoformat("2024-01-01T06:30"), "dd.mm.yy hh:mm", "2024-01-01T06:30:00"),
        (501, "@", "501"),
        (501, "General", "501"),
    ],
)
@pytest.mark.parametrize("from_1904", [False, True])
def test_a_key_is_what_the_number_format_shows(value: Any, number_format: str, key: str, from_1904: bool) -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {key: {"v": "found"}})])
    book = workbook([["k"], [value]])
    if from_1904:
        book.epoch = CALENDAR_MAC_1904
        active(book)["A2"] = value
    active(book)["A2"].number_format = number_format
    assert values(enrich(saved(book), "x.xlsx", lookup).data)[1][1] == "found"


@pytest.mark.parametrize("shared", [False, True])
def test_escaped_characters_of_a_key_are_characters(shared: bool) -> None:
    data = saved(workbook([["vendor_id"], ["V-00001_x000D_"], ["_x0056_-00002"]]))
    result = enrich(with_shared_texts(data) if shared else data, "x.xlsx", columns=NAMES)
    assert result.report.mappings[0].matched == 2


def test_keys_that_are_formulas_without_a_result_are_named() -> None:
    data = saved(workbook([["vendor_id", "n"], ['="V-"&"00001"', 1], ["V-00002", 2]]))
    result = enrich(data, "x.xlsx", given=MAPPING)
    assert "the cells A2 of the sheet 'Data' are formulas without a stored result" in result.report.warnings[-1]
    assert (result.report.mappings[0].matched, result.report.mappings[0].empty) == (1, 1)


TYPED = {
    "k": "string",
    "price": "decimal128(12, 2)",
    "day": "date32[day]",
    "at": "timestamp[us]",
    "big": "decimal128(20, 0)",
}


@pytest.mark.parametrize("from_1904", [False, True])
def test_numbers_and_dates_are_cells_of_their_kind(from_1904: bool) -> None:
    row = {"price": "-12.50", "day": "2026-01-31", "at": "2026-01-31T13:45:30.250000", "big": "12345678901234567890"}
    lookup = Departments([dataset("d.s", "k", TYPED, {"1": row})])
    book = workbook([["k"], ["1"], ["2"]])
    if from_1904:
        book.epoch = CALENDAR_MAC_1904
    sheet = opened(enrich(saved(book), "x.xlsx", lookup).data)
    found = [cell.value for cell in sheet[2][1:]]
    assert found == [
        -12.5,
        dt.datetime.fromisoformat("2026-01-31"),
        dt.datetime.fromisoformat("2026-01-31T13:45:30.250"),
        "12345678901234567890",
    ]
    assert [sheet["C2"].is_date, sheet["D2"].is_date] == [True, True]
    assert [cell.value for cell in sheet[3]] == ["2", None, None, None, None]


@pytest.mark.parametrize("day", ["1899-12-31", "1900-02-28", "0001-01-01", "2026-01-31T10:00:00+01:00", "no date"])
def test_dates_that_a_sheet_has_no_number_for_are_text(day: str) -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "day": "timestamp[us, tz=UTC]"}, {"1": {"day": day}})])
    assert values(enrich(saved(workbook([["k"], ["1"]])), "x.xlsx", lookup).data)[1] == ("1", day)


def test_signs_in_front_of_text_and_numbers_stay_as_they_are() -> None:
    texts = ["-12.50", "+49 30 1234", "-", "@home", "=1+1"]
    lookup = Departments(
        [dataset("d.s", "k", {"k": "string", "v": "string"}, {str(n): {"v": t} for n, t in enumerate(texts)})]
    )
    sheet = opened(enrich(saved(workbook([["k"], *([str(n)] for n in range(5))])), "x.xlsx", lookup).data)
    assert [(cell.value, cell.data_type) for cell in sheet["B"][1:]] == [(text, "s") for text in texts]


@pytest.mark.parametrize("text", ["a", " a", "a ", "a\nb", "a b"])
def test_white_space_at_the_ends_of_added_text_is_kept_as_excel_keeps_it(text: str) -> None:
    """XlsxWriter and Excel say so of no other text (ISO/IEC 29500-1, 18.4.12)."""
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"1": {"v": text}})])
    data = enrich(saved(workbook([["k"], ["1"]])), "x.xlsx", lookup).data
    assert values(data)[1][1] == text
    assert (f'<t xml:space="preserve">{text}</t>' in sheet_xml(data)) == (text.strip() != text or "\n" in text)


def with_rows(rows: str) -> bytes:
    """A workbook whose sheet has these rows, as they are written."""
    edit = re.compile("<sheetData>.*</sheetData>", re.DOTALL)
    new = f"<sheetData>{rows}</sheetData>"
    return repacked(saved(workbook([["vendor_id"]])), {SHEET: lambda sheet: edit.sub(lambda _: new, sheet)})


def test_cells_out_of_their_order_are_not_written_over() -> None:
    rows = '<row r="1"><c r="A1" t="inlineStr"><is><t>vendor_id</t></is></c></row>'
    far, key = (
        f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>' for place, text in (("D2", "far"), ("A2", "V-00001"))
    )
    rows += f'<row r="2">{far}{key}</row>'
    data = with_rows(rows)
    after = values(enrich(data, "x.xlsx", given=MAPPING, columns=NAMES).data)
    assert after[1][3] == "far"
    assert "Acme GmbH" in after[1]


@pytest.mark.parametrize("value", ["1E+30", "NaN", "Infinity", "sNaN"])
@pytest.mark.parametrize("number_format", ["dd.mm.yyyy", "00000"])
def test_a_number_that_no_format_shows_is_no_fault(value: str, number_format: str) -> None:
    book = workbook([["vendor_id", "n"], ["V-00001", 1]])
    active(book)["B2"].number_format = number_format
    data = repacked(saved(book), {SHEET: lambda sheet: sheet.replace("<v>1</v>", f"<v>{value}</v>")})
    result = enrich(data, "x.xlsx", columns=NAMES)
    assert result.report.mappings[0].matched == 1


def test_many_empty_phonetic_hints_do_not_slow_reading_down() -> None:
    phonetic = "<is><t>V-00001</t>" + "<rPh />" * 20_000 + "</is>"
    row = f'<row r="2"><c r="A2" t="inlineStr">{phonetic}</c></row>'
    head = '<row r="1"><c r="A1" t="inlineStr"><is><t>vendor_id</t></is></c></row>'
    data = with_rows(head + row)
    limits = replace(DEFAULT_LIMITS, unpacked_seconds=5)
    assert enrich(data, "x.xlsx", given=MAPPING, columns=NAMES, limits=limits).report.mappings[0].matched == 1

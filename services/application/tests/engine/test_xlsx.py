"""XLSX: cells are added to the rows of one sheet; what else the workbook holds stays, byte by byte."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import openpyxl
import pytest
import python_calamine
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.styles import Font, PatternFill
from openpyxl.utils.escape import unescape
from services.application.tests.engine.support import VENDORS, Departments, dataset, enrich, preview
from services.application.tests.engine.workbooks import (
    SHEET,
    TEXTS,
    active,
    opened,
    repacked,
    saved,
    sheet_xml,
    values,
    with_shared_texts,
    workbook,
)

from application.engine import DEFAULT_LIMITS, Limits

NAMES = {"finance.vendors": ["name"]}
DAY = dt.datetime.fromisoformat("2026-01-02")
MAPPING = {"vendor_id": ["finance.vendors"]}


def test_each_row_gets_what_the_department_knows() -> None:
    data = saved(workbook([["invoice", "vendor_id"], [1, "V-00001"], [2, "V-9"], [3, "V-00002"]]))
    result = enrich(data, "x.xlsx")
    assert values(result.data) == [
        ("invoice", "vendor_id", "vendor_id.finance.name", "vendor_id.finance.country", "vendor_id.finance.terms"),
        (1, "V-00001", "Acme GmbH", "DE", 30),
        (2, "V-9", None, None, None),
        (3, "V-00002", 'Smith, Sons & "Co"', "GB", None),
    ]
    assert result.report.rows == 3
    assert result.progress[-1].total_rows == 3


def test_texts_in_a_table_of_their_own_are_found_and_left_alone() -> None:
    data = with_shared_texts(saved(workbook([["vendor_id", "note"], ["V-00001", "a & b"], ["V-00002", "a & b"]])))
    assert "inlineStr" not in sheet_xml(data)
    assert values(enrich(data, "x.xlsx", columns=NAMES).data)[1:] == [
        ("V-00001", "a & b", "Acme GmbH"),
        ("V-00002", "a & b", 'Smith, Sons & "Co"'),
    ]


def test_rich_text_is_one_text_and_phonetic_hints_are_none() -> None:
    def rich(text: str) -> str:
        return text.replace("<t>V-00001</t>", "<r><t>V-</t></r><r><t>00001</t></r><rPh><t>vau</t></rPh>")

    data = repacked(with_shared_texts(saved(workbook([["vendor_id"], ["V-00001"]]))), {TEXTS: rich})
    assert enrich(data, "x.xlsx").report.mappings[0].matched == 1


def test_lines_above_the_table_are_no_header() -> None:
    rows: list[list[Any]] = [["Open invoices"], [], ["as of today"], ["vendor_id", "n"], ["V-00001", 1], ["V-00002", 2]]
    result = enrich(saved(workbook(rows)), "x.xlsx", columns=NAMES)
    assert values(result.data)[3:] == [
        ("vendor_id", "n", "vendor_id.finance.name"),
        ("V-00001", 1, "Acme GmbH"),
        ("V-00002", 2, 'Smith, Sons & "Co"'),
    ]
    assert values(result.data)[0] == ("Open invoices", None, None)
    assert result.report.rows == 2


def test_kinds_of_values_stay_kinds() -> None:
    data = saved(workbook([["buyer"], ["E-00001"], ["E-00002"]]))
    assert values(enrich(data, "x.xlsx").data)[1:] == [
        ("E-00001", "ann@example.com", True),
        ("E-00002", "bob@example.com", False),
    ]


def test_added_text_that_looks_like_a_formula_is_text_and_formulas_of_the_file_stay() -> None:
    data = saved(workbook([["vendor_id", "sum"], ["V-00003", "=1+1"]]))
    sheet = opened(enrich(data, "x.xlsx", columns=NAMES).data)
    assert (sheet["B2"].data_type, sheet["B2"].value) == ("f", "=1+1")
    assert (sheet["C2"].data_type, sheet["C2"].value) == ("s", "=HYPERLINK(1)")


def test_leading_zeros_dates_and_number_formats_stay() -> None:
    book = workbook([["code", "day", "money", "vendor_id"], ["007", DAY, 1234.5, "V-00001"]])
    active(book)["C2"].number_format = "#,##0.00 €"
    sheet = opened(enrich(saved(book), "x.xlsx", columns=NAMES).data)
    assert [cell.value for cell in sheet[2]] == ["007", DAY, 1234.5, "V-00001", "Acme GmbH"]
    assert sheet["C2"].number_format == "#,##0.00 €"


def test_styles_widths_merged_cells_and_panes_stay() -> None:
    book = workbook([["vendor_id", "x"], ["V-00001", 1], ["V-00002", 2]])
    sheet = active(book)
    sheet["A1"].font = sheet["B1"].font = Font(bold=True, color="FF0000")
    sheet["A2"].fill = PatternFill("solid", fgColor="00FF00")
    sheet.column_dimensions["A"].width = 33
    sheet.merge_cells("A10:B11")
    sheet.freeze_panes = "A2"
    after = opened(enrich(saved(book), "x.xlsx", columns=NAMES).data)
    assert after["A2"].fill.fgColor.rgb == "0000FF00"
    assert after["C1"].font.bold
    assert after["C2"].value == "Acme GmbH"
    assert after.column_dimensions["A"].width == 33
    assert [str(area) for area in after.merged_cells.ranges] == ["A10:B11"]
    assert after.freeze_panes == "A2"


def test_all_other_parts_and_all_other_xml_are_kept_byte_by_byte() -> None:
    book = workbook([["vendor_id", "x"], ["V-00001", 1]])
    book.create_sheet("Other").append(["vendor_id", "V-00001"])
    data = saved(book)
    result = enrich(data, "x.xlsx", columns=NAMES)
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(io.BytesIO(result.data)) as after:
        assert before.namelist() == after.namelist()
        changed = [name for name in before.namelist() if before.read(name) != after.read(name)]
        assert after.testzip() is None
    assert changed == [SHEET]
    added = r'<c r="C\d+"[^>]*>.*?</c>'
    assert re.sub(added, "", sheet_xml(result.data)).replace('"A1:C2"', '"A1:B2"') == sheet_xml(data)
    assert "'Data'" in result.report.warnings[0]


def test_the_first_visible_sheet_with_a_table_is_enriched() -> None:
    book = workbook([["only a title"]], "Cover")
    hidden = book.create_sheet("Hidden")
    hidden.append(["vendor_id"])
    hidden.append(["V-00001"])
    hidden.sheet_state = "hidden"
    table = book.create_sheet("Table")
    table["B3"], table["C3"] = "vendor_id", "n"
    table["B4"], table["C4"] = "V-00001", 1
    result = enrich(saved(book), "x.xlsx", columns=NAMES)
    after = openpyxl.load_workbook(io.BytesIO(result.data))
    assert [cell.value for cell in after["Table"][4]] == [None, "V-00001", 1, "Acme GmbH"]
    assert list(after["Hidden"].values) == [("vendor_id",), ("V-00001",)]


def test_rows_with_gaps_and_rows_without_numbers_are_understood() -> None:
    data = saved(workbook([["vendor_id", "x"], ["V-00001", 1], [None, None], ["V-00002", 2]]))
    bare = repacked(data, {SHEET: lambda text: re.sub(r' r="[A-Z]*\d+"', "", text)})
    for version in (data, bare):
        result = enrich(version, "x.xlsx", columns=NAMES)
        assert result.report.rows == 2
        assert [row for row in values(result.data) if row[0]] == [
            ("vendor_id", "x", "vendor_id.finance.name"),
            ("V-00001", 1, "Acme GmbH"),
            ("V-00002", 2, 'Smith, Sons & "Co"'),
        ]


def test_elements_with_a_prefix_get_cells_with_the_prefix() -> None:
    data = saved(workbook([["vendor_id", "note"], ["V-00002", "a < b & c"]]))

    def prefixed(text: str) -> str:
        text = text.replace('xmlns="http', 'xmlns:x="http')
        return re.sub(r"<(/?)(?=[a-zA-Z])", r"<\1x:", text)

    result = enrich(repacked(data, {SHEET: prefixed}), "x.xlsx", columns=NAMES)
    assert values(result.data)[1] == ("V-00002", "a < b & c", 'Smith, Sons & "Co"')


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("<si>", "<!-- <si><t>V-9</t></si> --><si>"),
        lambda text: text.replace("<t>V-00002</t>", "<t><![CDATA[V-00002]]></t>"),
        lambda text: text.replace("V-00002", "V-&#48;000&#x32;"),
        lambda text: text.replace("<t>", '<t xml:space="preserve">'),
        lambda text: text.replace("<t>x</t>", "<t>x</t><rPh><t>V-00001</t></rPh><phoneticPr fontId='1'/>"),
        lambda text: text.replace("<si><t>x</t></si>", "<si/>"),
        lambda text: text.replace("<si><t>x</t></si>", "<si></si>"),
        lambda text: text.replace("<t>x</t>", f"<t>{'long ' * 20_000}</t>"),
        lambda text: re.sub(r"</?(?:si|t)\b", lambda tag: tag[0] + "\n", text),
        lambda text: re.sub(r"<(/?)(?=[a-z])", r"<\1x:", text).replace("xmlns=", "xmlns:x="),
    ],
)
def test_shared_texts_may_be_written_in_any_way(edit: Callable[[str], str]) -> None:
    data = with_shared_texts(saved(workbook([["vendor_id", "n"], ["V-00001", "x"], ["V-00002", "x"]])))
    edited = repacked(data, {TEXTS: edit})
    assert python_calamine.load_workbook(io.BytesIO(edited)).get_sheet_by_index(0).to_python()[2][0] == "V-00002"
    assert enrich(edited, "x.xlsx", given={"vendor_id": ["finance.vendors"]}).report.mappings[0].matched == 2


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("<sheetData>", "<sheetData><!-- <row r='9'><c r='A9'><v>1</v></c></row> -->"),
        lambda text: text.replace("<sheetData>", "<!-- <sheetData> --><sheetData>"),
        lambda text: text.replace("<t>V-00002</t>", "<t><![CDATA[V-00002]]></t>"),
        lambda text: text.replace("V-00002", "V-&#48;000&#x32;"),
        lambda text: text.replace("<t>x</t>", '<t> r=&quot;A2" r="A3"</t>'),
        lambda text: text.replace(' r="A3"', " r='A3'"),
        lambda text: re.sub(r"(</?(?:row|c|is|t|sheetData)\b[^>/]*)>", "\\1\n>", text),
    ],
)
@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, replace(DEFAULT_LIMITS, block=200)])
def test_xml_may_be_written_in_any_way(edit: Callable[[str], str], limits: Limits) -> None:
    data = saved(workbook([["vendor_id", "note"], ["V-00001", "x"], ["V-00002", "y"]]))
    odd = repacked(data, {SHEET: edit})
    assert odd != data
    before, after = values(odd), values(enrich(odd, "x.xlsx", given=MAPPING, columns=NAMES, limits=limits).data)
    assert [row[:2] for row in after] == before
    assert [row[2] for row in after[1:]] == ["Acme GmbH", 'Smith, Sons & "Co"']


def test_numbers_are_keys_as_people_write_them() -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"7": {"v": "a"}, "7.5": {"v": "b"}})])
    data = saved(workbook([["k"], [7], [7.0], ["7"], [7.5]]))
    assert [row[1] for row in values(enrich(data, "x.xlsx", lookup).data)[1:]] == ["a", "a", "a", "b"]


def test_text_that_xml_cannot_hold_is_written_as_office_does() -> None:
    odd = "a<b>&\"'\x01\n\r_x0041_ \ud800"
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"1": {"v": odd}})])
    sheet = opened(enrich(saved(workbook([["k"], ["1"]])), "x.xlsx", lookup).data)
    assert unescape(str(sheet["B2"].value)) == "a<b>&\"'\x01\n\r_x0041_ ?"


def test_text_longer_than_a_cell_is_cut_off_with_a_warning() -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"1": {"v": "x" * 40_000}})])
    result = enrich(saved(workbook([["k"], ["1"]])), "x.xlsx", lookup)
    assert len(str(opened(result.data)["B2"].value)) == 32_767
    assert "cut off" in result.report.warnings[-1]


@pytest.mark.slow
def test_the_header_of_a_wide_sheet_among_many_is_found() -> None:
    book = workbook(
        [["Report"], [], [*(f"c{number}" for number in range(4000)), "vendor_id"], [1] * 4000 + ["V-00001"]]
    )
    for number in range(50):
        book.create_sheet(f"Notes {number}").append(["see Data"])
    result = enrich(saved(book), "x.xlsx", columns=NAMES)
    assert values(result.data)[3][-2:] == ("V-00001", "Acme GmbH")


def test_integers_too_large_for_a_spreadsheet_are_text() -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "int64"}, {"1": {"v": 12345678901234567}})])
    assert opened(enrich(saved(workbook([["k"], ["1"]])), "x.xlsx", lookup).data)["B2"].value == "12345678901234567"


def test_the_preview_shows_the_first_rows() -> None:
    data = saved(workbook([["vendor_id", "n"], ["V-00001", 7], ["V-00002", None]]))
    shown = preview(data, "x.xlsx", columns=NAMES, rows=5)
    assert shown.rows == (("V-00001", "7", "Acme GmbH"), ("V-00002", None, 'Smith, Sons & "Co"'))


def test_every_sheet_with_keys_is_enriched_and_a_cover_sheet_is_not() -> None:
    book = workbook(
        [["Orders export 2026"], ["Created by: SAP"], ["vendor_id", "the vendor's number"], ["n", "a count"]], "Read me"
    )
    sheets: dict[str, list[list[Any]]] = {
        "Orders": [["Orders of May", None], ["n", "vendor_id"], [1, "V-00001"]],
        "Old": [["vendor_id"], ["V-00002"]],
        "People": [["n", "x", "buyer"], [1, 2, "E-00001"], [1, 2, "E-9"]],
    }
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    result = enrich(saved(book), "x.xlsx", columns={**NAMES, "hr.employees": ["active"]})
    after = openpyxl.load_workbook(io.BytesIO(result.data))
    assert {sheet.title: list(sheet.values) for sheet in after.worksheets} == {
        "Read me": list(book["Read me"].values),
        "Orders": [
            ("Orders of May", None, None),
            ("n", "vendor_id", "vendor_id.finance.name"),
            (1, "V-00001", "Acme GmbH"),
        ],
        "Old": [("vendor_id", "vendor_id.finance.name"), ("V-00002", 'Smith, Sons & "Co"')],
        "People": [("n", "x", "buyer", "buyer.hr.active"), (1, 2, "E-00001", True), (1, 2, "E-9", None)],
    }
    assert result.report.rows == 4
    assert {entry.column: (entry.matched, entry.unmatched, entry.empty) for entry in result.report.mappings} == {
        "vendor_id": (2, 0, 0),
        "buyer": (1, 1, 0),
    }
    assert "'Orders' and 'Old' and 'People'" in result.report.warnings[0]
    assert {entry.column for entry in preview(saved(book), "x.xlsx").mapping} == {"vendor_id", "buyer"}


def test_a_header_that_is_found_by_its_values_may_stand_below_lines_with_several_cells() -> None:
    rows: list[list[Any]] = [["Report", "May"], ["By", "Ann"], ["Nummer", "n"], ["V-00001", 1], ["V-00002", 2]]
    result = enrich(saved(workbook(rows)), "x.xlsx", columns=NAMES)
    assert values(result.data)[2:4] == [("Nummer", "n", "Nummer.finance.name"), ("V-00001", 1, "Acme GmbH")]


def test_empty_cells_with_a_style_are_no_obstacle_and_keep_their_style() -> None:
    book = workbook([["vendor_id", "x"], ["V-00001", 1], ["V-9", 2]])
    sheet = active(book)
    for place in ("C2", "D2", "D3", "XFD1"):
        sheet[place].fill = PatternFill("solid", fgColor="00FF00")
    after = opened(enrich(saved(book), "x.xlsx", columns={"finance.vendors": ["name", "country"]}).data)
    assert [cell.value for cell in after[2][:4]] == ["V-00001", 1, "Acme GmbH", "DE"]
    filled = [cell.coordinate for row in after for cell in row if cell.fill.fgColor.rgb == "0000FF00"]
    assert filled == ["XFD1", "C2", "D2", "D3"]


def _shouting(names: list[str]) -> dict[str, str]:
    return {name: name.replace("sheet1", "Sheet1").replace("workbook.xml", "Workbook.XML") for name in names}


def _backslashes(names: list[str]) -> dict[str, str]:
    return {name: name.replace("/", "\\") for name in names}


def _at_the_root(names: list[str]) -> dict[str, str]:
    return {name: name.removeprefix("xl/") for name in names}


@pytest.mark.parametrize("renamed", [_shouting, _backslashes, _at_the_root])
def test_packages_that_excel_opens_are_opened(renamed: Callable[[list[str]], dict[str, str]]) -> None:
    data = with_shared_texts(saved(workbook([["vendor_id"], ["V-00001"]])))
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name, other in renamed(old.namelist()).items():
            content = old.read(name)
            if renamed is _at_the_root:
                content = content.replace(b"/xl/", b"/").replace(b'"xl/', b'"')
            new.writestr(other, content)
    result = enrich(buffer.getvalue(), "x.xlsx", columns=NAMES)
    assert result.report.mappings[0].matched == 1
    with zipfile.ZipFile(io.BytesIO(result.data)) as archive:
        assert archive.namelist() == zipfile.ZipFile(buffer).namelist()


CELLS = (
    st.none()
    | st.integers(-(10**12), 10**12)
    | st.booleans()
    | st.text(
        st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff\x7f"), max_size=8
    ).filter(lambda text: not text.startswith("=") and "_x" not in text)
)
KEYS = st.sampled_from(["V-00001", "V-00002", "V-00004", "V-9", None])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELLS, KEYS, CELLS), min_size=1, max_size=12), st.booleans())
def test_any_sheet_keeps_its_cells_and_gets_the_added_ones(rows: list[tuple[Any, str | None, Any]], tiny: bool) -> None:
    data = saved(workbook([("a", "vendor_id", "b"), *rows, ("end", "V-00001", "end")]))
    limits = replace(DEFAULT_LIMITS, block=200, cached_keys=1) if tiny else DEFAULT_LIMITS
    after = values(enrich(data, "x.xlsx", given=MAPPING, columns=NAMES, limits=limits).data)
    before = values(data)
    assert [row[:3] for row in after] == before
    filled = [row for row in after[1:] if any(cell not in (None, "") for cell in row[:3])]
    assert [row[3] for row in filled] == [VENDORS.rows.get(row[1], {}).get("name") for row in filled]

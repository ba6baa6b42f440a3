"""XLSX: what belongs to a table grows with it, so that sorting in a spreadsheet keeps each row together."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from typing import Any

import openpyxl
import pytest
from openpyxl.formatting.rule import Rule
from openpyxl.styles import PatternFill
from openpyxl.styles.differential import DifferentialStyle
from openpyxl.workbook import Workbook
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.table import Table, TableColumn
from services.application.tests.engine.support import enrich
from services.application.tests.engine.workbooks import active, opened, repacked, saved, workbook

NAMES = {"finance.vendors": ["name", "country"]}
ADDED = ["vendor_id.finance.name", "vendor_id.finance.country"]
ROWS: list[list[Any]] = [["vendor_id", "n"], ["V-00001", 1], ["V-00002", 2]]


def with_table(rows: Sequence[Sequence[Any]], reference: str, name: str = "Orders", **options: Any) -> Workbook:
    book = workbook(rows)
    active(book).add_table(Table(displayName=name, ref=reference, **options))
    return book


def test_a_table_gets_the_added_columns() -> None:
    after = opened(enrich(saved(with_table(ROWS, "A1:B3")), "x.xlsx", columns=NAMES).data).tables["Orders"]
    assert (after.ref, after.autoFilter.ref) == ("A1:D3", "A1:D3")
    assert [column.name for column in after.tableColumns] == ["vendor_id", "n", *ADDED]
    assert len({column.id for column in after.tableColumns}) == 4


def test_the_total_row_of_a_table_is_no_data() -> None:
    book = with_table([*ROWS, ["Total", 3]], "A1:B4", totalsRowCount=1)
    table = active(book).tables["Orders"]
    table._initialise_columns()
    table.autoFilter.ref = "A1:B3"
    result = enrich(saved(book), "x.xlsx", columns=NAMES)
    after = opened(result.data)
    assert (after.tables["Orders"].ref, after.tables["Orders"].autoFilter.ref) == ("A1:D4", "A1:D3")
    assert (result.report.rows, result.report.mappings[0].unmatched) == (2, 0)
    assert [cell.value for cell in after[4]] == ["Total", 3, None, None]


def test_names_of_table_columns_keep_line_ends_and_quotes() -> None:
    book = with_table([['a "b" <c>\n&', "x"], ["V-00001", 1]], "A1:B2")
    active(book).tables["Orders"].tableColumns = [TableColumn(id=7, name="a"), TableColumn(id=3, name="x")]
    mapping = {'a "b" <c>\n&': ["finance.vendors"]}
    table = opened(enrich(saved(book), "x.xlsx", given=mapping, columns=NAMES).data).tables["Orders"]
    assert [column.id for column in table.tableColumns] == [7, 3, 8, 9]
    assert table.tableColumns[2].name == 'a "b" <c>\n&.finance.name'


def test_a_filter_and_its_hidden_name_take_in_the_added_columns() -> None:
    book = workbook(ROWS, "It's")
    active(book).auto_filter.ref = "A1:B3"
    after = openpyxl.load_workbook(io.BytesIO(enrich(saved(book), "x.xlsx", columns=NAMES).data))
    assert active(after).auto_filter.ref == "A1:D3"
    data = saved(book)
    hidden = '<definedName name="_xlnm._FilterDatabase" localSheetId="0" hidden="1">\'It\'\'s\'!$A$1:$B$3</definedName>'
    named = repacked(
        data,
        {
            "xl/workbook.xml": lambda text: re.sub(
                "<definedNames>.*</definedNames>", f"<definedNames>{hidden}</definedNames>", text
            )
        },
    )
    result = enrich(named, "x.xlsx", columns=NAMES).data
    with zipfile.ZipFile(io.BytesIO(result)) as archive:
        assert "$A$1:$D$3" in archive.read("xl/workbook.xml").decode()


def _rule(formula: str) -> Rule:
    return Rule("expression", formula=[formula], dxf=DifferentialStyle(fill=PatternFill("solid", bgColor="00FF00")))


def test_names_print_areas_formats_and_validations_of_the_whole_table_grow_and_those_of_a_column_stay() -> None:
    book = workbook(ROWS)
    sheet = active(book)
    sheet.print_area = "A1:B3"
    sheet.conditional_formatting.add("A2:B3", _rule("$B2>1"))
    sheet.conditional_formatting.add("B2:B3", _rule("$B2>2"))
    for area in ("A2:B3", "B2:B3"):
        validation = DataValidation("custom", formula1="TRUE")
        validation.add(area)
        sheet.add_data_validation(validation)
    for name, area in {
        "all": "Data!$A$1:$B$3",
        "columns": "Data!$A:$B",
        "n": "Data!$B$2:$B$3",
        "data": "Data!$A$2:$B$3",
    }.items():
        book.defined_names[name] = DefinedName(name, attr_text=area)
    book.defined_names["calc"] = DefinedName("calc", attr_text="SUM(Data!$A$1:$B$3)")
    after = openpyxl.load_workbook(io.BytesIO(enrich(saved(book), "x.xlsx", columns=NAMES).data))
    sheet = active(after)
    assert sheet.print_area == "'Data'!$A$1:$D$3"
    assert [str(found.sqref) for found in sheet.conditional_formatting] == ["A2:D3", "B2:B3"]
    assert [str(found.sqref) for found in sheet.data_validations.dataValidation] == ["A2:D3", "B2:B3"]
    assert {name: found.attr_text for name, found in after.defined_names.items()} == {
        "all": "Data!$A$1:$D$3",
        "columns": "Data!$A:$D",
        "n": "Data!$B$2:$B$3",
        "data": "Data!$A$2:$B$3",
        "calc": "SUM(Data!$A$1:$B$3)",
    }


@pytest.mark.parametrize("kind", ["table", "filter"])
def test_a_warning_says_what_does_not_take_in_the_added_columns(kind: str) -> None:
    rows = [[*row, None, "note"] for row in ROWS]
    book = with_table(rows, "A1:B3") if kind == "table" else workbook(rows)
    if kind == "filter":
        active(book).auto_filter.ref = "A1:B3"
    result = enrich(saved(book), "x.xlsx", columns=NAMES)
    assert opened(result.data)["E1"].value == ADDED[0]
    warning = next(text for text in result.report.warnings if "outside" in text)
    assert kind in warning
    assert "A1:B3" in warning
    assert "E1:F3" in warning


def test_a_table_elsewhere_on_the_sheet_stays_as_it_is() -> None:
    book = with_table([*ROWS, [], ["k", "v"], ["a", 1]], "A5:B6", "Other")
    result = enrich(saved(book), "x.xlsx", columns=NAMES)
    assert opened(result.data).tables["Other"].ref == "A5:B6"

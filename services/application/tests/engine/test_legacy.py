"""Workbooks in the formats .xls, .xlsb and .ods: read as other libraries read them, and written as .xlsx."""

from __future__ import annotations

import datetime as dt
import io
import struct
import zipfile
from typing import Any

import openpyxl
import pytest
import python_calamine
import xlwt
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from services.application.tests.engine.support import Enriched, enrich, enrich_or_refuse, preview, refusal

from application.engine import Format, detect_format

MAPPING = {"vendor_id": ["finance.vendors"]}
NAMES = {"finance.vendors": ["name"]}
LARGEST = 2**53 - 1
PLAIN = xlwt.Style.default_style
P = "<text:p>"
REPEATED = "table:number-columns-repeated"


def xls(*rows: list[Any], formats: dict[int, str] | None = None, from_1904: bool = False) -> bytes:
    """A workbook; ``formats`` are by column."""
    book = xlwt.Workbook()
    book.dates_1904 = from_1904
    sheet = book.add_sheet("Data")
    styles = {column: xlwt.easyxf(num_format_str=code) for column, code in (formats or {}).items()}
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if value == "#DIV/0!":
                sheet.row(number).set_cell_error(column, value)
            else:
                sheet.write(number, column, value, styles[column] if number and column in styles else PLAIN)
    sheet.write_merge(10, 10, 0, 1, "merged")
    hidden = book.add_sheet("Hidden")
    hidden.visibility = 1
    hidden.write(0, 0, "secret")
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def cell(kind: str, text: str = "", **attributes: str) -> str:
    """A cell; ``value="1"`` is the attribute ``office:value``, ``number_columns_repeated`` one of tables."""
    named = "".join(
        f' {"table" if name.startswith("number") else "office"}:{name.replace("_", "-")}="{value}"'
        for name, value in attributes.items()
    )
    return f'<table:table-cell office:value-type="{kind}"{named}><text:p>{text}</text:p></table:table-cell>'


def ods(*rows: str, after: str = "", styles: str = "") -> bytes:
    """A workbook with the sheet Data, as OpenDocument 1.3, part 3 has it."""
    urn, names = "urn:oasis:names:tc:opendocument:xmlns", ("office", "table", "text", "style")
    space = "".join(f' xmlns:{name}="{urn}:{name}:1.0"' for name in names)
    lines = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f'<office:document-content{space} xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:'
            f'calcext:1.0" office:version="1.3"><office:automatic-styles>{styles}</office:automatic-styles>'
            f'<office:body><office:spreadsheet><table:table table:name="Data">{lines}</table:table>{after}'
            "</office:spreadsheet></office:body></office:document-content>",
        )
        manifest = f'<manifest:manifest xmlns:manifest="{urn}:manifest:1.0"/>'
        archive.writestr("META-INF/manifest.xml", manifest)
    return sink.getvalue()


def record(kind: int, data: bytes) -> bytes:
    """A record of [MS-XLSB], section 2.1.4: its number and its size in seven bits a byte, then its content."""
    head = [kind & 0x7F | (0x80 if kind > 0x7F else 0), *([kind >> 7] if kind > 0x7F else [])]
    size = len(data)
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + data


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text.encode("utf-16-le")) // 2) + text.encode("utf-16-le")


def binary_cell(column: int, kind: int, value: bytes, style: int = 0) -> bytes:
    return record(kind, struct.pack("<II", column, style) + value)


def xlsb(*cells: bytes, from_1904: bool = False) -> bytes:
    """A workbook with the sheet Data, whose second row has a key and ``cells``; style 1 is 00000, style 2 a date."""
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kinds = {"worksheet": "worksheets/sheet1.bin", "styles": "styles.bin", "sharedStrings": "sharedStrings.bin"}
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    listed = "".join(
        f'<Relationship Id="rId{number}" Type="{relation}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(kinds.items(), start=1)
    )
    root = f'<Relationship Id="rId1" Type="{relation}/officeDocument" Target="xl/workbook.bin"/>'
    content = "application/vnd.ms-excel.sheet.binary.macroEnabled.main"
    text = struct.pack("<I", 0)
    sheet = [
        record(129, b"") + record(148, struct.pack("<IIII", 0, 4, 0, 5)) + record(145, b""),
        record(0, struct.pack("<I", 0) + bytes(21)),
        binary_cell(0, 7, text) + binary_cell(1, 6, wide("x")),
        record(0, struct.pack("<I", 1) + bytes(21)),
        binary_cell(0, 6, wide("V-00001")),
        *cells,
        record(146, b""),
        record(177, struct.pack("<I", 1)) + record(176, struct.pack("<IIII", 4, 4, 0, 1)) + record(178, b""),
        record(130, b""),
    ]
    styles = b"".join(record(47, struct.pack("<HH", 0, number) + bytes(12)) for number in (0, 164, 14))
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Default Extension="bin" ContentType="{content}"/></Types>',
        "_rels/.rels": f"{relations}{root}</Relationships>",
        "xl/_rels/workbook.bin.rels": f"{relations}{listed}</Relationships>",
        "xl/workbook.bin": record(131, b"")
        + record(153, struct.pack("<II", int(from_1904), 0) + wide(""))
        + record(143, b"")
        + record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("Data"))
        + record(144, b"")
        + record(157, bytes(26))
        + record(132, b""),
        "xl/sharedStrings.bin": record(159, struct.pack("<II", 1, 1))
        + record(19, b"\0" + wide("vendor_id"))
        + record(160, b""),
        "xl/styles.bin": record(278, b"")
        + record(615, struct.pack("<I", 1))
        + record(44, struct.pack("<H", 164) + wide("00000"))
        + record(616, b"")
        + record(617, struct.pack("<I", 3))
        + styles
        + record(618, b"")
        + record(279, b""),
        "xl/worksheets/sheet1.bin": b"".join(sheet),
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return sink.getvalue()


HEADER = cell("string", "vendor_id") + cell("string", "x")
KEY = cell("string", "V-00001")


def rows_of(data: bytes) -> list[list[Any]]:
    sheet = openpyxl.load_workbook(io.BytesIO(data))["Data"]
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def of_ods(*cells: str) -> tuple[Any, Any]:
    """What comes back of cells beside a key, and what calamine reads in the file."""
    data = ods(HEADER, KEY + "".join(cells))
    result = enrich(data, "x.ods", given=MAPPING, columns=NAMES)
    row = rows_of(result.data)[1]
    assert (row[0], row[-1]) == ("V-00001", "Acme GmbH")
    return row[1], python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_index(0).to_python()[1][1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "General"),
        (-12.5, "0.00"),
        (LARGEST, "General"),
        (0.1 + 0.2, "General"),
        (1e300, "General"),
        (0.25, "0.00%"),
        (True, "General"),
        ("00501", "General"),
        ('a "b" <c> & d\ne  f', "General"),
        (dt.datetime.fromisoformat("2024-02-29"), "yyyy-mm-dd"),
        (dt.datetime.fromisoformat("1999-12-31T23:59:59"), "dd.mm.yyyy hh:mm:ss"),
        (dt.time(13, 45, 30), "hh:mm:ss"),
        (501, "00000"),
        ("#DIV/0!", "General"),
    ],
)
@pytest.mark.parametrize("from_1904", [False, True])
def test_values_and_formats_of_xls_are_kept(value: Any, shown: str, from_1904: bool) -> None:
    data = xls(["vendor_id", "x"], ["V-00001", value], formats={1: shown}, from_1904=from_1904)
    result = enrich(data, "x.xls", given=MAPPING, columns=NAMES)
    sheet = openpyxl.load_workbook(io.BytesIO(result.data))["Data"]
    assert sheet["B2"].value == value
    assert sheet["B2"].data_type == ("e" if value == "#DIV/0!" else cell_type(value))
    assert (sheet["B2"].number_format, sheet["C2"].value) == (shown, "Acme GmbH")


def cell_type(value: Any) -> str:
    """The kind of a cell that openpyxl itself would write for a value."""
    return str(openpyxl.Workbook().create_sheet().cell(1, 1, value).data_type)


def test_text_of_xls_that_looks_like_an_escape_is_kept() -> None:
    result = enrich(xls(["vendor_id", "x"], ["V-00001", "_x000D_"]), "x.xls", given=MAPPING)
    assert unescape(rows_of(result.data)[1][1]) == "_x000D_"


def test_sheets_and_merged_cells_of_xls_are_kept() -> None:
    data = xls(["vendor_id", "x"], ["V-00001", 1])
    book = openpyxl.load_workbook(io.BytesIO(enrich(data, "x.xls", given=MAPPING).data))
    assert [(sheet.title, sheet.sheet_state) for sheet in book] == [("Data", "visible"), ("Hidden", "hidden")]
    assert book["Hidden"]["A1"].value == "secret"
    assert [str(area) for area in book["Data"].merged_cells.ranges] == ["A11:B11"]


def test_keys_of_xls_are_what_a_person_sees() -> None:
    data = xls(["vendor_id"], [1], [2], formats={0: '"V-"00000'})
    result = enrich(data, "x.xls", given=MAPPING, columns=NAMES)
    assert [row[-1] for row in rows_of(result.data)[1:3]] == ["Acme GmbH", 'Smith, Sons & "Co"']


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (cell("float", "1", value="1"), 1),
        (cell("float", "9.01E+15", value=str(LARGEST)), LARGEST),
        (cell("float", "0.3", value="0.30000000000000004"), 0.1 + 0.2),
        (cell("float", "1E+300", value="1E+300"), 1e300),
        (cell("percentage", "25.00 %", value="0.25"), 0.25),
        (cell("currency", "12,50 EUR", value="12.5"), 12.5),
        (cell("string", "00501"), "00501"),
        (cell("string", "a<text:s text:c='3'/>b"), "a   b"),
        (cell("string", "a</text:p><text:p>b"), "a\nb"),
        (cell("string", "<text:span>a &amp;</text:span> b"), "a & b"),
    ],
)
def test_values_of_ods_are_those_that_calamine_reads(given: str, value: Any) -> None:
    assert of_ods(given) == (value, value)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        # Of these calamine reads nothing, a text or another kind.
        (cell("string", "\n a  b<text:tab/>c<text:line-break/>d"), "a b\tc\nd"),
        (cell("boolean", "TRUE", boolean_value="true"), True),
        (cell("date", "29.02.24", date_value="2024-02-29"), dt.datetime.fromisoformat("2024-02-29")),
        (cell("date", "x", date_value="1999-12-31T23:59:59"), dt.datetime.fromisoformat("1999-12-31T23:59:59")),
        (cell("date", "31.12.1899", date_value="1899-12-31"), "1899-12-31"),
        (cell("time", "13:45", time_value="PT13H45M30S"), dt.time(13, 45, 30)),
        (cell("time", "30:05", time_value="PT30H05M00.5S"), dt.timedelta(hours=30, minutes=5, seconds=0.5)),
        (cell("string", "#N/A").replace("office:value-type", 'calcext:value-type="error" office:value-type'), "#N/A"),
        (cell("float", "12345678901234567890", value="12345678901234567890"), 12345678901234567890),
        (cell("string", "a").replace(P, f"<office:annotation>{P}note</text:p></office:annotation>{P}"), "a"),
    ],
)
def test_values_of_ods_are_those_of_its_specification(given: str, value: Any) -> None:
    assert of_ods(given)[0] == value


def real(value: float) -> bytes:
    return struct.pack("<d", value)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (binary_cell(1, 5, real(LARGEST)), LARGEST),
        (binary_cell(1, 9, real(0.1 + 0.2) + bytes(6)), 0.1 + 0.2),
        (binary_cell(1, 2, struct.pack("<i", -7 << 2 | 2)), -7),
        (binary_cell(1, 2, struct.pack("<i", 1234 << 2 | 3)), 12.34),
        (binary_cell(1, 2, real(2.5)[4:]), 2.5),
        (binary_cell(1, 4, b"\1"), True),
        (binary_cell(1, 10, b"\0" + bytes(6)), False),
        (binary_cell(1, 6, wide("00501")), "00501"),
        (binary_cell(1, 8, wide("result \N{GRINNING FACE}") + bytes(6)), "result \N{GRINNING FACE}"),
        (binary_cell(1, 7, struct.pack("<I", 0)), "vendor_id"),
    ],
)
def test_values_of_xlsb_are_those_that_calamine_reads(given: bytes, value: Any) -> None:
    data = xlsb(given)
    row = rows_of(enrich(data, "x.xlsb", given=MAPPING, columns=NAMES).data)[1]
    assert row == ["V-00001", value, "Acme GmbH"]
    assert python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_name("Data").to_python()[1] == row[:2]


@pytest.mark.parametrize("from_1904", [False, True])
def test_formats_errors_and_merged_cells_of_xlsb_are_kept(from_1904: bool) -> None:
    cells = [
        binary_cell(1, 5, real(501), style=1),
        binary_cell(2, 5, real(40_000), style=2),
        binary_cell(3, 3, b"\x2a"),
        binary_cell(4, 11, b"\7" + bytes(6)),
        binary_cell(5, 1, b"", style=1),
        # calamine does not read it; LibreOffice does.
        binary_cell(6, 62, b"\0" + wide("rich")),
    ]
    data = xlsb(*cells, from_1904=from_1904)
    sheet = openpyxl.load_workbook(io.BytesIO(enrich(data, "x.xlsb", given=MAPPING).data))["Data"]
    read = python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_name("Data").to_python()[1]
    assert (sheet["B2"].value, sheet["B2"].number_format) == (501, "00000")
    assert sheet["C2"].value.date() == read[2]
    assert [cell.value for cell in sheet[2][3:7]] == ["#N/A", "#DIV/0!", None, "rich"]
    assert [str(area) for area in sheet.merged_cells.ranges] == ["A5:B5"]


def test_leading_zeros_and_percents_of_ods_are_shown_and_are_keys() -> None:
    assert of_ods(cell("float", "00501", value="501"))[0] == 501
    data = ods(HEADER, KEY + cell("float", "00501", value="501") + cell("percentage", "25,00%", value="0.25"))
    sheet = openpyxl.load_workbook(io.BytesIO(enrich(data, "x.ods", given=MAPPING).data))["Data"]
    assert (sheet["B2"].number_format, sheet["C2"].number_format) == ("00000", "0.00%")


def test_repeated_and_merged_cells_and_hidden_sheets_of_ods_are_kept() -> None:
    styles = '<style:style style:name="ta2"><style:table-properties table:display="false"/></style:style>'
    after = (
        '<table:table table:name="Hid[d]en" table:style-name="ta2"><table:table-row>'
        f"{cell('string', 'secret')}</table:table-row></table:table>"
    )
    gap = f'<table:table-cell {REPEATED}="2"/>'
    data = ods(
        cell("string", "a", number_columns_spanned="3")
        + '<table:covered-table-cell table:number-columns-repeated="2"/>',
        gap + HEADER,
        gap + KEY + cell("float", "7", value="7", number_columns_repeated="2"),
        after=after,
        styles=styles,
    )
    book = openpyxl.load_workbook(io.BytesIO(enrich(data, "x.ods", given=MAPPING, columns=NAMES).data))
    assert [(sheet.title, sheet.sheet_state) for sheet in book] == [("Data", "visible"), ("Hid_d_en", "hidden")]
    assert [str(area) for area in book["Data"].merged_cells.ranges] == ["A1:C1"]
    assert [c.value for c in book["Data"][3]] == [None, None, "V-00001", 7, 7, "Acme GmbH"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (xls(["vendor_id"], ["V-00001"]), "x.xls"),
        (ods(HEADER, KEY), "x.ods"),
        (xlsb(), "x.xlsb"),
        (xlsb(), "x.xlsx"),
    ],
)
def test_that_the_result_is_another_format_is_said_before_and_after(data: bytes, name: str) -> None:
    kind = name[2:] if name != "x.xlsx" else "xlsb"
    converted = preview(data, name).detected.converted
    assert converted is not None
    assert converted.value == kind
    assert "the result is a new .xlsx file" in converted.reason
    result: Enriched = enrich(data, name)
    assert converted.reason in result.report.warnings
    assert result.progress[-1].total_bytes == len(data)
    assert detect_format("result.xlsx", result.data) is Format.XLSX


def test_an_encrypted_workbook_is_refused_in_words() -> None:
    ole = container_with_password()
    assert refusal(ole, "x.xls").slug == "encrypted-file"
    data = ods(HEADER, KEY)
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w") as new:
        for part in old.namelist():
            text = old.read(part).decode()
            if part == "META-INF/manifest.xml":
                text = text.replace("/>", "><manifest:encryption-data/></manifest:manifest>")
            new.writestr(part, text)
    assert refusal(sink.getvalue(), "x.ods").slug == "encrypted-file"


def container_with_password() -> bytes:
    """A container without a stream called Workbook, as one with a password is ([MS-OFFCRYPTO], 2.3)."""
    sink = io.BytesIO()
    document = xlwt.CompoundDoc.XlsDoc()
    document.save(sink, b"x" * 5000)
    return sink.getvalue().replace("Workbook".encode("utf-16-le"), "Encrypte".encode("utf-16-le"))


def test_a_bomb_of_repeated_cells_is_refused() -> None:
    """A row with 16,000 cells stands for 1,048,575 like it."""
    row = KEY + cell("float", "1", value="1", number_columns_repeated="16000")
    data = ods(HEADER, f'{row}</table:table-row><table:table-row table:number-rows-repeated="1048575">{row}')
    assert len(data) < 5000
    error = refusal(data, "x.ods", given=MAPPING, columns=NAMES)
    assert "more than 25,000,000 cells" in error.detail


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=64), st.floats(0, 1))
def test_a_damaged_workbook_is_refused_or_read(junk: bytes, place: float) -> None:
    for data, name in ((xls(["vendor_id"], ["V-00001"]), "x.xls"), (ods(HEADER, KEY), "x.ods"), (xlsb(), "x.xlsb")):
        at = 8 + int(place * (len(data) - 8))
        enrich_or_refuse(data[:at] + junk + data[at + len(junk) :], name, MAPPING)

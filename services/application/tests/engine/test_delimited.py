"""CSV and TSV: what a person sees in the file that comes back."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from services.application.tests.engine.support import Departments, dataset, enrich, preview

VENDOR_NAMES = {"finance.vendors": ["name"]}


def rows_of(data: bytes, delimiter: str = ",", encoding: str = "utf-8-sig") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter))


def test_each_row_gets_what_the_department_knows() -> None:
    result = enrich(b"invoice,vendor_id\n1,V-00001\n2,V-00002\n", "invoices.csv")
    assert result.text == (
        "invoice,vendor_id,vendor_id.finance.name,vendor_id.finance.country,vendor_id.finance.terms\n"
        "1,V-00001,Acme GmbH,DE,30\n"
        '2,V-00002,"Smith, Sons & ""Co""",GB,\n'
    )
    assert result.report.rows == 2
    assert result.report.columns_added == (
        "vendor_id.finance.name",
        "vendor_id.finance.country",
        "vendor_id.finance.terms",
    )


def test_several_columns_may_map_to_one_data_set() -> None:
    result = enrich(b"buyer,approver\nE-00001,E-00002\nE-00002,\n", "x.csv", columns={"hr.employees": ["email"]})
    assert rows_of(result.data) == [
        ["buyer", "approver", "buyer.hr.email", "approver.hr.email"],
        ["E-00001", "E-00002", "ann@example.com", "bob@example.com"],
        ["E-00002", "", "bob@example.com", ""],
    ]
    buyer, approver = result.report.mappings
    assert (buyer.matched, buyer.empty) == (2, 0)
    assert (approver.matched, approver.empty) == (1, 1)


def test_one_column_may_map_to_data_sets_of_two_departments() -> None:
    given = {"id": ["finance.vendors", "hr.employees"]}
    result = enrich(
        b"id\nV-00001\nE-00002\n",
        "x.csv",
        given=given,
        columns={"finance.vendors": ["name"], "hr.employees": ["active"]},
    )
    assert rows_of(result.data) == [
        ["id", "id.finance.name", "id.hr.active"],
        ["V-00001", "Acme GmbH", ""],
        ["E-00002", "", "false"],
    ]


def test_leading_zeros_and_odd_spacing_stay() -> None:
    data = b'n, vendor_id ,x\n007, V-00001 ,"  a  "\n1e5,V-00001,+49\n'
    result = enrich(data, "x.csv", given={" vendor_id ": ["finance.vendors"]}, columns=VENDOR_NAMES)
    assert result.text == (
        'n, vendor_id ,x," vendor_id .finance.name"\n007, V-00001 ,"  a  ",Acme GmbH\n1e5,V-00001,+49,Acme GmbH\n'
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}"])
def test_added_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    evil = start + 'cmd|"x"!A1'
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"1": {"v": evil}})])
    result = enrich(b"k,formula\n1,=1+1\n", "x.csv", lookup)
    assert rows_of(result.data)[1] == ["1", "=1+1", "'" + evil]


def test_negative_numbers_are_no_formulas() -> None:
    result = enrich(b"vendor_id\nV-00003\n", "x.csv", columns={"finance.vendors": ["terms", "name"]})
    assert rows_of(result.data)[1] == ["V-00003", "-5", "'=HYPERLINK(1)"]


EXAMPLES = [
    re.findall(r"`([^`]*)`", line)
    for line in Path("docs/files.md").read_text().partition("| text | in CSV |")[2].partition("\n\n")[0].splitlines()
    if line.startswith("| `")
]


@pytest.mark.parametrize(("text", "written"), EXAMPLES)
def test_text_is_written_as_the_documentation_says(text: str, written: str) -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"1": {"v": text}})])
    result = enrich(b"k\n1\n", "x.csv", lookup)
    assert rows_of(result.data)[1] == ["1", written]
    assert len(result.report.warnings) == (text != written)


def test_a_column_name_that_starts_a_formula_is_made_harmless_only_where_it_is_added() -> None:
    result = enrich(b"=vendor\nV-00001\n", "x.csv", given={"=vendor": ["finance.vendors"]}, columns=VENDOR_NAMES)
    assert rows_of(result.data)[0] == ["=vendor", "'=vendor.finance.name"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("final", [True, False])
def test_line_endings_stay(newline: str, final: bool) -> None:
    text = newline.join(["a,vendor_id", "1,V-00001", "2,V-9"]) + newline * final
    result = enrich(text.encode(), "x.csv", columns=VENDOR_NAMES)
    lines = ["a,vendor_id,vendor_id.finance.name", "1,V-00001,Acme GmbH", "2,V-9,"]
    assert result.text == newline.join(lines) + newline * final


def test_mixed_line_endings_stay_as_they_are() -> None:
    result = enrich(b"a,vendor_id\r\n1,V-00001\n2,V-00001\r\n", "x.csv", columns=VENDOR_NAMES)
    assert result.data == b"a,vendor_id,vendor_id.finance.name\r\n1,V-00001,Acme GmbH\n2,V-00001,Acme GmbH\r\n"


def test_blank_lines_stay_and_are_no_rows() -> None:
    result = enrich(b"\n\na,vendor_id\n\n1,V-00001\n\n\n2,V-00001\n\n", "x.csv", columns=VENDOR_NAMES)
    assert result.data == (
        b"\n\na,vendor_id,vendor_id.finance.name\n\n1,V-00001,Acme GmbH\n\n\n2,V-00001,Acme GmbH\n\n"
    )
    assert result.report.rows == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~", ":"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    data = delimiter.join(["a", "vendor_id"]) + "\n" + delimiter.join(["1", "V-00002"]) + "\n"
    result = enrich(data.encode(), "x.csv", columns=VENDOR_NAMES)
    assert rows_of(result.data, delimiter)[1] == ["1", "V-00002", 'Smith, Sons & "Co"']


def test_a_sep_line_for_excel_is_kept_and_obeyed() -> None:
    result = enrich(b"sep=;\r\na,b;vendor_id\r\n1,1;V-00001\r\n", "x.csv", columns=VENDOR_NAMES)
    assert result.data == b"sep=;\r\na,b;vendor_id;vendor_id.finance.name\r\n1,1;V-00001;Acme GmbH\r\n"


def test_a_tsv_is_split_at_tabs_alone() -> None:
    result = enrich(b"a,b\tvendor_id\n1,2,3\tV-00002\n", "x.tsv", columns=VENDOR_NAMES)
    assert result.data == (b'a,b\tvendor_id\tvendor_id.finance.name\n1,2,3\tV-00002\t"Smith, Sons & ""Co"""\n')


def test_quoted_newlines_delimiters_and_quotes_stay() -> None:
    data = b'note,vendor_id\n"line 1\nline 2, ""quoted""","V-00001"\n"x\r\ny",V-00001\n'
    result = enrich(data, "x.csv", columns=VENDOR_NAMES)
    assert result.data == (
        b'note,vendor_id,vendor_id.finance.name\n"line 1\nline 2, ""quoted""","V-00001",Acme GmbH\n'
        b'"x\r\ny",V-00001,Acme GmbH\n'
    )


def test_quotes_in_the_middle_of_a_cell_are_text() -> None:
    result = enrich(b'size,vendor_id\n5" pipe,V-00001\n"5"" x" y,V-00001\n', "x.csv", columns=VENDOR_NAMES)
    assert result.data.splitlines()[1:] == [b'5" pipe,V-00001,Acme GmbH', b'"5"" x" y,V-00001,Acme GmbH']


def test_backslash_escapes_are_understood_and_written() -> None:
    data = b'note,vendor_id\n"say \\"hi\\", ok","V-00002"\n'
    result = enrich(data, "x.csv", columns=VENDOR_NAMES)
    assert result.data == (
        b'note,vendor_id,vendor_id.finance.name\n"say \\"hi\\", ok","V-00002","Smith, Sons & \\"Co\\""\n'
    )


def test_single_quotes_are_understood_where_they_are_quotes() -> None:
    data = b"'note','vendor_id'\n'a, b','V-00001'\n'c','V-00002'\n"
    result = enrich(data, "x.csv", columns=VENDOR_NAMES)
    assert result.data.splitlines()[1] == b"'a, b','V-00001',Acme GmbH"
    assert list(csv.reader(io.StringIO(result.text), quotechar="'"))[2] == ["c", "V-00002", 'Smith, Sons & "Co"']


def test_apostrophes_are_text() -> None:
    result = enrich(b"name,vendor_id\n'tis,V-00001\nO'Neil,V-00001\n", "x.csv", columns=VENDOR_NAMES)
    assert result.data.splitlines()[1] == b"'tis,V-00001,Acme GmbH"


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-16-le", b""),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("cp1252", b""),
    ],
)
def test_encoding_and_byte_order_mark_stay(encoding: str, bom: bytes) -> None:
    text = "größe,vendor_id\r\nüber,V-00001\r\n"
    result = enrich(bom + text.encode(encoding), "x.csv", columns=VENDOR_NAMES)
    expected = "größe,vendor_id,vendor_id.finance.name\r\nüber,V-00001,Acme GmbH\r\n"
    assert result.data == bom + expected.encode(encoding)


def test_what_an_encoding_cannot_hold_becomes_a_question_mark_and_a_warning() -> None:
    result = enrich("ä,vendor_id\nß,V-00004\n".encode("cp1252"), "x.csv", columns=VENDOR_NAMES)
    assert result.data.decode("cp1252").splitlines()[1] == "ß,V-00004,?ód? Ünïted"
    assert "cp1252" in result.report.warnings[0]


def test_a_file_of_one_column_needs_no_delimiter() -> None:
    result = enrich(b"vendor_id\nV-00001\n\nV-00002\n", "x.csv", columns=VENDOR_NAMES)
    assert rows_of(result.data) == [
        ["vendor_id", "vendor_id.finance.name"],
        ["V-00001", "Acme GmbH"],
        [],
        ["V-00002", 'Smith, Sons & "Co"'],
    ]


def test_the_preview_shows_the_first_rows_and_why() -> None:
    shown = preview(b"a,vendor_id\n1,V-00001\n2,V-7\n3,V-00002\n", "x.csv", columns=VENDOR_NAMES, rows=2)
    assert shown.columns == ("a", "vendor_id", "vendor_id.finance.name")
    assert shown.rows == (("1", "V-00001", "Acme GmbH"), ("2", "V-7", None))
    (mapping,) = shown.mapping
    assert (mapping.column, mapping.dataset, mapping.matched, mapping.values) == ("vendor_id", "finance.vendors", 1, 2)
    assert "the name is the key of finance.vendors" in mapping.evidence
    assert shown.unmapped == ("a",)

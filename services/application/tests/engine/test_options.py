"""What a person chooses wins over what is detected, and what does not fit the file is refused in words."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from services.application.tests.engine.support import CONTRACTS, VENDORS, Departments, enrich, preview, refusal

from application.engine import Format, InputError
from common.file_options import ENCODINGS, FORMATS, FileOptions

FINANCE = Departments([VENDORS])
ALL_COLUMNS = ["vendor_id.finance.name", "vendor_id.finance.country", "vendor_id.finance.terms"]


def rows_of(data: bytes, encoding: str = "utf-8", **dialect: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(encoding), newline=""), **dialect))


def workbook(sheets: dict[str, list[list[Any]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book["Sheet"])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def sheets_of(data: bytes) -> dict[str, list[list[Any]]]:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book}


ACME = ["Acme GmbH", "DE", "30"]


@pytest.mark.parametrize(
    ("data", "options", "reader", "expected"),
    [
        (b"vendor_id|v\nV-00001|1,5;2\n", {"delimiter": "|"}, {"delimiter": "|"}, ["V-00001", "1,5;2", *ACME]),
        (b"vendor_id#v\nV-00001#1\n", {"delimiter": "#"}, {"delimiter": "#"}, ["V-00001", "1", *ACME]),
        (b"vendor_id\tv\nV-00001\t1,2\n", {"delimiter": "tab"}, {"delimiter": "\t"}, ["V-00001", "1,2", *ACME]),
        (b"vendor_id,v\nV-00001,'a,b'\n", {"quote": "'"}, {"quotechar": "'"}, ["V-00001", "a,b", *ACME]),
        (b'vendor_id,v\nV-00001,"open\n', {"quote": "none"}, {"quoting": csv.QUOTE_NONE}, ["V-00001", '"open', *ACME]),
        (b"a,b\nc,d\nvendor_id,v\nV-00001,1\n", {"header_row": 3}, {}, ["V-00001", "1", *ACME]),
        (b"x;y\nvendor_id;v\nV-00001;1\n", {"header_row": 2}, {"delimiter": ";"}, ["V-00001", "1", *ACME]),
        (b"1,V-00001\n2,V-00009\n", {"no_header": True}, {}, ["2", "V-00009", "", "", ""]),
        (b"vendor_id\nV-00003\n", {"raw": True, "add_only": [ALL_COLUMNS[0]]}, {}, ["V-00003", "=HYPERLINK(1)"]),
        (b"vendor_id\nV-00003\n", {"add_only": ["finance.vendors.name"]}, {}, ["V-00003", "'=HYPERLINK(1)"]),
        (b"vendor_id\nV-00001\n", {"add_only": [ALL_COLUMNS[2], "finance.vendors.country"]}, {},
         ["V-00001", "DE", "30"]),
    ],
)  # fmt: skip
def test_chosen_option_of_delimited_file_wins(
    data: bytes, options: dict[str, Any], reader: dict[str, Any], expected: list[str]
) -> None:
    result = enrich(data, "x.csv", FINANCE, **options)
    assert rows_of(result.data, **reader)[-1] == expected
    assert result.data.startswith(data[: data.index(b"\n")])
    shown = preview(data, "x.csv", FINANCE, **options)
    assert [("" if value is None else str(value)) for value in shown.rows[-1]][: len(expected)] == [
        text.removeprefix("'") for text in expected
    ]


def test_file_without_header_keeps_every_row_and_says_what_was_added() -> None:
    data = b"1,V-00001\n2,V-00002,more\n3,V-00001\n"
    result = enrich(data, "x.csv", FINANCE, no_header=True, add_only=["column_2.finance.country"])
    assert rows_of(result.data) == [
        ["1", "V-00001", "", "DE"], ["2", "V-00002", "more", "GB"], ["3", "V-00001", "", "DE"],
    ]  # fmt: skip
    assert result.report.rows == 3
    assert any("column_2.finance.country" in warning for warning in result.report.warnings)
    assert preview(data, "x.csv", FINANCE, no_header=True).columns[:3] == ("column_1", "column_2", "column_3")


def test_decimal_comma_is_read_in_keys_and_written_in_added_numbers() -> None:
    data = b"contract_id;n\nC-00001;1,5\n"
    result = enrich(data, "x.csv", Departments([CONTRACTS]), decimal=",", add_only=["legal.contracts.value"])
    assert rows_of(result.data, delimiter=";")[-1] == ["C-00001", "1,5", "1200,50"]
    hint = preview(data, "x.csv", Departments([CONTRACTS])).detected.decimal
    assert hint is not None
    assert hint.value == "."
    assert "comma" in hint.reason


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.json", "x.txt", "x.md"])
@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252", "utf-16", "utf-32", "ibm850", "latin1"])
def test_encoding_is_taken_as_chosen_in_every_text_format(name: str, encoding: str) -> None:
    row = '"V-00004","ö"' if name == "x.csv" else '"V-00004"\t"ö"'
    text = f"{row.replace('V-00004', 'vendor_id').replace('ö', 'v')}\n{row}\n"
    if name.startswith("x.json"):
        text = '{"vendor_id": "V-00004", "v": "ö"}\n'
        text = f"[{text}]" if name == "x.json" else text
    data = text.encode(encoding)
    result = enrich(data, name, FINANCE, encoding=encoding)
    assert "V-00004" in result.data.decode(encoding)
    assert "ö" in result.data.decode(encoding)
    detected = preview(data, name, FINANCE, encoding=encoding).detected
    assert detected.encoding is not None
    assert detected.encoding.reason == "you chose it"


@pytest.mark.parametrize(("encoding", "bad"), [("utf-8", b"\xfc"), ("windows-1252", b"\x81")])
def test_encoding_that_does_not_fit_is_refused_with_the_place(encoding: str, bad: bytes) -> None:
    data = b"vendor_id,v\n" + b"V-00001,x\n" * 200_000 + b"V-00001," + bad + b"\n"
    for call in (refusal, _preview_refusal):
        error = call(data, "x.csv", FINANCE, encoding=encoding)
        assert (error.slug, error.field, error.line) == ("broken-encoding", "options.encoding", 200_002)
        assert f"{data.index(bad):,}" in error.detail


def _preview_refusal(*arguments: Any, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        preview(*arguments, **options)
    return caught.value


TITLED: list[list[Any]] = [["Report"], [], ["vendor_id", "v"], ["V-00001", 1]]
BOTH: dict[str, list[list[Any]]] = {
    "Cover": [["V-00001", "x"]],
    "A": TITLED,
    "B": [["supplier_id"], ["V-00002"]],
    "2": [["vendor"], ["V-00003"]],
}


@pytest.mark.parametrize(("sheet", "used"), [("b", "B"), (2, "A"), ("2", "2"), ("3", "B")])
def test_only_the_chosen_sheet_is_enriched(sheet: str | int, used: str) -> None:
    data = workbook(BOTH)
    before, after = sheets_of(data), sheets_of(enrich(data, "x.xlsx", FINANCE, sheet=sheet).data)
    assert [name for name in before if before[name] != after[name]] == [used]
    assert [(found.name, found.used) for found in preview(data, "x.xlsx", FINANCE, sheet=sheet).detected.sheets] == [
        (used, True)
    ]


def test_preview_names_the_sheets_and_which_have_keys() -> None:
    found = preview(workbook(BOTH), "x.xlsx", FINANCE).detected.sheets
    assert [(sheet.name, sheet.header_row, sheet.used) for sheet in found] == [
        ("Cover", None, False), ("A", 3, True), ("B", 1, True), ("2", 1, True),
    ]  # fmt: skip


def test_header_row_and_no_header_of_a_sheet() -> None:
    data = workbook({"A": [["vendor_id", "old"], ["key", "v"], ["V-00001", "x"]]})
    result = enrich(data, "x.xlsx", FINANCE, given={"key": ["finance.vendors"]}, header_row=2)
    assert sheets_of(result.data)["A"][1:] == [
        ["key", "v", "key.finance.name", "key.finance.country", "key.finance.terms"],
        ["V-00001", "x", "Acme GmbH", "DE", 30],
    ]
    bare = workbook({"A": [["x", "V-00001"], ["y", "V-00002"]]})
    added = sheets_of(enrich(bare, "x.xlsx", FINANCE, no_header=True, add_only=["finance.vendors.country"]).data)
    assert added["A"] == [["x", "V-00001", "DE"], ["y", "V-00002", "GB"]]


@pytest.mark.parametrize(
    ("data", "name", "options", "slug", "said"),
    [
        (b"vendor_id\nV-00001\n", "x.csv", {"sheet": "A"}, "option-not-for-format", "encoding"),
        (b'[{"vendor_id": "V-00001"}]', "x.json", {"delimiter": ";"}, "option-not-for-format", "add_only"),
        (workbook(BOTH), "x.xlsx", {"delimiter": ";"}, "option-not-for-format", "sheet"),
        (workbook(BOTH), "x.xlsx", {"encoding": "utf-8"}, "option-not-for-format", "header_row"),
        (workbook(BOTH), "x.xlsx", {"sheet": "C"}, "unknown-sheet", "'Cover'"),
        (workbook(BOTH), "x.xlsx", {"sheet": 9}, "unknown-sheet", "'Cover'"),
        (workbook(BOTH), "x.xlsx", {"sheet": "A", "header_row": 40}, "no-header", "row"),
        (b"vendor_id\nV-00001\n", "x.csv", {"header_row": 9}, "no-header", "from 1 to 2"),
        (b"vendor_id\nV-00001\n", "x.csv", {"add_only": ["finance.vendors.nam"]}, "unknown-column", ALL_COLUMNS[0]),
    ],
)
def test_option_that_does_not_fit_is_refused_with_what_would_be_right(
    data: bytes, name: str, options: dict[str, Any], slug: str, said: str
) -> None:
    error = refusal(data, name, FINANCE, **options)
    assert error.slug == slug
    assert error.field == f"options.{list(options)[-1]}"
    assert said in (error.expected or "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sheet": 0}, "'sheet'|0 is not valid; give the name of a sheet"),
        ({"sheet": True}, "True is not valid"),
        ({"header_row": "3"}, "'3' is not valid; give the number of a row"),
        ({"delimiter": "ab"}, "'ab' is not valid; give one ASCII character"),
        ({"delimiter": "a"}, "'a' is not valid; give a character that is no letter"),
        ({"quote": "«"}, "'«' is not valid"),
        ({"delimiter": {";": 1}}, "is not valid"),
        ({"quote": 1}, "1 is not valid"),
        ({"decimal": ";"}, "';' is not valid; give . or ,"),
        ({"encoding": "klingon"}, "'klingon' is not valid; give one of: utf-8"),
        ({"encoding": "utf-7"}, "'utf-7' is not valid"),
        ({"encoding": 7}, "7 is not valid"),
        ({"encoding": "x" * 9999}, "is not valid"),
        ({"no_header": True, "header_row": 2}, "exclude each other"),
        ({"delimiter": "'", "quote": "'"}, "two different characters"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_wrong_value_is_refused_naming_it_and_what_would_be_right(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        FileOptions(**options)
    message = caught.value.errors()[0]["msg"]
    assert said.split("|")[-1] in message
    assert len(message) < 900


def test_every_format_of_an_option_exists() -> None:
    assert {name for formats in FORMATS.values() for name in formats} == {each.value for each in Format}
    assert set(FORMATS) == set(FileOptions.model_fields)
    for codec, charset in ENCODINGS.items():
        assert FileOptions(encoding=codec).encoding == charset == FileOptions(encoding=charset).encoding
        assert FileOptions(encoding=codec).codec == codec


def test_documentation_has_the_formats_of_each_option() -> None:
    rows = Path("docs/files.md").read_text().partition("## Options")[2].partition("\n## ")[0].splitlines()
    told = {cells[1].strip(" `"): cells[-2].strip() for row in rows if len(cells := row.split("|")) == 5}
    shown = {"JSON Lines": "jsonl", "all": ", ".join(each.value for each in Format)}
    for option, formats in FORMATS.items():
        named = told[option].replace("JSON Lines", shown["JSON Lines"]).replace("all", shown["all"])
        assert {name.strip().lower() for name in named.split(",")} == set(formats)


UTF_8_PAIR = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
DELIMITERS = [",", ";", "\t", "|"]
CELL = st.text(st.characters(codec="cp1252", exclude_characters='\r\n"\x1a', exclude_categories=["Cc"]), max_size=8)


@given(
    rows=st.lists(st.tuples(st.sampled_from(["V-00001", "V-00003", "V-99999"]), CELL, CELL), min_size=1, max_size=5),
    delimiter=st.sampled_from(DELIMITERS),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"]),
    titles=st.integers(0, 2),
)
@settings(max_examples=60, deadline=None)
def test_choosing_what_was_detected_changes_no_byte(
    rows: list[tuple[str, str, str]], delimiter: str, newline: str, encoding: str, titles: int
) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator=newline).writerows([("vendor_id", "a", "b"), *rows])
    data = ("Report" + newline) * titles + written.getvalue()
    name = "x.tsv" if delimiter == "\t" else "x.csv"
    content = data.encode(encoding)
    # Letters of cp1252 that are one of UTF-8 together leave it open which of the two a file is in.
    assume(encoding != "cp1252" or not UTF_8_PAIR.search(content))
    found = preview(content, name, FINANCE).detected
    assert found.encoding is not None
    assert found.delimiter is not None
    assert found.quote is not None
    assert found.header_row is not None
    assert found.decimal is not None
    explicit = {
        key: getattr(found, key).value for key in ("encoding", "delimiter", "quote", "header_row", "decimal")
    }  # fmt: skip
    assert enrich(content, name, FINANCE).data == enrich(content, name, FINANCE, **explicit).data

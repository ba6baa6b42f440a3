"""Delimited files as people have them, judged by Python's own reader: cells stay, and the right ones are added."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from services.application.tests.engine.support import Departments, dataset, enrich, preview, refusal

PARTS = dataset(
    "d.parts",
    "part",
    {"part": "string", "price": "string"},
    {"P001": {"price": "9"}, "P002": {"price": "8"}, "P003": {"price": "7"}, "Иванов": {"price": "6"}},
    aliases=("person",),
    pattern="^P[0-9]{3}$",
)
ADDED = "part.d.price"


def cells(data: bytes, encoding: str = "utf-8", **dialect: Any) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(data.decode(encoding), newline=""), **dialect) if row]


SEMICOLON: dict[str, Any] = {"delimiter": ";"}
PADDED: dict[str, Any] = {"skipinitialspace": True}
TSV: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}


@pytest.mark.parametrize(
    ("data", "dialect", "expected"),
    [
        (b"part,a,b\nP001,1\nP002,2,3\n", {}, [["P001", "1", "", "9"], ["P002", "2", "3", "8"]]),
        (b"a,part\n1\n2,P002\n", {}, [["1", "", ""], ["2", "P002", "8"]]),
        (b"part,a\nP001,1,\nP002,2,,\n", {}, [["P001", "1", "", "", "9"], ["P002", "2", "", "", "8"]]),
        (b"part,a,\nP001,1,\nP002,2,\n", {}, [["P001", "1", "", "9"], ["P002", "2", "", "8"]]),
        (b",part,v\n0,P001,1\n1,P002,2\n", {}, [["0", "P001", "1", "9"], ["1", "P002", "2", "8"]]),
        (b"part,v,v\nP001,1,2\n", {}, [["P001", "1", "2", "9"]]),
        (b"part,v\n", {}, []),
        (b"part,v", {}, []),
        (b"part;Preis, EUR\r\nP001;1,50\r\nP002;2,75\r\n", SEMICOLON, [["P001", "1,50", "9"], ["P002", "2,75", "8"]]),
        (b"part;N, EUR;B, EUR\nP001;1,50;1,79\n", SEMICOLON, [["P001", "1,50", "1,79", "9"]]),
        (b"Netto, EUR;part\n1,50;P001\n2,75;P003\n", SEMICOLON, [["1,50", "P001", "9"], ["2,75", "P003", "7"]]),
        (b'part, text, v\nP001, "a, b", 1\n', PADDED, [["P001", "a, b", "1", "9"]]),
        (b"part,v\r\nP001,1\r\nP002,2\r\n\x1a", {}, [["P001", "1", "9"], ["P002", "2", "8"], ["\x1a"]]),
        (b'part\tnote\nP001\t"open\nP002\tb\nP003\tinch"\n', TSV,
         [["P001", '"open', "9"], ["P002", "b", "8"], ["P003", 'inch"', "7"]]),
        (b'part\tnote\nP001\t"open\nP002\tb\n', TSV, [["P001", '"open', "9"], ["P002", "b", "8"]]),
        (b'part\tnote\nP001\t"a\nb"\nP002\tb\n', {"delimiter": "\t"}, [["P001", "a\nb", "9"], ["P002", "b", "8"]]),
    ],
)  # fmt: skip
def test_real_files_are_read_as_people_see_them(data: bytes, dialect: dict[str, Any], expected: list[Any]) -> None:
    lookup = Departments([PARTS])
    name = "x.tsv" if dialect.get("delimiter") == "\t" else "x.csv"
    result = enrich(data, name, lookup)
    header, *rows = cells(result.data, **dialect)
    assert rows == expected
    assert header[-1] == ADDED
    before = cells(data, **dialect)
    assert [row[: len(old)] for row, old in zip([header, *rows], before, strict=True)] == before
    assert {header.index(ADDED)} == {len(row) - 1 for row in rows if row != ["\x1a"]} or not rows
    assert result.report.rows == len([row for row in expected if row != ["\x1a"]])
    shown = preview(data, name, lookup)
    assert len(set(shown.columns)) == len(shown.columns)
    assert [row[-1] for row in shown.rows] == [row[-1] or None for row in rows if row != ["\x1a"]]


@pytest.mark.parametrize("start", [b"sep=\t\r\n", b'"sep=\t"\r\n', b"SEP=\t\n"])
def test_a_sep_line_of_any_form_is_obeyed(start: bytes) -> None:
    result = enrich(start + b"part\tv\nP001\t1,5\n", "x.csv", Departments([PARTS]))
    assert result.data == start + b"part\tv\t" + ADDED.encode() + b"\nP001\t1,5\t9\n"


def test_line_endings_that_were_made_crlf_twice_stay() -> None:
    result = enrich(b"part,v\r\r\nP001,1\r\r\nP002,2\r\r\n", "x.csv", Departments([PARTS]))
    assert result.data == b"part,v," + ADDED.encode() + b"\r\r\nP001,1,9\r\r\nP002,2,8\r\r\n"


def test_title_lines_above_the_header_stay() -> None:
    title = b"Bestellreport Q3 2026\r\n\r\n"
    result = enrich(title + b"part;menge;preis\r\nP001;1;2,5\r\n", "x.csv", Departments([PARTS]))
    assert result.data == title + b"part;menge;preis;" + ADDED.encode() + b"\r\nP001;1;2,5;9\r\n"


def test_comments_above_the_header_stay() -> None:
    comments = b"# Author: us, 2026\n# Source: the vendor, and others\n"
    result = enrich(comments + b"part,v\nP001,1\n", "x.csv", Departments([PARTS]))
    assert result.data == comments + b"part,v," + ADDED.encode() + b"\nP001,1,9\n"


def test_row_numbers_that_r_writes_without_a_name_shift_no_column() -> None:
    data = b'"part","v"\n"1","P001",7\n"2","P002",8\n'
    result = enrich(data, "x.csv", Departments([PARTS]))
    assert result.data == b'"part","v",' + ADDED.encode() + b'\n"1","P001",7,9\n"2","P002",8,8\n'
    assert preview(data, "x.csv", Departments([PARTS])).columns == ("column 1", "part", "v", ADDED)


def test_cells_beyond_the_header_that_are_no_row_numbers_are_refused() -> None:
    assert refusal(b"part,v\nP001,7,note\nP002,8,note\n", "x.csv", Departments([PARTS])).slug == "ragged-row"


def test_preview_and_job_read_the_table_below_a_title_by_the_given_column() -> None:
    data, given = b"Report\nnr;v\nP001;1\n", {"nr": ["d.parts"]}
    assert preview(data, "x.csv", Departments([PARTS]), given=given).rows == (("P001", "1", "9"),)
    assert enrich(data, "x.csv", Departments([PARTS]), given=given).data.endswith(b"P001;1;9\n")


def test_a_first_line_of_a_file_of_one_column_is_no_title() -> None:
    error = refusal(b"note\nhello, you\nP001, x\n", "x.csv", Departments([PARTS]))
    assert error.slug in {"ragged-row", "nothing-to-enrich"}


def test_the_report_counts_short_rows() -> None:
    data = b"part,a\nP001,1\n" + b"P002\n" * 3
    (warning,) = enrich(data, "x.csv", Departments([PARTS])).report.warnings
    assert warning.startswith("3 rows have fewer cells than the header; the first is row 3.")


def test_a_short_row_far_behind_the_first_ones_is_padded() -> None:
    data = b"part,a\n" + b"P001,1\n" * 300_000 + b"P002\n" + b"P003,1\n"
    result = enrich(data, "x.csv", Departments([PARTS]))
    assert result.data.splitlines()[-2:] == [b"P002,,8", b"P003,1,7"]


def test_a_quoted_cell_that_would_swallow_rows_of_a_tsv_is_refused() -> None:
    lines = b"part\tnote\n" + b'P001\t"a"\n' * 60_000
    error = refusal(lines + b'P001\t"open\nP002\tb\nP003\tinch"\n', "x.tsv", Departments([PARTS]))
    assert (error.slug, error.row) == ("unclosed-quote", 60_002)


@pytest.mark.slow
@pytest.mark.parametrize("last", [b"", b'P002,"a"b\n'])
def test_a_quoted_cell_of_a_csv_whose_lines_are_rows_is_a_question(last: bytes) -> None:
    """As Python's reader has it, three rows are one; as a person has it, they are three."""
    data = b"part,note\n" + b"P001,a\n" * 60_000 + b'P001,"open\nP002,b\nP003,inch"\n' + last
    error = refusal(data, "x.csv", Departments([PARTS]))
    assert (error.slug, error.row, error.field) == ("unclosed-quote", 60_002, "options.quote")
    as_lines = enrich(data, "x.csv", Departments([PARTS]), quote='"').data
    assert cells(as_lines)[60_001] == ["P001", "open\nP002,b\nP003,inch", "9"]
    as_text = enrich(data, "x.csv", Departments([PARTS]), quote="none").data
    assert as_text.splitlines()[60_001:60_004] == [b'P001,"open,9', b"P002,b,8", b'P003,inch",7']


@pytest.mark.parametrize("cell", ['="P001"', '"=""P001"""'])
def test_a_key_that_excel_is_to_keep_as_text_is_the_text(cell: str) -> None:
    """The cell is a formula, and this text its value; it comes back as it was."""
    data = f"part,v\n{cell},1\n=1+1,2\n".encode()
    result = enrich(data, "x.csv", Departments([PARTS]), given={"part": ["d.parts"]})
    assert result.data == f"part,v,{ADDED}\n{cell},1,9\n=1+1,2,\n".encode()
    assert preview(data, "x.csv", Departments([PARTS]), given={"part": ["d.parts"]}).rows[0][-1] == "9"


@pytest.mark.parametrize(
    ("cell", "key", "found"),
    [
        ("'00501", "00501", "yes"),
        ("'-4", "-4", "yes"),
        ("'=A1", "=A1", "yes"),
        ("'00501", "501", ""),
        ("'t Hooft", "'t Hooft", "yes"),
        ("'t Hooft", "t Hooft", ""),
    ],
)
def test_an_apostrophe_that_marks_text_is_no_part_of_a_key(cell: str, key: str, found: str) -> None:
    lookup = Departments([dataset("d.s", "zip", {"zip": "string", "v": "string"}, {key: {"v": "yes"}})])
    data = f"zip,name\n{cell},Holtsville\n".encode()
    result = enrich(data, "x.csv", lookup, given={"zip": ["d.s"]})
    assert result.data == f"zip,name,zip.d.v\n{cell},Holtsville,{found}\n".encode()


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_in_a_txt_file_gets_columns_and_no_notes(delimiter: str) -> None:
    data = f"part{delimiter}v\r\nP001{delimiter}1,5\r\nP002{delimiter}2\r\n".encode()
    assert cells(enrich(data, "x.txt", Departments([PARTS])).data, delimiter=delimiter) == [
        ["part", "v", ADDED],
        ["P001", "1,5", "9"],
        ["P002", "2", "8"],
    ]
    assert preview(data, "x.txt", Departments([PARTS])).detected.format == ("tsv" if delimiter == "\t" else "csv")


def test_a_cell_with_line_endings_is_no_question_where_its_lines_are_no_rows() -> None:
    data = b'part,note\nP001,"two\nlines"\n\n\nP002,"a, b\nc, d"\n'
    result = enrich(data, "x.csv", Departments([PARTS]))
    assert cells(result.data)[1:] == [["P001", "two\nlines", "9"], ["P002", "a, b\nc, d", "8"]]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("person;город\nИванов;Москва\n", "cp1251"),  # noqa: RUF001 - Cyrillic is meant
        ("part;Straße\nP001;x\n", "cp1252"),
        ("part;v\n" + "P001;x\n" * 200_000 + "P002;größer\n", "cp1252"),
        ("part;v\n" + "P001;x\n" * 200_000 + "P002;größer\n", "utf-8"),
        ("part;Größe\nP001;x\n", "utf-16"),
    ],
)
def test_the_encoding_is_found(text: str, encoding: str) -> None:
    column = text.partition(";")[0]
    result = enrich(text.encode(encoding), "x.csv", Departments([PARTS]), given={column: ["d.parts"]})
    assert result.report.mappings[0].unmatched == 0
    before, after = text.splitlines(), result.data.decode(encoding).splitlines()
    assert [new.rpartition(";")[0] for new in after] == before


def test_two_columns_of_one_name_that_hold_keys_are_both_enriched() -> None:
    result = enrich(b"v,v\nP001,P002\n", "x.csv", Departments([PARTS]))
    assert cells(result.data) == [["v", "v", "v [1].d.price", "v [2].d.price"], ["P001", "P002", "9", "8"]]


@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_a_file_without_column_names_is_refused_before_its_first_record_is_lost(name: str) -> None:
    separator = "," if name == "x.csv" else "\t"
    data = "".join(f"P00{n}{separator}{n}\n" for n in (1, 2, 3)).encode()
    error = refusal(data, name, Departments([PARTS]))
    assert (error.slug, error.row, error.column) == ("no-header", 1, "P001")
    assert error.expected is not None
    assert error.expected.startswith("a first row with the names of the columns")
    assert "no_header" in error.expected

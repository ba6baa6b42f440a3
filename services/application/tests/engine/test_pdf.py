"""PDF: identifiers are highlighted with notes, a summary is appended, and the file is kept as an earlier revision."""

from __future__ import annotations

import io
import re
from typing import Any

import pypdf
import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from fpdf import FPDF
from services.application.tests.engine.support import (
    Departments,
    dataset,
    departments,
    enrich,
    enrich_or_refuse,
    preview,
    refusal,
)

from application.engine import Limits

pytestmark = pytest.mark.slow

SHORT = {"finance.vendors": ["name", "country"]}
GIVEN = {"text": ["finance.vendors"]}


def pdf_of(*pages: str, **options: Any) -> bytes:
    document = FPDF(**options)
    document.set_font("Helvetica", size=12)
    for text in pages:
        document.add_page()
        document.multi_cell(0, 8, text)
    return bytes(document.output())


def reader_of(data: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(data), strict=True)


def notes_of(data: bytes) -> list[tuple[int, str, str]]:
    """Page from 0, subject and text of each note."""
    return [
        (number, str(note["/T"]), str(note["/Contents"]))
        for number, page in enumerate(reader_of(data).pages)
        for note in page.annotations or []
        if note["/Subtype"] == "/Highlight"
    ]


def test_each_identifier_is_highlighted_with_a_note_that_names_the_department() -> None:
    data = pdf_of("Pay V-00001 and ask E-00001.", "V-00001 again, V-77777 never.")
    result = enrich(data, "memo.pdf", columns={**SHORT, "hr.employees": ["email"]})
    assert notes_of(result.data) == [
        (0, "finance", "V-00001 (finance.vendors)\nname: Acme GmbH\ncountry: DE"),
        (0, "hr", "E-00001 (hr.employees)\nemail: ann@example.com"),
        (1, "finance", "V-00001 (finance.vendors)\nname: Acme GmbH\ncountry: DE"),
    ]
    (vendors, _) = result.report.mappings
    assert (vendors.matched, vendors.unmatched) == (2, 1)
    assert [(key.key, key.row) for key in vendors.unmatched_sample] == [("V-77777", 2)]


def test_the_highlight_covers_the_identifier() -> None:
    data = enrich(pdf_of("Pay V-00001 today."), "memo.pdf", columns=SHORT).data
    (note,) = reader_of(data).pages[0].annotations or []
    document = pypdfium2.PdfDocument(data)
    page = document[0]
    text_page = page.get_textpage()
    left, bottom, right, top = [float(value) for value in note["/Rect"]]
    assert text_page.get_text_bounded(left - 1, bottom - 1, right + 1, top + 1).strip() == "V-00001"
    assert len(note["/QuadPoints"]) == 8
    text_page.close()
    page.close()
    document.close()


def test_the_file_is_kept_byte_by_byte_before_what_is_added() -> None:
    data = pdf_of("V-00001")
    assert enrich(data, "memo.pdf").data.startswith(data)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_what_is_appended_is_a_whole_revision(end: bytes) -> None:
    """ISO 32000-1, 7.5.6: its trailer has all entries of the one before; 7.3.10: each object ends in ``endobj``."""
    document = FPDF()
    document.set_title("Pay")
    document.set_font("Helvetica", size=12)
    document.add_page()
    document.multi_cell(0, 8, "V-00001")
    data = bytes(document.output()).rstrip() + end
    result = enrich(data, "memo.pdf", columns=SHORT).data
    appended = result[len(data) :]
    assert re.match(rb"\s*\d+ 0 obj", appended)
    if not end:
        assert appended[:1] in b"\r\n"
    objects = len(re.findall(rb"(?m)^\d+ 0 obj", appended))
    assert len(re.findall(rb"(?m)^endobj", appended)) == objects > 1
    trailer = appended[appended.index(b"/XRef") :]
    before = pypdf.PdfReader(io.BytesIO(data)).trailer
    assert {name for name in before if name in {"/Root", "/Info", "/ID"}} <= set(
        re.findall(r"/\w+", trailer.decode("latin-1"))
    )
    with_info = pypdfium2.PdfDocument(result)
    assert with_info.get_metadata_value("Title") == "Pay"
    assert with_info.get_metadata_value("ModDate").endswith("Z")


def test_a_summary_that_can_be_printed_is_appended() -> None:
    data = pdf_of("V-00001 and V-00004", "V-00001 V-00002")
    pages = reader_of(enrich(data, "memo.pdf", columns=SHORT).data).pages
    assert len(pages) == 3
    text = pages[2].extract_text()
    assert "V-00001  -  finance.vendors, pages 1, 2" in text
    assert "name Acme GmbH; country DE" in text
    assert 'name Smith, Sons & "Co"; country GB' in text
    # The standard fonts have no Polish letters.
    assert "name ?ódz Ünïted" in text
    assert pages[2].mediabox == pages[0].mediabox


def test_a_long_summary_takes_several_pages() -> None:
    rows = {f"A-{number}": {"v": "word " * 40} for number in range(100, 160)}
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, rows, pattern="^A-[0-9]{3}$")])
    result = enrich(pdf_of(" ".join(rows)), "memo.pdf", lookup)
    pages = reader_of(result.data).pages
    assert result.report.rows == 60
    assert len(pages) > 3
    summary = "".join(page.extract_text() for page in pages[1:])
    assert all(key in summary for key in rows)


def test_the_preview_shows_the_identifiers() -> None:
    shown = preview(pdf_of("V-00001", "V-00002 V-9"), "memo.pdf", columns=SHORT)
    assert shown.rows == (("V-00001", "Acme GmbH", "DE"), ("V-00002", 'Smith, Sons & "Co"', "GB"))


def test_a_pdf_whose_identifiers_nobody_knows_comes_back_as_it_is() -> None:
    data = pdf_of("V-77777")
    result = enrich(data, "memo.pdf")
    assert result.data == data
    assert result.report.mappings[0].unmatched == 1


def test_compressed_object_streams_and_rotated_pages_are_read() -> None:
    writer = pypdf.PdfWriter(clone_from=reader_of(pdf_of("V-00001")))
    writer.pages[0].rotate(90)
    writer.compress_identical_objects()
    buffer = io.BytesIO()
    writer.write(buffer)
    assert len(notes_of(enrich(buffer.getvalue(), "memo.pdf", columns=SHORT).data)) == 1


def test_notes_that_are_there_already_stay() -> None:
    once = enrich(pdf_of("V-00001"), "memo.pdf", only=["finance"]).data
    twice = enrich(once, "memo.pdf", only=["finance"]).data
    assert twice.startswith(once)
    document = pypdfium2.PdfDocument(twice)
    page = document[0]
    assert pdfium.FPDFPage_GetAnnotCount(page) == 2
    page.close()
    document.close()


@pytest.mark.parametrize("password", [("", "owner"), ("user", "owner")])
def test_a_pdf_that_is_protected(password: tuple[str, str]) -> None:
    writer = pypdf.PdfWriter(clone_from=reader_of(pdf_of("V-00001")))
    writer.encrypt(*password, algorithm="AES-256")
    buffer = io.BytesIO()
    writer.write(buffer)
    assert refusal(buffer.getvalue(), "memo.pdf").slug == "encrypted-file"


def test_a_pdf_without_text() -> None:
    document = FPDF()
    document.add_page()
    document.rect(10, 10, 50, 50)
    error = refusal(bytes(document.output()), "scan.pdf")
    assert error.slug == "nothing-to-enrich"
    assert "scanner" in error.detail


def test_a_pdf_without_identifiers() -> None:
    assert refusal(pdf_of("nothing here"), "memo.pdf").slug == "nothing-to-enrich"


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7\n%%EOF", b"%PDF-1.7\n" + b"\xff" * 5000])
def test_a_pdf_that_is_none(data: bytes) -> None:
    assert refusal(data, "memo.pdf").slug == "corrupt-file"


GOOD = pdf_of("V-00001 and V-00002", "E-00001")


@pytest.mark.parametrize("cut", range(20, len(GOOD), len(GOOD) // 12))
def test_a_pdf_that_is_cut_off_is_refused_or_repaired(cut: int) -> None:
    result = enrich_or_refuse(GOOD[:cut], "memo.pdf", GIVEN)
    assert result is None or result.data.startswith(GOOD[:cut])


@pytest.mark.parametrize("place", range(10, len(GOOD), len(GOOD) // 25))
def test_a_damaged_pdf_is_refused_or_repaired(place: int) -> None:
    data = GOOD[:place] + b"\xff<<\x00" + GOOD[place + 4 :]
    result = enrich_or_refuse(data, "memo.pdf", GIVEN)
    assert result is None or result.data.startswith(data)


@pytest.mark.parametrize(
    "limits", [Limits(pages=1), Limits(document_text=10), Limits(unpacked=100)], ids=["pages", "text", "size"]
)
def test_a_pdf_that_is_too_large(limits: Limits) -> None:
    assert refusal(GOOD, "memo.pdf", limits=limits).slug == "file-too-large"


def test_the_content_of_a_damaged_pdf_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    for place in range(100, 700, 20):
        enrich_or_refuse(GOOD[:place] + b"0 ; R" + GOOD[place + 5 :], "memo.pdf", GIVEN)
    assert not caplog.records


def test_notes_are_bounded_and_what_is_left_out_is_said() -> None:
    result = enrich(pdf_of("V-00001 V-00001 V-00002"), "memo.pdf", limits=Limits(notes=2))
    assert len(notes_of(result.data)) == 2
    assert result.report.mappings[0].matched == 3
    assert result.report.warnings == ("Only the first 2 mentions are highlighted; 1 are not.",)
    assert "V-00002" in reader_of(result.data).pages[1].extract_text()


def test_keys_are_asked_for_once() -> None:
    lookup = departments()
    enrich(pdf_of("V-00001", "V-00001", "V-00001"), "memo.pdf", lookup)
    assert lookup.keys_asked("finance.vendors") == ["V-00001"]

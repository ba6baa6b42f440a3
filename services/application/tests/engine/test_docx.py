"""DOCX: a note stands after each identifier, in its own formatting; all else stays, byte by byte."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import docx
import pytest
from docx.document import Document
from hypothesis import given, settings
from hypothesis import strategies as st
from services.application.tests.engine.support import enrich, is_spliced_into, preview, refusal
from services.application.tests.engine.workbooks import repacked, saved, workbook

pytestmark = pytest.mark.slow

SHORT = {"finance.vendors": ["name"]}
BODY = "word/document.xml"
GIVEN = {"text": ["finance.vendors"]}


def saved_document(document: Document) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def document_of(*paragraphs: str) -> Document:
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    return document


def opened(data: bytes) -> Document:
    return docx.Document(io.BytesIO(data))


def part(data: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name).decode()


def test_paragraphs_tables_headers_and_footers_get_notes() -> None:
    document = document_of("Dear all,", "V-00001 & E-00002 are late.")
    document.add_table(1, 2).cell(0, 1).text = "V-00002"
    document.sections[0].header.paragraphs[0].text = "Re: V-00001"
    document.sections[0].footer.paragraphs[0].text = "E-00001"
    result = enrich(saved_document(document), "memo.docx", columns={**SHORT, "hr.employees": ["email"]})
    after = opened(result.data)
    assert after.paragraphs[1].text == (
        "V-00001 [finance: name Acme GmbH] & E-00002 [hr: email bob@example.com] are late."
    )
    assert after.tables[0].cell(0, 1).text == 'V-00002 [finance: name Smith, Sons & "Co"]'
    assert after.sections[0].header.paragraphs[0].text == "Re: V-00001 [finance: Acme GmbH]"
    assert after.sections[0].footer.paragraphs[0].text == "E-00001 [hr: email ann@example.com]"
    assert result.report.rows == 5


def test_an_identifier_that_is_split_over_runs_keeps_its_formatting() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Pay ")
    paragraph.add_run("V-0").bold = True
    paragraph.add_run("0001").italic = True
    paragraph.add_run(" now")
    after = opened(enrich(saved_document(document), "memo.docx", columns=SHORT).data).paragraphs[0]
    assert [run.text for run in after.runs] == ["Pay ", "V-0", "0001 [finance: name Acme GmbH]", " now"]
    assert (after.runs[1].bold, after.runs[2].italic) == (True, True)


def test_all_other_bytes_of_all_parts_stay() -> None:
    data = saved_document(document_of("Ä V-00001 <b> & \u2028x", "\tV-00001\n", "none"))
    result = enrich(data, "memo.docx", columns=SHORT)
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(io.BytesIO(result.data)) as after:
        assert before.namelist() == after.namelist()
        assert after.testzip() is None
        changed = [name for name in before.namelist() if before.read(name) != after.read(name)]
    assert changed == [BODY]
    bare = part(result.data, BODY).replace(" [finance: name Acme GmbH]", "").replace(" [finance: Acme GmbH]", "")
    assert bare == part(data, BODY)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("V-0000&#49; x", "V-0000&#49; [finance: name Acme GmbH] x"),
        ("V&#45;00001 x", "V&#45;00001 [finance: name Acme GmbH] x"),
        ("&amp;V-00001&amp; x", "&amp;V-00001 [finance: name Acme GmbH]&amp; x"),
        ("<![CDATA[V-00001]]>", "<![CDATA[V-00001]]> [finance: name Acme GmbH]"),
        ("V-00<!-- c -->001 x", "V-00<!-- c -->001 [finance: name Acme GmbH] x"),
        ("V\u201100001 x", "V\u201100001 [finance: name Acme GmbH] x"),
        ("V</w:t><w:noBreakHyphen/><w:t>00001 x", "V</w:t><w:noBreakHyphen/><w:t>00001 [finance: name Acme GmbH] x"),
    ],
)
def test_text_may_be_written_in_any_way_that_xml_allows(written: str, expected: str) -> None:
    data = repacked(saved_document(document_of("HERE")), {BODY: lambda text: text.replace("HERE", written)})
    assert expected in part(enrich(data, "memo.docx", columns=SHORT, given=GIVEN).data, BODY)


def test_a_tab_or_a_new_paragraph_parts_identifiers() -> None:
    result = enrich(saved_document(document_of("V-\t00001", "V-", "00001", "V-00001")), "memo.docx", columns=SHORT)
    assert result.report.rows == 1


def test_text_boxes_are_paragraphs_of_their_own() -> None:
    box = "<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>V-00001</w:t></w:r></w:p></w:txbxContent></w:pict></w:r>"
    data = repacked(
        saved_document(document_of("HERE and V-00002")),
        {BODY: lambda text: text.replace("<w:r><w:t>HERE", box + "<w:r><w:t>HERE")},
    )
    xml = part(enrich(data, "memo.docx", columns=SHORT).data, BODY)
    assert "<w:t>V-00001 [finance: name Acme GmbH]</w:t>" in xml
    assert 'HERE and V-00002 [finance: name Smith, Sons &amp; "Co"]</w:t>' in xml


def test_the_report_and_the_preview_tell_paragraphs_and_identifiers() -> None:
    data = saved_document(document_of("a", "V-55555", "V-00001 V-55555"))
    (mapping,) = enrich(data, "memo.docx").report.mappings
    assert [(key.key, key.row) for key in mapping.unmatched_sample] == [("V-55555", 2)]
    assert [row[:2] for row in preview(data, "memo.docx").rows] == [("V-55555", None), ("V-00001", "Acme GmbH")]


GOOD = saved_document(document_of("V-00001"))
BOMB = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def _with_doctype(text: str) -> str:
    end = text.index("?>") + 2
    return text[:end] + BOMB + text[end:].replace("V-00001", "&b;")


@pytest.mark.parametrize(
    "edit", [_with_doctype, lambda text: text[:-30], lambda _: "", lambda text: text.replace("</w:t>", "")]
)
def test_xml_that_is_broken_or_made_to_do_harm(edit: Callable[[str], str]) -> None:
    assert refusal(repacked(GOOD, {BODY: edit}), "memo.docx", given=GIVEN).slug == "corrupt-file"


@pytest.mark.parametrize("cut", [4, 100, len(GOOD) // 2, len(GOOD) - 10])
def test_a_document_that_is_cut_off(cut: int) -> None:
    assert refusal(GOOD[:cut], "memo.docx").slug == "corrupt-file"


def test_a_workbook_that_is_called_a_document() -> None:
    assert refusal(saved(workbook([["vendor_id"], ["V-00001"]])), "memo.docx", given=GIVEN).slug == "corrupt-file"


def test_a_document_without_identifiers() -> None:
    assert refusal(saved_document(document_of("nothing", "here")), "memo.docx").slug == "nothing-to-enrich"


def test_a_signed_document_gets_a_warning() -> None:
    buffer = io.BytesIO(GOOD)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("_xmlsignatures/sig1.xml", "<x/>")
    assert "signature" in enrich(buffer.getvalue(), "memo.docx").report.warnings[0]


TEXTS = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=6
)
RUNS = st.lists(st.sampled_from(["V-00001", "V-", "00001", " ", "&", "<"]) | TEXTS, max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(RUNS, max_size=4))
def test_any_document_keeps_its_text(paragraphs: list[list[str]]) -> None:
    document = docx.Document()
    for runs in [*paragraphs, ["V-00001"]]:
        paragraph = document.add_paragraph()
        for text in runs:
            paragraph.add_run(text)
    data = saved_document(document)
    result = enrich(data, "memo.docx", given=GIVEN, columns=SHORT)
    assert is_spliced_into(part(data, BODY), part(result.data, BODY))
    for before, after in zip(opened(data).paragraphs, opened(result.data).paragraphs, strict=True):
        bare = after.text.replace(" [finance: name Acme GmbH]", "").replace(" [finance: Acme GmbH]", "")
        assert bare == before.text


def test_a_paragraph_of_very_many_pieces() -> None:
    many = "<w:p>" + "<w:t>a</w:t>" * 500_001 + "</w:p>"
    data = repacked(saved_document(document_of("x")), {BODY: lambda text: text.replace("<w:body>", "<w:body>" + many)})
    assert "pieces" in refusal(data, "x.docx").detail


def test_elements_in_elements_without_end() -> None:
    data = repacked(saved_document(document_of("x")), {BODY: lambda text: text.replace("<w:body>", "<w:p>" * 100_000)})
    assert "nested" in refusal(data, "x.docx").detail

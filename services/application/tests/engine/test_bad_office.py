"""XLSX and archives made to do harm: each is refused in words, in little memory."""

from __future__ import annotations

import io
import re
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pytest
from services.application.tests.engine.support import enrich, enrich_or_refuse, refusal
from services.application.tests.engine.workbooks import SHEET, TEXTS, repacked, saved, with_shared_texts, workbook

from application.engine import DEFAULT_LIMITS

GOOD = with_shared_texts(saved(workbook([["vendor_id", "x"], ["V-00001", 1]])))
MAPPING = {"vendor_id": ["finance.vendors"]}
BOMB = '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'


def with_sheet(edit: Callable[[str], str]) -> bytes:
    return repacked(GOOD, {SHEET: edit})


def test_a_workbook_without_a_table() -> None:
    assert refusal(saved(workbook([])), "x.xlsx").slug == "empty-file"
    assert refusal(saved(workbook([["vendor_id"]])), "x.xlsx").slug == "no-rows"


def test_only_a_key_column_needs_a_name_of_its_own() -> None:
    for header in (["a", "a", "vendor_id"], ["a", None, "vendor_id"]):
        assert enrich(saved(workbook([header, [1, 2, "V-00001"]])), "x.xlsx").report.mappings[0].matched == 1
    twice = saved(workbook([["vendor_id", "a", "vendor_id"], ["V-00001", 2, "V-9"]]))
    assert refusal(twice, "x.xlsx", given=MAPPING).slug == "unknown-column"
    second = enrich(twice, "x.xlsx", given={"vendor_id [2]": ["finance.vendors"]})
    assert [entry.unmatched for entry in second.report.mappings] == [1]


def test_a_sheet_that_has_no_room_for_more_columns() -> None:
    data = with_sheet(lambda text: text.replace("</row>", '<c r="XFD1" t="n"><v>1</v></c></row>', 1))
    data = repacked(data, {SHEET: lambda text: text.replace('r="XFD1"', 'r="XFD2"')})
    error = refusal(data, "x.xlsx", given=MAPPING)
    assert error.slug == "column-names"


@pytest.mark.parametrize("cut", [4, 30, 200, len(GOOD) // 2, -30], ids=["magic", "head", "part", "half", "end"])
def test_an_archive_that_is_cut_off(cut: int) -> None:
    assert refusal(GOOD[:cut], "x.xlsx").slug == "corrupt-file"


@pytest.mark.parametrize("fortieth", range(40))
def test_a_damaged_archive_is_refused_or_read(fortieth: int) -> None:
    place = len(GOOD) * fortieth // 40
    damaged = b"PK\x03\x04" + (GOOD[:place] + b"\xff\x00\xff\x13" + GOOD[place + 4 :])[4:]
    result = enrich_or_refuse(damaged, "x.xlsx", MAPPING)
    assert result is None or result.report.rows == 1


def test_an_encrypted_part() -> None:
    data = bytearray(GOOD)
    for header in re.finditer(rb"PK\x01\x02", GOOD):
        data[header.start() + 8] |= 1
    assert refusal(bytes(data), "x.xlsx").slug == "encrypted-file"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda text: text.replace("<sheetData>", "<sheetData><row>"), "mismatched tag"),
        (lambda text: text[: len(text) // 2], ""),
        (lambda text: '<!DOCTYPE x [<!ENTITY a "b">]>' + text.replace("V-00001", "&a;"), "document type"),
        (lambda text: f"<!DOCTYPE l [{BOMB}]>{text}", "document type"),
        (lambda text: '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + text, "document type"),
        (lambda text: '<?xml version="1.0" encoding="utf-16"?>' + text, ""),
        (lambda text: '<?xml version="1.0" encoding="latin-1"?>' + text, "latin-1"),
        (lambda text: text.replace('t="s"', 't="s" ').replace("<v>0</v>", "<v>99999</v>"), ""),
        (lambda text: text.replace("<v>0</v>", "<v>-1</v>"), ""),
        (lambda text: text.replace("<v>0</v>", "<v>zero</v>"), ""),
        (lambda text: text.replace('<row r="1"', '<row r="one"'), ""),
        (lambda _: "", ""),
    ],
)
def test_xml_that_is_broken_or_made_to_do_harm(edit: Callable[[str], str], reason: str) -> None:
    error = refusal(with_sheet(edit), "x.xlsx", given=MAPPING)
    assert error.slug == "corrupt-file"
    assert reason in error.detail
    assert "passwd" not in error.detail


def test_entities_in_the_shared_texts() -> None:
    data = repacked(GOOD, {TEXTS: lambda text: f"<!DOCTYPE l [{BOMB}]>" + text.replace("V-00001", "&b;")})
    assert refusal(data, "x.xlsx").slug == "corrupt-file"


def test_an_archive_without_its_parts() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert refusal(buffer.getvalue(), "x.xlsx").slug == "corrupt-file"


def test_a_relation_that_leads_out_of_the_archive() -> None:
    name = "xl/_rels/workbook.xml.rels"
    data = repacked(GOOD, {name: lambda text: text.replace("/xl/worksheets/sheet1.xml", "../../../../etc/passwd")})
    assert refusal(data, "x.xlsx").slug == "corrupt-file"


@pytest.mark.parametrize("part", [SHEET, TEXTS, "xl/workbook.xml", "_rels/.rels", "xl/media/image1.png"])
def test_a_zip_bomb_is_refused_in_little_memory(part: str) -> None:
    limits = replace(DEFAULT_LIMITS, unpacked=20 << 20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
        with new.open(part, "w") as bomb:
            if part in old.namelist():
                start, end = old.read(part).rsplit(b"</", 1)
                bomb.write(start)
            for _ in range(100):
                bomb.write(b" " * (1 << 20))
            if part in old.namelist():
                bomb.write(b"</" + end)
    data = buffer.getvalue()
    assert len(data) < 1 << 20
    tracemalloc.start()
    try:
        error = refusal(data, "x.xlsx", limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.slug in {"file-too-large", "record-too-long", "corrupt-file"}
    assert peak < 60 << 20


def test_an_archive_of_very_many_parts() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(10_001):
            archive.writestr(f"{number}", b"")
    assert refusal(buffer.getvalue(), "x.xlsx").slug == "corrupt-file"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_of_one_name() -> None:
    buffer = io.BytesIO(GOOD)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(SHEET, "<x/>")
    assert refusal(buffer.getvalue(), "x.xlsx").slug == "corrupt-file"


def test_a_tag_that_does_not_end() -> None:
    data = with_sheet(lambda text: text.replace("<v>1</v>", "<v x='" + " " * (8 << 20) + "'>1</v>"))
    assert "1 MB" in refusal(data, "x.xlsx").detail


def test_a_part_that_is_packed_by_another_method_is_not_unpacked() -> None:
    # Python unpacks these without a bound: 1 KB becomes gigabytes at once.
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        error = refusal(with_part("_rels/.rels", bytes(1 << 20), method), "x.xlsx")
        assert "method" in error.detail


def test_a_list_of_parts_that_is_longer_than_any_is_not_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(200):
            archive.writestr(f"{number:030000}", b"")
    assert "damaged" in refusal(buffer.getvalue(), "x.xlsx").detail


@pytest.mark.parametrize("part", ["_rels/.rels", SHEET, TEXTS])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<a>" * 100_000, "nested"),
        (b"<x><a b='" + b"x" * (3 << 20) + b"'/></x>", "1 MB"),
        (b"<x><!--" + b"x" * (3 << 20) + b"--></x>", "1 MB"),
    ],
    ids=["nested", "attribute", "comment"],
)
def test_xml_that_expat_would_hold_or_read_again_and_again(part: str, content: bytes, reason: str) -> None:
    assert reason in refusal(with_part(part, content), "x.xlsx").detail


def test_a_list_of_very_many_elements() -> None:
    assert "larger" in refusal(with_part("_rels/.rels", b"<x>" + b"<a/>" * 200_000 + b"</x>"), "x.xlsx").detail


def test_a_row_of_more_cells_than_a_sheet_has_columns() -> None:
    row = "<row>" + '<c s="1"/>' * 20_000 + "</row>"
    data = with_sheet(lambda text: text.replace("<sheetData>", f"<sheetData>{row}", 1))
    assert "columns" in refusal(data, "x.xlsx").detail


def with_part(part: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
        new.writestr(part, content, method)
    return buffer.getvalue()


def test_a_small_file_that_takes_long_is_given_up_where_somebody_waits() -> None:
    rows = with_sheet(lambda text: text.replace("</sheetData>", "<row/>" * 60_000 + "</sheetData>"))
    texts = repacked(
        GOOD,
        {
            TEXTS: lambda text: text.replace("<si>", "<si/>" * 60_000 + "<si>", 1),
            SHEET: lambda text: re.sub(r't="s"><v>(\d+)', lambda cell: f't="s"><v>{int(cell[1]) + 60_000}', text),
        },
    )
    limits = replace(DEFAULT_LIMITS, unpacked_seconds=0.03)
    for data in (rows, texts):
        assert len(data) < 10_000
        started = time.thread_time()
        error = refusal(data, "x.xlsx", given=MAPPING, limits=limits)
        assert (error.slug, "to be looked at" in error.detail) == ("file-too-large", True)
        assert time.thread_time() - started < 0.5
        assert enrich_or_refuse(data, "x.xlsx", MAPPING) is not None

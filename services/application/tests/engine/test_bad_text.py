"""Text files that cannot be used: each is refused in words, with the place, and a short one takes no time or memory."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace

import pytest
from services.application.tests.engine.support import departments, propose, refusal

from application import engine
from application.engine import DEFAULT_LIMITS, Format, InputError
from application.engine.enrich import enrich as enrich_to


@pytest.mark.parametrize(
    "name", ["x.csv", "x.tsv", "x.json", "x.jsonl", "x.parquet", "x.xlsx", "x.pdf", "x.docx", "x.md"]
)
def test_an_empty_file(name: str) -> None:
    error = refusal(b"", name)
    assert error.slug == "empty-file"


@pytest.mark.parametrize("data", [b"\n\n\n", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"sep=;\n"])
def test_a_csv_of_nothing_but_line_endings_or_a_byte_order_mark(data: bytes) -> None:
    assert refusal(data, "x.csv").slug == "empty-file"


@pytest.mark.parametrize(
    ("data", "row", "line", "cells"),
    [
        (b"a,vendor_id\n1,V-00001\n2,3,4\n", 3, None, 3),
        (b"a,vendor_id\n1,V-00001,x\n", 2, None, 3),
        (b'a,vendor_id\n"x\ny",V-00001\n2,3,4\n', 3, 4, 3),
        (b'a,vendor_id\n5" x,V-00001\n2,3,4\n', 3, None, 3),
        (b"a,vendor_id\n\n1,V-00001\n\n2,3,4\n", 3, 5, 3),
        (b"sep=,\na,vendor_id\n1,2,3\n", 2, 3, 3),
        (b"a,vendor_id\r1,2,3\r", 2, None, 3),
        (b"a,vendor_id\n1\n1,V-00001,x\n", 3, None, 3),
    ],
)
def test_a_row_with_cells_that_have_no_name_is_refused_with_its_line(
    data: bytes, row: int, line: int | None, cells: int
) -> None:
    error = refusal(data, "x.csv")
    assert (error.slug, error.row, error.line) == ("ragged-row", row, line)
    assert f"has {cells} cells, the header has 2" in error.detail


def test_a_ragged_row_far_behind_the_sampled_ones() -> None:
    data = b"a,vendor_id\n" + b"1,V-00001\n" * 300_000 + b"1,2,3\n" + b"1,V-00001\n"
    error = refusal(data, "x.csv")
    assert (error.slug, error.row) == ("ragged-row", 300_002)


def test_a_row_too_many_cells_hides_behind_one_with_too_few() -> None:
    error = refusal(b"a,vendor_id\n1,V-00001,V-00002\n1\n", "x.csv")
    assert (error.slug, error.row) == ("ragged-row", 2)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
def test_a_nul_byte(name: str) -> None:
    data = {
        "x.csv": b"a,vendor_id\n1,V-00001\n2,V-\x00\n",
        "x.jsonl": b'{"vendor_id":"V-00001"}\n{"vendor_id":"V-00001"}\n{"vendor_id":"V-\x00"}\n',
        "x.json": b'[{"vendor_id":"V-00001"},\n{"vendor_id":"V-00001"},\n{"vendor_id":"V-\x00"}]\n',
    }[name]
    error = refusal(data, name)
    assert (error.slug, error.line) == ("nul-byte", 3)


def test_a_nul_byte_in_utf16() -> None:
    data = b"\xff\xfe" + "a,vendor_id\n1,V-00001\n2,x\0\n".encode("utf-16-le")
    assert refusal(data, "x.csv").slug == "nul-byte"


@pytest.mark.parametrize(
    ("name", "data", "row", "line", "byte"),
    [
        ("x.csv", "ä,vendor_id\nßß,V-00001\n".encode() + b"\xe4\xe4,V-00001\n", 3, 3, 26),
        ("x.csv", "ä,vendor_id\nßß,V-00001\n".encode() + b"x,V-0000\xc3\n", 3, 3, 34),
        ("x.jsonl", '{"ä":"ß"}\n'.encode() + b'{"\xe4":"x"}\n', None, 2, 14),
        ("x.json", '[{"ä":"ß"},\n'.encode() + b'{"\xe4":"x"}]', None, 2, 16),
    ],
)
def test_broken_utf8_is_named_with_its_byte(name: str, data: bytes, row: int | None, line: int, byte: int) -> None:
    given = {"vendor_id": ["finance.vendors"]} if name == "x.csv" else {"ä": ["finance.vendors"]}
    error = refusal(data, name, given=given)
    assert (error.slug, error.row, error.line) == ("broken-encoding", row, line)
    assert f"Byte {byte}" in error.detail


def test_a_character_cut_off_at_the_end_of_the_file() -> None:
    error = refusal("ä,vendor_id\nß,V-00001\nx,ö".encode()[:-1], "x.csv")
    assert (error.slug, error.row) == ("broken-encoding", 3)


def test_utf16_with_half_a_character() -> None:
    data = b"\xff\xfe" + "a,vendor_id\n1,V-00001\n".encode("utf-16-le")
    assert refusal(data + b"x", "x.csv").slug == "broken-encoding"
    assert refusal(data + b"\x00\xd8\x31\x00", "x.csv").slug == "broken-encoding"


@pytest.mark.parametrize("data", [b'a,vendor_id\n1,V-00001\n2,"V-00001\n3,V-00001\n', b'a,vendor_id\n"x,V-1'])
def test_a_quote_that_is_not_closed(data: bytes) -> None:
    error = refusal(data, "x.csv")
    assert error.slug == "unclosed-quote"
    assert error.line == 1 + data[: data.index(b'"')].count(b"\n")


def test_a_name_that_two_columns_have_is_no_key() -> None:
    error = refusal(b"a,a,vendor_id\n1,2,V-00001\n", "x.csv", given={"a": ["finance.vendors"]})
    assert (error.slug, error.column) == ("unknown-column", "a")
    assert "a [1], a [2]" in error.detail


def test_too_many_columns() -> None:
    header = ",".join(f"c{number}" for number in range(17_000))
    error = refusal(f"{header}\n{',' * 16_999}\n".encode(), "x.csv")
    assert error.slug == "column-names"
    assert "17,000 columns" in error.detail


def test_a_file_that_was_enriched_before() -> None:
    error = refusal(b"vendor_id,vendor_id.finance.name\nV-00001,Acme\n", "x.csv")
    assert (error.slug, error.column) == ("column-collision", "vendor_id.finance.name")


@pytest.mark.parametrize(
    ("name", "data", "slug"),
    [
        ("x.exe", b"MZ", "unsupported-format"),
        ("csv", b"a,b", "unsupported-format"),
        ("x.csv", b"\x1f\x8b\x08", "wrong-format"),
        ("x.csv", b"PK\x03\x04", "wrong-format"),
        ("x.csv", b"PAR1", "wrong-format"),
        ("x.csv", b"%PDF-1.7", "wrong-format"),
        ("x.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "wrong-format"),
        ("x.csv", b"<html><body>", "wrong-format"),
        ("x.csv", b' {"a": 1}', "wrong-format"),
        ("x.csv", b'[{"a": 1}]', "wrong-format"),
        ("x.tsv", b"a,b\n1,2\n", "wrong-format"),
        ("x.jsonl", b'[{"a": 1}]', "wrong-format"),
        ("x.json", b'{"a": 1}\n{"a": 2}\n', "wrong-format"),
        ("x.json", b'{"a": 1}\r\n{"a": 2}\r\n', "wrong-format"),
        ("x.json", b'{"a": 1} \n {"a": 2}\n', "wrong-format"),
        ("x.parquet", b"a,b\n", "wrong-format"),
        ("x.parquet", b"PARE", "corrupt-file"),
        ("x.xlsx", b"a,b\n", "wrong-format"),
        ("x.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "encrypted-file"),
        ("x.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "encrypted-file"),
        ("x.docx", b"%PDF-1.7", "wrong-format"),
        ("x.pdf", b"PK\x03\x04", "wrong-format"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(name: str, data: bytes, slug: str) -> None:
    assert refusal(data, name).slug == slug


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("x.doc", "saved as .docx"),
        ("x.zip", "compressed by gzip"),
        ("x.xlsx.gz", "compressed by gzip"),
        ("x.exe", ".csv"),
    ],
)
def test_a_format_that_is_not_read_is_refused_with_the_way_out(name: str, way_out: str) -> None:
    error = refusal(b"PK\x03\x04", name)
    assert error.slug == "unsupported-format"
    assert name.lower().partition(".")[2] in error.detail
    assert way_out in (error.expected or "")


@pytest.mark.parametrize("name", ["../../x.CSV", 'a"b\n.csv', ".csv", "x.y.csv"])
def test_the_name_is_only_looked_at_for_its_extension(name: str) -> None:
    assert engine.detect_format(name, b"a,b\n") is Format.CSV


@pytest.mark.parametrize(
    ("text", "file_format"),
    [
        ("part;v\r\nP001;1,5\r\nP002;2\r\n", Format.CSV),
        ("part,note\nP001,x\n\nP002,y", Format.CSV),
        ('"part","no, note"\nP001,"a, b"\nP002,c\n', Format.CSV),
        ("Größe\tPreis\r\n1\t2\r\n3\t4\r\n", Format.TSV),
        ("part;v\nP001;1\n", Format.TEXT),
        ("part;v\nP001;1\nP002;2;3\n", Format.TEXT),
        ("Dear Ann, hello\nthanks, bye\nyours, Bob\n", Format.TEXT),
        ("2026-11-23;1\n2026-11-24;2\n2026-11-25;3\n", Format.TEXT),
        ("a;a\n1;2\n3;4\n", Format.TEXT),
        ("one\ntwo\nthree\n", Format.TEXT),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_that_is_a_table_is_read_as_one(text: str, file_format: Format, encoding: str) -> None:
    assert engine.detect_format("x.txt", text.encode(encoding)) is file_format
    assert engine.detect_format("x.md", text.encode(encoding)) is Format.MARKDOWN


def test_a_line_that_the_head_of_a_text_cuts_off_is_not_counted() -> None:
    line = b"x" * 1000 + b";1\n"
    head = (b"part;v\n" + line * 70)[: 64 << 10]
    assert not head.rpartition(b"\n")[2].count(b";")
    assert engine.detect_format("x.txt", head) is Format.CSV
    assert engine.detect_format("x.txt", head[:-1]) is Format.TEXT


class _Endless(io.RawIOBase):
    """A file of any size that is never in memory: a start, then the same byte."""

    def __init__(self, start: bytes, filler: bytes, size: int) -> None:
        super().__init__()
        self._start = start
        self._filler = filler
        self.size = size
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        wanted = min(size if size >= 0 else self.size, self.size - self._at)
        part = self._start[self._at : self._at + wanted]
        self._at += wanted
        return part + self._filler * (wanted - len(part))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at


@pytest.mark.parametrize(
    ("file_format", "start", "filler"),
    [
        (Format.CSV, b"a,vendor_id\n1,V-00001\n", b"x"),
        (Format.CSV, b"", b"x"),
        (Format.CSV, b"", b","),
        (Format.CSV, b'a,vendor_id\n"', b"x"),
        (Format.CSV, b'a,vendor_id\n1,"', b"\n"),
        (Format.CSV, b'a,vendor_id\n"', b'"'),
        (Format.TSV, b"a\tvendor_id\n", b"\t"),
        (Format.JSON_LINES, b'{"vendor_id":"V-00001"}\n{"vendor_id":"', b"x"),
        (Format.JSON_LINES, b'{"vendor_id":"V-00001"}\n', b" "),
        (Format.JSON, b'[{"vendor_id":"V-00001"},{"vendor_id":"', b"x"),
        (Format.JSON, b'[{"vendor_id":"V-00001"},', b" "),
        (Format.JSON, b"[", b"1"),
    ],
)
def test_a_line_of_a_gigabyte_is_refused_early_and_in_little_memory(
    file_format: Format, start: bytes, filler: bytes
) -> None:
    source = _Endless(start, filler, 1 << 30)
    lookup = departments()
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            enrich_to(
                source,
                file_format,
                engine.decide(propose(b"vendor_id\nV-00001\n", "x.csv")),
                lookup,
                io.BytesIO(),
                progress=lambda _: None,
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.slug in {"record-too-long", "unclosed-quote", "file-too-large"}
    assert peak < 120 << 20


def test_the_limits_can_be_set() -> None:
    limits = replace(DEFAULT_LIMITS, record=1 << 20)
    error = refusal(b"a,vendor_id\n" + b"x" * (2 << 20), "x.csv", limits=limits)
    assert (error.slug, error.line) == ("record-too-long", 2)
    assert "1 MB" in error.detail

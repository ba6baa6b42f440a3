"""Files that cannot be enriched, each wrong in one way."""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pypdf
from tests.helpers.files import make_file

ROWS = [{"vendor_id": f"V-{number:05}", "note": f"n{number}"} for number in range(1, 4)]
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096)
"""How Office keeps a file with a password."""

LONG_LINE_BYTES = 64 << 20
"""Eight times the limit. The engine's own tests have lines of 1 GB; here that would be S3's stand-in at work."""


@dataclass(frozen=True)
class Bad:
    """One file, what the caller wants of it, and the problem that must come: slug, places, words of the detail."""

    what: str
    name: str
    make: Callable[[], Any]
    slug: str
    place: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    choices: Mapping[str, Any] = field(default_factory=dict)


def table() -> list[Bad]:
    """Every kind."""
    return [*_text(), *_json(), *_binary(), *_wrong_kind(), *_mapping()]


def _csv(text: str) -> Callable[[], bytes]:
    return lambda: text.encode()


def _text() -> list[Bad]:
    head, row = "vendor_id,note\n", "V-00001,a\n"
    return [
        Bad("an empty file", "a.csv", lambda: b"", "empty-file"),
        Bad("a file of white space", "a.csv", lambda: b"\n\n\n", "empty-file"),
        Bad("a row that is too long", "a.csv", _csv(f"{head}{row}V-00002,a,b\n"), "ragged-row", {"row": 3}),
        Bad("a long row far below", "a.csv", _csv(head + row * 5000 + "V-00002,a,b\n"), "ragged-row", {"row": 5002}),
        Bad("a long row of a TSV", "a.tsv", _csv("vendor_id\tnote\nV-00001\ta\tb\n"), "ragged-row", {"row": 2}),
        Bad(
            "broken UTF-8",
            "a.csv",
            lambda: f"{head}{row}V-00002,münchen übergrößenträger\n".encode() + b"V-00003,m\xff\n",
            "broken-encoding",
            {"row": 4},
        ),
        Bad(
            "broken UTF-8 far below",
            "a.csv",
            lambda: (head + "V-00001,münchen\n" * 50_000).encode() + b"V-00003,m\xff\n",
            "broken-encoding",
            {"row": 50_002},
        ),
        Bad("a NUL byte", "a.csv", _csv(f"{head}{row}V-00002,a\0b\n"), "nul-byte", {"line": 3}),
        Bad("a quote that is not closed", "a.csv", _csv(f'{head}V-00001,"a\n{row}'), "unclosed-quote"),
        Bad(
            "a column that would be added twice",
            "a.csv",
            _csv("vendor_id,vendor_id.finance.name\nV-00001,a\n"),
            "column-collision",
            {"column": "vendor_id.finance.name"},
        ),
        Bad("a line of 64 MB", "a.csv", long_line, "record-too-long", {}, ("line 2", "8 MB")),
    ]


async def long_line() -> AsyncIterator[bytes]:
    """Never all of it in memory."""
    yield b"vendor_id,note\nV-00001,"
    piece = b"x" * (1 << 20)
    for _ in range(LONG_LINE_BYTES // len(piece)):
        yield piece


def _json() -> list[Bad]:
    deep = '{"vendor_id": "V-00001", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    good = '{"vendor_id": "V-00001"}\n'
    return [
        Bad("JSON Lines with a broken line", "a.jsonl", _csv(good + '{"vendor_id": \n'), "invalid-json", {"row": 2}),
        Bad("JSON Lines with a line that is no object", "a.jsonl", _csv(f"{good}[1]\n"), "json-shape", {"row": 2}),
        Bad("JSON that nests too deeply", "a.jsonl", _csv(deep + "\n"), "nested-too-deep", {"row": 1}),
        Bad("a JSON text that is no list of objects", "a.json", _csv('"V-00001"'), "json-shape"),
        Bad("a JSON list that ends early", "a.json", _csv('[{"vendor_id": "V-00001"}'), "invalid-json"),
        Bad(
            "broken UTF-8 in JSON Lines",
            "a.jsonl",
            lambda: '{"vendor_id": "V-00001", "note": "übergröße"}\n'.encode() + b'{"vendor_id": "V-00002\xff"}\n',
            "broken-encoding",
            {"line": 2},
        ),
    ]


def _binary() -> list[Bad]:
    return [
        Bad("a bomb in an XLSX", "a.xlsx", zip_bomb, "file-too-large"),
        Bad("an XLSX with a password", "a.xlsx", lambda: OLE, "encrypted-file"),
        Bad("a DOCX with a password", "a.docx", lambda: OLE, "encrypted-file"),
        Bad("a PDF with a password", "a.pdf", encrypted_pdf, "encrypted-file"),
        Bad("an encrypted Parquet file", "a.parquet", lambda: b"PARE" + bytes(64) + b"PARE", "encrypted-file"),
        *(
            Bad(f"a cut {extension}", f"a.{extension}", partial(cut, extension), "corrupt-file")
            for extension in ("xlsx", "docx", "pdf", "parquet")
        ),
        *(
            Bad(
                f"a scrambled {extension}",
                f"a.{extension}",
                partial(scrambled, extension),
                "corrupt-file",
            )
            for extension in ("xlsx", "docx", "parquet")
        ),
    ]


def zip_bomb() -> bytes:
    """A sheet of a few hundred kilobytes that unpacks to 300 MB."""
    source = zipfile.ZipFile(io.BytesIO(make_file("xlsx", ROWS)))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for name in source.namelist():
            if not name.endswith("sheet1.xml"):
                target.writestr(name, source.read(name))
                continue
            text = source.read(name)
            at = text.index(b"</sheetData>")
            with target.open(name, "w", force_zip64=True) as sheet:
                sheet.write(text[:at])
                for _ in range(300):
                    sheet.write(b" " * (1 << 20))
                sheet.write(text[at:])
    return sink.getvalue()


def encrypted_pdf() -> bytes:
    """A PDF that asks for a password."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_file("pdf", ROWS)))
    writer.encrypt("secret", algorithm="AES-256")
    sink = io.BytesIO()
    writer.write(sink)
    return sink.getvalue()


def cut(extension: str) -> bytes:
    """The first half of a good file."""
    data = make_file(extension, ROWS)
    return data[: len(data) // 2]


def scrambled(extension: str) -> bytes:
    """A good file whose middle is noise."""
    data = bytearray(make_file(extension, ROWS))
    third = len(data) // 3
    for at in range(third, 2 * third):
        data[at] = (data[at] * 7 + at) % 256
    return bytes(data)


def _wrong_kind() -> list[Bad]:
    return [
        Bad("an XLSX that is called CSV", "a.csv", lambda: make_file("xlsx", ROWS), "wrong-format", {}, ("ZIP",)),
        Bad("a CSV that is called Parquet", "a.parquet", lambda: make_file("csv", ROWS), "wrong-format"),
        Bad("a CSV that is called XLSX", "a.xlsx", lambda: make_file("csv", ROWS), "wrong-format"),
        Bad("JSON that is called CSV", "a.csv", lambda: json.dumps(ROWS).encode(), "wrong-format", {}, ("JSON",)),
        Bad("a PDF that is called DOCX", "a.docx", lambda: make_file("pdf", ROWS), "wrong-format", {}, ("PDF",)),
        Bad("a program", "a.exe", lambda: b"MZ" + bytes(100), "unsupported-format", {}, ("exe",)),
        Bad("a name without an extension", "vendors", lambda: make_file("csv", ROWS), "unsupported-format"),
    ]


def _mapping() -> list[Bad]:
    def bad(what: str, slug: str, place: Mapping[str, Any], words: tuple[str, ...], **choices: Any) -> Bad:
        return Bad(what, "a.csv", lambda: make_file("csv", ROWS), slug, place, words, choices)

    unclear = [{"x": "V-00001"}, {"x": "V-00002"}, {"x": "something"}, {"x": "else"}]
    nothing = [{"x": "1", "y": "2"}]
    return [
        bad(
            "a mapping of no column of the file",
            "unknown-column",
            {"column": "nope", "field": "mapping"},
            (),
            mapping={"nope": ["finance.vendors"]},
        ),
        bad(
            "a mapping to no data set",
            "unknown-dataset",
            {"field": "mapping"},
            ("finance.nope",),
            mapping={"vendor_id": ["finance.nope"]},
        ),
        bad(
            "a mapping that contradicts itself",
            "invalid-mapping",
            {"column": "vendor_id", "field": "mapping"},
            (),
            mapping={"vendor_id": ["finance.vendors", "finance.rates"]},
        ),
        bad(
            "a choice of no column of the data set",
            "unknown-column",
            {"column": "nope", "field": "columns"},
            (),
            columns={"finance.vendors": ["nope"]},
        ),
        bad("an unknown department", "unknown-department", {"field": "departments"}, ("nope",), departments=["nope"]),
        Bad(
            "an unclear mapping",
            "a.csv",
            lambda: make_file("csv", unclear),
            "unclear-mapping",
            {"column": "x", "field": "mapping"},
        ),
        Bad("nothing that could be looked up", "a.csv", lambda: make_file("csv", nothing), "nothing-to-enrich"),
    ]

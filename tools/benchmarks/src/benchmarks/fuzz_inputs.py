"""Files of every format that no program writes: made by other libraries, then damaged where that format is delicate."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import docx
import openpyxl
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

KEYS = ["V-00001", "V-00002", "E-00001", "V-99999", "", "=1+1", "ü", "007", "1e9", "\u202e", "a\x00b", '"', "'", "\\"]
TOKENS: dict[str, Sequence[str]] = {
    "csv": [",", ";", "\t", '"', '""', "\n", "\r", "\r\n", "'", "\\", '\\"', "sep=,\n", "|", "\ufeff", "\x00", "a,b\n"],
    "tsv": ["\t", '"', "\n", "\r", "\\N", "\\t", " "],
    "json": ["[", "]", "{", "}", ",", ":", '"', "null", "-", "1e999", "\\u0000", "\\ud800", "\n", '{"a":', "[[", "NaN"],
    "jsonl": [
        "{",
        "}",
        "\n",
        "\r\n",
        '"',
        '{"vendor_id":"V-00001"}',
        ":",
        "1" * 400,
        "\\ud83d",
        "[",
        "true",
        '{"a":{"a":',
    ],
    "txt": ["V-00001", " ", "\n", ".", "-", "http://", "www.", "\u00ad", "V\u2010", "(", "_", "V-00001-", "漢"],
    "md": [
        "`",
        "```",
        "~~~",
        "<!--",
        "-->",
        "](",
        ")",
        "[a]: ",
        "<a ",
        ">",
        "---\n",
        "\n",
        "> ",
        "* ",
        "|",
        "V-00001",
        "\\",
    ],
}
XML = [
    "<row>",
    "</row>",
    '<c t="s"><v>9999999</v></c>',
    "<!DOCTYPE a>",
    "&amp;",
    "&#0;",
    "<w:p>",
    "</w:p>",
    "<w:t>",
    "]]>",
    "<!--",
    "<![CDATA[",
    '<c r="ZZZZ1"/>',
    "<v>-1</v>",
    'xml:space="preserve"',
    "<is><t>",
    "\x01",
]
PDF = [
    "obj",
    "endobj",
    "stream",
    "endstream",
    "<<",
    ">>",
    "/Length 9999999999",
    "/Filter/FlateDecode",
    "1 0 R",
    "[",
    "]",
    "/Kids[1 0 R]",
    "/Type/Page",
    "xref",
    "trailer",
    "/W[1 2 1]",
    "/Encrypt 1 0 R",
    "q\n",
    "BT (V-00001) Tj ET",
]


def make(number: int) -> tuple[str, bytes]:
    """The name and content of input ``number``: always the same."""
    rng = random.Random(number)  # noqa: S311 - to be repeated, not to be unguessable
    kind = _KINDS[number % len(_KINDS)]
    return f"fuzz-{number}.{kind}", _MAKERS[kind](rng, kind)


def _text(rng: random.Random, kind: str) -> bytes:
    tokens = [*TOKENS[kind], *KEYS]
    if rng.random() < 0.3:
        body = rng.choice(tokens) * rng.choice([10, 1000, 100_000])
    else:
        body = "".join(rng.choice(tokens) for _ in range(rng.choice([5, 50, 2000])))
    start = {
        "csv": "vendor_id,b\nV-00001,2\n",
        "tsv": "vendor_id\tb\n",
        "json": '[{"vendor_id":"V-00001"}',
        "jsonl": '{"vendor_id":"V-00001"}\n',
    }
    text = rng.choice([start.get(kind, "V-00001 "), ""]) + body + rng.choice(["", "\n", "]", '"'])
    codec = rng.choice(["utf-8", "utf-8", "utf-8", "utf-16", "cp1252", "utf-16-be", "gb18030"])
    data = text.encode(codec, "replace")
    return _damaged(rng, data, []) if rng.random() < 0.2 else data


def _value(rng: random.Random, deep: int = 0) -> Any:
    choices: list[Callable[[], Any]] = [
        lambda: rng.choice(KEYS),
        lambda: rng.randint(-(2**70), 2**70),
        lambda: rng.choice([None, True, "x" * 10_000]),
    ]
    if deep < 3:
        choices += [
            lambda: [_value(rng, deep + 1) for _ in range(3)],
            lambda: {rng.choice(KEYS): _value(rng, deep + 1)},
        ]
    return rng.choice(choices)()


def _json(rng: random.Random, kind: str) -> bytes:
    if rng.random() < 0.5:
        return _text(rng, kind)
    records = [{"vendor_id": _value(rng), "b": _value(rng)} for _ in range(rng.choice([1, 30]))]
    if kind == "jsonl":
        data = "\n".join(json.dumps(record) for record in records).encode()
    else:
        data = json.dumps(records, indent=rng.choice([None, 1, 4])).encode()
    return _damaged(rng, data, TOKENS[kind]) if rng.random() < 0.5 else data


def _arrow(rng: random.Random, rows: int, deep: int = 0) -> pa.Array:
    text = pa.array([rng.choice([*KEYS, None]) for _ in range(rows)], pa.string())
    long = "x" * rng.choice([1, 1000, 100_000, 2_000_000])
    makers: list[Callable[[], pa.Array]] = [
        lambda: text,
        lambda: text.dictionary_encode(),
        lambda: pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([long])),
        lambda: text.cast(pa.large_string()),
        lambda: text.cast(pa.string_view()),
        lambda: pa.array([rng.randint(-(2**31), 2**31) for _ in range(rows)], pa.int64()),
        lambda: pa.array([rng.random() for _ in range(rows)], pa.float64()),
        lambda: pa.nulls(rows),
        lambda: pa.array([b"\xff" * rng.choice([1, 500])] * rows, pa.binary()),
        lambda: pa.array([rng.randint(0, 10**9)] * rows, pa.timestamp("ns")),
        lambda: pa.array([bytes(16)] * rows, pa.binary(16)),
    ]
    if deep < 3:
        inner = _arrow(rng, rows, deep + 1)
        offsets = pa.array(range(rows + 1), pa.int32())
        makers += [
            lambda: pa.ListArray.from_arrays(offsets, inner),
            lambda: pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), inner),
            lambda: pa.StructArray.from_arrays([inner, text], ["a", "b.c"]),
            lambda: pa.MapArray.from_arrays(offsets, pa.array([str(row) for row in range(rows)]), inner),
            lambda: pa.FixedSizeListArray.from_arrays(inner, 1),
        ]
    return rng.choice(makers)()


def _parquet(rng: random.Random, _: str) -> bytes:
    rows = rng.choice([1, 10, 1000])
    sink = io.BytesIO()
    if rng.random() < 0.2:
        pl.DataFrame(
            {"vendor_id": ["V-00001"] * rows, "c": pl.Series(["é"] * rows, dtype=pl.Categorical)}
        ).write_parquet(sink)
    else:
        table = pa.table({"vendor_id": ["V-00001"] * rows, "x": _arrow(rng, rows), "y": _arrow(rng, rows)})
        options: dict[str, Any] = {
            "compression": rng.choice(["snappy", "zstd", "gzip", "none", "lz4", "brotli"]),
            "use_dictionary": rng.choice([True, False]),
            "data_page_version": rng.choice(["1.0", "2.0"]),
            "row_group_size": rng.choice([1, 100, 10_000]),
        }
        try:
            pq.write_table(table, sink, **options)
        except pa.ArrowNotImplementedError:
            # Arrow cannot cut some types into pages: that table is not written, and another one is.
            sink = io.BytesIO()
            pq.write_table(table.select(["vendor_id"]), sink, **options)
    data = sink.getvalue()
    if rng.random() < 0.4:
        return data
    if rng.random() < 0.5:
        footer = int.from_bytes(data[-8:-4], "little")
        return data[: -8 - footer] + _damaged(rng, data[-8 - footer : -8], [])[:footer].ljust(footer, b"\0") + data[-8:]
    return data[:4] + _damaged(rng, data[4:-4], []) + data[-4:]


@cache
def _book() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None  # noqa: S101 - a new workbook has one
    sheet.append(["vendor_id", "note", "when"])
    for number in range(30):
        sheet.append([f"V-{number:05d}", "text " * (number % 5), number / 7])
    sink = io.BytesIO()
    book.save(sink)
    return _timeless(sink.getvalue())


@cache
def _document() -> bytes:
    document = docx.Document()
    for number in range(20):
        document.add_paragraph(f"Pay V-{number:05d} today").add_run(" and E-00001.").bold = True
    document.add_table(2, 2).cell(0, 0).text = "V-00001"
    sink = io.BytesIO()
    document.save(sink)
    return _timeless(sink.getvalue())


def _timeless(data: bytes) -> bytes:
    """The archive without the times at which it was made."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w") as new:
        for name in old.namelist():
            part = re.sub(rb"\d{4}-\d\d-\d\dT[\d:]+Z", b"2026-01-01T00:00:00Z", old.read(name))
            new.writestr(_entry(name), part)
    return sink.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _office(rng: random.Random, kind: str) -> bytes:
    data = _book() if kind == "xlsx" else _document()
    if rng.random() < 0.25:
        return _damaged(rng, data, [])
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        hit = rng.choice([name for name in old.namelist() if name.endswith((".xml", ".rels"))])
        main = "xl/worksheets/sheet1.xml" if kind == "xlsx" else "word/document.xml"
        hit = rng.choice([hit, main])
        for name in old.namelist():
            part = old.read(name)
            new.writestr(_entry(name), _damaged(rng, part, XML) if name == hit else part)
    return sink.getvalue()


def _pdf(rng: random.Random, _: str) -> bytes:
    content = b"BT /F1 12 Tf 50 700 Td (Pay V-00001 and E-00001 now) Tj ET\n" * rng.choice([1, 50, 5000])
    content = _damaged(rng, content, PDF) if rng.random() < 0.5 else content
    packed = zlib.compress(content)
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, part) for number, part in enumerate(parts, 1))
    data = b"%PDF-1.4\n" + body + b"trailer<</Size 6/Root 1 0 R>>\n%%EOF"
    return b"%PDF-1.4\n" + _damaged(rng, data[9:], PDF) if rng.random() < 0.7 else data


def _damaged(rng: random.Random, data: bytes, tokens: Sequence[str]) -> bytes:
    """Some of it flipped, cut, doubled or repeated very often, with tokens of the format put in."""
    kept = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 20])):
        at = rng.randrange(len(kept) + 1)
        length = rng.choice([1, 4, 50, 1000])
        match rng.randrange(6 if tokens else 5):
            case 0 if kept:
                kept[min(at, len(kept) - 1)] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
            case 1:
                del kept[at : at + length]
            case 2:
                kept[at:at] = kept[at : at + length] * rng.choice([1, 1, 100])
            case 3:
                kept[at : at + 4] = rng.choice([0, 1, 2**31 - 1, 2**32 - 1]).to_bytes(4, rng.choice(["little", "big"]))
            case 4 if rng.random() < 0.3:
                del kept[at:]
            case 5:
                kept[at:at] = rng.choice(tokens).encode() * rng.choice([1, 1, 3, 1000, 20_000])
    return bytes(kept)


_MAKERS: dict[str, Callable[[random.Random, str], bytes]] = {
    "csv": _text, "tsv": _text, "json": _json, "jsonl": _json, "txt": _text, "md": _text,
    "parquet": _parquet, "xlsx": _office, "docx": _office, "pdf": _pdf,
}  # fmt: skip
_KINDS = list(_MAKERS)

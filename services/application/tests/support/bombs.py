"""Files of few bytes that take very much to read."""

from __future__ import annotations

import io
import zlib

import pyarrow as pa
import pyarrow.parquet as pq

MEBIBYTE = 1 << 20


def markdown(start: str, size: int = 6 * MEBIBYTE) -> bytes:
    """Nothing but starts of parts that never end, with a key at the end."""
    return ("V-00001\n" + start * (size // len(start))).encode()


def parquet(array: pa.Array) -> bytes:
    """A file with keys, and with ``array`` in a column beside them."""
    table = pa.table({"vendor_id": ["V-00001"] * len(array), "text": array})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=True)
    return sink.getvalue()


def arrays(rows: int = 1000, size: int = MEBIBYTE) -> dict[str, pa.Array]:
    """One text of ``size`` bytes in each of ``rows`` rows, by the name of the layout."""
    text = "x" * size
    indices = pa.array([0] * rows, pa.int32())
    packed = pa.DictionaryArray.from_arrays(indices, [text])
    lists = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), packed)
    return {
        "dictionary": packed,
        "plain text": packed.cast(pa.large_string()) if rows * size < 64 * MEBIBYTE else packed,
        "list of dictionary": lists,
        "struct of dictionary": pa.StructArray.from_arrays([packed], ["inner"]),
    }


def pdf(size: int) -> bytes:
    """A page whose content is so many bytes, packed twice into some thousand."""
    content = zlib.compress(zlib.compress(b"BT ET " * (size // 6), 9), 9)
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>",
        b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, part) for number, part in enumerate(parts, 1))
    return b"%PDF-1.4\n" + body + b"trailer<</Size 5/Root 1 0 R>>\n%%EOF"

"""Pages that list what is known about the identifiers of a PDF, for those who print it or read it without notes."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

MOST_PAGES = 10
_MARGIN = 54
_SIZE = 9
_LEADING = 13
_HEAD_SIZE = 14
# Helvetica's letters are half as wide as high, the average of text; some room is left for wide ones.
_WIDTH_OF_LETTER = 0.54


@dataclass(frozen=True, slots=True)
class Entry:
    """One identifier: ``pages`` count from 1; the first ``MOST_PAGES`` are listed."""

    key: str
    dataset: str
    pages: list[int]
    details: str


def summary_pdf(entries: Sequence[Entry], width: float, height: float) -> bytes:
    """A PDF of pages of that size in points; text is in Helvetica, with a question mark for what it does not have."""
    columns = max(20, int((width - 2 * _MARGIN) / (_SIZE * _WIDTH_OF_LETTER)))
    lines: list[tuple[str, str]] = []
    for entry in entries:
        shown = ", ".join(str(page) for page in entry.pages[:MOST_PAGES]) + (
            ", ..." if len(entry.pages) > MOST_PAGES else ""
        )
        title = f"{entry.key}  -  {entry.dataset}, page{'s' if len(entry.pages) > 1 else ''} {shown}"
        lines.append(("F2", title[:columns]))
        lines += [("F1", line) for line in textwrap.wrap(entry.details, columns)]
        lines.append(("F1", ""))
    on_page = max(1, int((height - 2 * _MARGIN - 2 * _LEADING) / _LEADING))
    pages = [lines[at : at + on_page] for at in range(0, len(lines), on_page)]
    return _document([_content(page, height) for page in pages], width, height)


def _content(lines: Sequence[tuple[str, str]], height: float) -> bytes:
    parts = [
        b"BT /F2 %d Tf %d %.1f Td (Identifiers in this document) Tj ET" % (_HEAD_SIZE, _MARGIN, height - _MARGIN),
        b"BT %d TL %d %.1f Td" % (_LEADING, _MARGIN, height - _MARGIN - 2 * _LEADING),
    ]
    parts += [b"/%s %d Tf (%s) Tj T*" % (font.encode(), _SIZE, _literal(line)) for font, line in lines]
    return b"\n".join([*parts, b"ET"])


def _literal(text: str) -> bytes:
    """``text`` in the font's encoding, which is that of Windows; letters without their accents where it lacks them."""
    kept = "".join(char if _has(char) else unicodedata.normalize("NFKD", char)[:1] for char in text)
    data = kept.encode("cp1252", "replace")
    return data.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _has(char: str) -> bool:
    try:
        char.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _document(contents: Sequence[bytes], width: float, height: float) -> bytes:
    """A PDF (ISO 32000-1, 7.5) of one content stream for each page."""
    kids = b" ".join(b"%d 0 R" % (5 + 2 * index) for index in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(contents), kids),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for index, content in enumerate(contents):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.2f %.2f] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>" % (width, height, 6 + 2 * index),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    data = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(data)

"""Reads the text of PDF pages, and where on a page a part of it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

from application.engine.core.errors import InputError
from application.engine.core.identifiers import Finder, Found
from application.engine.core.model import Limits, Source
from application.engine.core.streams import SourceFile

Box = tuple[float, float, float, float]
"""Left, bottom, right and top in points, in the page's own space."""

_HYPHENS = {0x02, 0xFFFE}


@dataclass(frozen=True, slots=True)
class Place:
    """An identifier, its page from 0, and the boxes around it, one for each line that it takes."""

    found: Found
    page: int
    boxes: tuple[Box, ...]


def find_places(source: Source, finder: Finder, limits: Limits) -> Iterator[list[Place]]:
    """The identifiers of each page. Raises ``InputError``."""
    if source.size > limits.unpacked:
        raise _too_much(f"more than {limits.unpacked >> 20} MB", limits)
    file = SourceFile(source)
    file.seek(0)
    data = file.read()
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise (encrypted_pdf() if error.err_code == pdfium.FPDF_ERR_PASSWORD else corrupt_pdf()) from None
    try:
        if pdfium.FPDF_GetSecurityHandlerRevision(document) != -1:
            raise encrypted_pdf()
        pages = len(document)
        if pages > limits.pages:
            raise _too_much(f"{pages:,} pages", limits)
        if not pages:
            raise corrupt_pdf()
        length = 0
        for number in range(pages):
            size, places = _page(document, number, finder, limits.document_text - length)
            length += size
            if length > limits.document_text:
                raise _too_much(f"more than {limits.document_text / 1_000_000:.0f} million characters of text", limits)
            yield places
        if not length:
            raise InputError(
                "nothing-to-enrich",
                "The PDF has no text",
                "No page of the PDF has text: its pages may be pictures, as a scanner makes them.",
                expected="a PDF whose text can be selected; run text recognition on a scan first",
            )
    finally:
        document.close()


def _page(document: pypdfium2.PdfDocument, number: int, finder: Finder, most: int) -> tuple[int, list[Place]]:
    """How many characters (at most one more than ``most``) a page has, and its identifiers."""
    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        raise corrupt_pdf(number + 1) from None
    count = min(text_page.count_chars(), most + 1)
    text = "".join(_character(pdfium.FPDFText_GetUnicode(text_page, index)) for index in range(count))
    places = []
    for found in finder.find(text):
        lines = text_page.count_rects(found.start, found.end - found.start)
        if boxes := tuple(text_page.get_rect(line) for line in range(lines)):
            places.append(Place(found, number, boxes))
    text_page.close()
    page.close()
    return len(text), places


def _character(code: int) -> str:
    """A character of a page: a hyphen at the end of a line is one, what has no meaning is a space."""
    if code in _HYPHENS:
        return "-"
    return " " if code == 0 or 0xD800 <= code < 0xE000 else chr(code)


def encrypted_pdf() -> InputError:
    """A PDF that is protected against reading or changes."""
    return InputError(
        "encrypted-file",
        "The file is encrypted",
        "The PDF is protected by a password, or against changes.",
        expected="a PDF without protection",
    )


def corrupt_pdf(page: int | None = None) -> InputError:
    """A PDF that cannot be read."""
    where = "" if page is None else f" at page {page:,}"
    return InputError(
        "corrupt-file",
        "The file is damaged",
        f"The PDF cannot be read{where}: it is damaged or cut off.",
        row=page,
        expected="a whole PDF; open it and save or print it to PDF again",
    )


def _too_much(what: str, limits: Limits) -> InputError:
    return InputError(
        "file-too-large",
        "The file is too large",
        f"The PDF has {what}.",
        expected=f"at most {limits.pages:,} pages and {limits.unpacked >> 20} MB; split it",
    )

"""PDF: identifiers are highlighted, with a note, and a summary is appended. The file stays as an earlier revision."""

from __future__ import annotations

import datetime as dt
import io
import logging
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Highlight
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, FloatObject, NameObject, RectangleObject, TextStringObject

from application.engine.core.identifiers import Finder, Found
from application.engine.core.model import Limits, Source
from application.engine.core.notes import Annotator, Note, annotating
from application.engine.core.run import Run
from application.engine.core.streams import SourceFile
from application.engine.pdf.summary import MOST_PAGES, Entry, summary_pdf
from application.engine.pdf.text import Place, corrupt_pdf, encrypted_pdf, find_places

# What pypdf finds odd it logs, with the bytes around it: a file's content is nobody's but its owner's.
logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)

_YELLOW = "ffe066"
_MOST_ENTRIES = 2000
_SMALLEST_PAGE, _A4 = 300, (595.28, 841.89)


def find_identifiers(source: Source, finder: Finder, limits: Limits) -> Iterator[Found]:
    """The identifiers of all pages."""
    for places in find_places(source, finder, limits):
        yield from (place.found for place in places)


def enrich_pdf(run: Run) -> None:
    """Write the PDF of ``run`` with highlights, notes and a summary."""
    noted = _Noted(run.limits.notes)
    with annotating(run) as joiner:
        annotator = Annotator(run, joiner)
        for number, places in enumerate(find_places(run.source, annotator.finder, run.limits), start=1):
            notes = annotator.notes([place.found for place in places], [number] * len(places))
            for place, part in zip(places, notes, strict=True):
                noted.add(place, part)
            run.advance(len(places), run.source.tell())
    if noted.marks:
        run.warnings.extend(noted.warnings())
        _write(run, noted)
    else:
        run.source.seek(0)
        while piece := run.source.read(1 << 20):
            run.sink.write(piece)


class _Noted:
    """What is written into the PDF, within bounds: each note is an object that is held in memory."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.marks: list[tuple[Place, Sequence[Note]]] = []
        self._marks_left_out = 0
        self._entries: dict[tuple[str, str], Entry] = {}
        self._entries_left_out = 0

    def add(self, place: Place, notes: Sequence[Note]) -> None:
        """Take notes on one identifier; none if no department knows it."""
        if notes and len(self.marks) < self._limit:
            self.marks.append((place, notes))
        else:
            self._marks_left_out += bool(notes)
        for note in notes:
            known = (place.found.key, str(note.entry.dataset.ref))
            if known not in self._entries and len(self._entries) >= _MOST_ENTRIES:
                self._entries_left_out += note.first
                continue
            entry = self._entries.setdefault(known, Entry(*known, [], note.details))
            if place.page + 1 not in entry.pages[-1:] and len(entry.pages) <= MOST_PAGES:
                entry.pages.append(place.page + 1)

    def summary(self, width: float, height: float) -> bytes:
        """One entry for each identifier and data set, in the order of the document."""
        return summary_pdf(list(self._entries.values()), width, height)

    def warnings(self) -> list[str]:
        """What was left out."""
        warnings = []
        if self._marks_left_out:
            warnings.append(
                f"Only the first {self._limit:,} mentions are highlighted; {self._marks_left_out:,} are not."
            )
        if self._entries_left_out:
            warnings.append(
                f"The summary lists the first {_MOST_ENTRIES:,} identifiers; {self._entries_left_out:,} are not in it."
            )
        return warnings


def _write(run: Run, noted: _Noted) -> None:
    try:
        # pypdf starts its first object right after the last byte of the file.
        data = SourceFile(run.source).read()
        reader = PdfReader(io.BytesIO(data if data.endswith((b"\n", b"\r")) else data + b"\n"))
        if reader.is_encrypted:
            raise encrypted_pdf()
        if "/Perms" in reader.root_object or reader.root_object.get("/AcroForm", {}).get("/SigFlags", 0):
            run.warnings.append("The PDF is signed; its signature covers the pages, but not the notes.")
        writer = PdfWriter(reader, incremental=True)
        if reader.metadata is not None:
            # A new trailer has all entries of the one before (ISO 32000-1, 7.5.6); pypdf writes a changed /Info only.
            writer.add_metadata({"/ModDate": f"D:{dt.datetime.now(dt.UTC):%Y%m%d%H%M%S}Z"})
        for place, notes in noted.marks:
            writer.add_annotation(place.page, _highlight(place, notes))
        box = reader.pages[0].mediabox
        size = float(box.width), float(box.height)
        summary = noted.summary(*(size if min(size) >= _SMALLEST_PAGE else _A4))
        for page in PdfReader(io.BytesIO(summary)).pages:
            writer.add_page(page)
        writer.write(cast(BinaryIO, run.sink))
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        # PDFium has read the file: it repairs more than can be written to.
        raise corrupt_pdf() from None


def _highlight(place: Place, notes: Sequence[Note]) -> Highlight:
    quads = [
        FloatObject(round(value, 2))
        for left, bottom, right, top in place.boxes
        for value in (left, top, right, top, left, bottom, right, bottom)
    ]
    area = RectangleObject(
        (
            min(box[0] for box in place.boxes),
            min(box[1] for box in place.boxes),
            max(box[2] for box in place.boxes),
            max(box[3] for box in place.boxes),
        )
    )
    mark = Highlight(rect=area, quad_points=ArrayObject(quads), highlight_color=_YELLOW, printing=True)
    departments = dict.fromkeys(note.entry.dataset.ref.department for note in notes)
    mark[NameObject("/T")] = TextStringObject(", ".join(departments))
    mark[NameObject("/Contents")] = TextStringObject("\n\n".join(_note_text(place, note) for note in notes))
    return mark


def _note_text(place: Place, note: Note) -> str:
    lines = [f"{place.found.key} ({note.entry.dataset.ref})", *(f"{label}: {value}" for label, value in note.pairs)]
    return "\n".join(lines)

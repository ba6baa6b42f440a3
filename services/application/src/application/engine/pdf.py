"""PDF: identifiers are highlighted, with a note, and a summary is appended. The file stays as an earlier revision."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Highlight
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, FloatObject, NameObject, RectangleObject, TextStringObject

from application.engine.files import SourceFile
from application.engine.identifiers import Finder, Found
from application.engine.model import Limits, Source
from application.engine.notes import Annotator, Note, annotating
from application.engine.pdf_summary import Entry, summary_pdf
from application.engine.pdf_text import Place, corrupt_pdf, encrypted_pdf, find_places
from application.engine.run import Run

_YELLOW = "ffe066"
_MOST_ENTRIES = 2000
_SMALLEST_PAGE, _A4 = 300, (595.28, 841.89)


def find_identifiers(source: Source, finder: Finder, limits: Limits) -> Iterator[Found]:
    """The identifiers of all pages."""
    for places in find_places(source, finder, limits):
        yield from (place.found for place in places)


def enrich_pdf(run: Run) -> None:
    """Write the PDF of ``run`` with highlights, notes and a summary."""
    with annotating(run) as joiner:
        annotator = Annotator(run, joiner)
        noted: list[tuple[Place, list[Note]]] = []
        for number, places in enumerate(find_places(run.source, annotator.finder, run.limits), start=1):
            notes = annotator.notes([place.found for place in places], [number] * len(places))
            noted += [(place, part) for place, part in zip(places, notes, strict=True) if part]
            run.advance(len(places), run.source.tell())
    _write(run, noted)


def _write(run: Run, noted: Sequence[tuple[Place, list[Note]]]) -> None:
    try:
        reader = PdfReader(io.BufferedReader(SourceFile(run.source), 1 << 20))
        if reader.is_encrypted:
            raise encrypted_pdf()
        if "/Perms" in reader.root_object or reader.root_object.get("/AcroForm", {}).get("/SigFlags", 0):
            run.warnings.append("The PDF is signed; its signature covers the pages, but not the notes.")
        writer = PdfWriter(reader, incremental=True)
        for place, notes in noted:
            writer.add_annotation(place.page, _highlight(place, notes))
        if noted:
            for page in PdfReader(io.BytesIO(_summary(run, reader, noted))).pages:
                writer.add_page(page)
            writer.write(cast(BinaryIO, run.sink))
            return
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        # PDFium has read the file: it repairs more than can be written to.
        raise corrupt_pdf() from None
    run.source.seek(0)
    while piece := run.source.read(1 << 20):
        run.sink.write(piece)


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


def _summary(run: Run, reader: PdfReader, noted: Sequence[tuple[Place, list[Note]]]) -> bytes:
    """One entry for each identifier and data set, in the order of the document, on pages as large as its first."""
    pages: dict[tuple[str, str], list[int]] = {}
    details: dict[tuple[str, str], str] = {}
    for place, notes in noted:
        for note in notes:
            known = (place.found.key, str(note.entry.dataset.ref))
            details.setdefault(known, note.details)
            seen = pages.setdefault(known, [])
            if place.page + 1 not in seen[-1:]:
                seen.append(place.page + 1)
    entries = [Entry(key, dataset, pages[key, dataset], text) for (key, dataset), text in details.items()]
    if len(entries) > _MOST_ENTRIES:
        run.warnings.append(f"The summary lists {_MOST_ENTRIES:,} of {len(entries):,} identifiers; the notes have all.")
    box = reader.pages[0].mediabox
    size = float(box.width), float(box.height)
    width, height = size if min(size) >= _SMALLEST_PAGE else _A4
    return summary_pdf(entries[:_MOST_ENTRIES], width, height)

"""DOCX: a note is put after each identifier, in the same run of text; every other byte of every part is kept."""

from __future__ import annotations

import zipfile
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from application.engine.core.errors import InputError
from application.engine.core.identifiers import Finder, Found
from application.engine.core.model import Limits, Source
from application.engine.core.notes import Annotator, Note, annotating
from application.engine.core.run import Run
from application.engine.office.archive import Archive
from application.engine.office.package import main_part, readable, relations_of
from application.engine.office.xml import Attributes, Feed, UnsafeXml, local, new_parser, set_handlers

_ANNOTATED = {"header", "footer", "footnotes", "endnotes"}
_ROOTS = {"document", "hdr", "ftr", "footnotes", "endnotes"}
_MAX_PIECES = 500_000
"""Of paragraphs that have not ended: each piece of text is held with its place, whatever it weighs in the file."""

_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": "\u00ad"}


def find_identifiers(source: Source, finder: Finder, limits: Limits) -> Iterator[Found]:
    """The identifiers of the body, headers, footers and notes."""
    with Archive(source, limits, "DOCX", limits.unpacked) as archive:
        for part in _parts(archive):
            paragraphs: list[_Paragraph] = []
            for _ in _read(archive, part, limits, paragraphs.append):
                for paragraph in paragraphs:
                    yield from finder.find(paragraph.text)
                paragraphs.clear()


def enrich_docx(run: Run) -> None:
    """Write the document of ``run`` with notes."""
    with Archive(run.source, run.limits, "DOCX", run.limits.unpacked) as archive, annotating(run) as joiner:
        annotator = Annotator(run, joiner)
        annotated = _parts(archive)
        if any(name.startswith("_xmlsignatures/") for name in archive.names):
            run.warnings.append("The document is signed; its signature does not hold for the document with notes.")
        # The order of the document's parts, so that the first mention is that of the body.
        edits = {part: _edits(run, archive, part, annotator) for part in annotated}
        with zipfile.ZipFile(run.sink, "w", zipfile.ZIP_DEFLATED) as output:
            for name in archive.names:
                with output.open(archive.copy_info(name), "w") as part:
                    _copy(archive.chunks(name), edits.get(name, []), part.write)


def _parts(archive: Archive) -> list[str]:
    """The parts that hold text: the body first."""
    body = main_part(archive, "word/document.xml")
    others = [target for kind, target in relations_of(archive, body).values() if kind in _ANNOTATED]
    return [body, *dict.fromkeys(name for name in others if name in archive.names and name != body)]


def _edits(run: Run, archive: Archive, part: str, annotator: Annotator) -> list[tuple[int, bytes]]:
    """Where in the part's bytes notes go, in order."""
    paragraphs: list[_Paragraph] = []
    edits: list[tuple[int, bytes]] = []
    number = 0
    for _ in _read(archive, part, run.limits, paragraphs.append):
        found: list[Found] = []
        places: list[int] = []
        numbers: list[int] = []
        for paragraph in paragraphs:
            number += 1
            for item in annotator.finder.find(paragraph.text):
                found.append(item)
                places.append(paragraph.byte_after(item.after))
                numbers.append(number)
        paragraphs.clear()
        notes = annotator.notes(found, numbers)
        edits += [(place, _written(part)) for place, part in zip(places, notes, strict=True) if part]
        run.advance(len(found), run.source.tell())
    return sorted(edits, key=lambda edit: edit[0])


def _written(notes: Sequence[Note]) -> bytes:
    return "".join(" " + escape(note.text) for note in notes).encode("utf-8", "replace")


def _copy(chunks: Iterator[bytes], edits: Sequence[tuple[int, bytes]], write: Callable[[bytes], object]) -> None:
    """Pass chunks on, with more put in at byte positions."""
    position = 0
    index = 0
    for chunk in chunks:
        done = 0
        while index < len(edits) and edits[index][0] <= position + len(chunk):
            at, more = edits[index]
            write(chunk[done : at - position])
            write(more)
            done = at - position
            index += 1
        write(chunk[done:])
        position += len(chunk)


@dataclass(slots=True)
class _Paragraph:
    """A paragraph's text, and where in the part's bytes each piece of it stands."""

    parts: list[str] = field(default_factory=list)
    length: int = 0
    starts: list[int] = field(default_factory=list)
    pieces: list[_Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text without its formatting."""
        return "".join(self.parts)

    def add(self, text: str, piece: _Piece | None = None) -> None:
        """Go on with ``text``, which stands in ``piece`` of the bytes, if anywhere."""
        if piece is not None:
            self.starts.append(self.length)
            self.pieces.append(piece)
        self.parts.append(text)
        self.length += len(text)

    def byte_after(self, position: int) -> int:
        """The place in the part's bytes right after character ``position - 1``."""
        index = max(0, bisect_right(self.starts, position - 1) - 1)
        piece = self.pieces[index]
        text = piece.text[: position - self.starts[index]]
        # A piece that is not written as it is (an entity, a line ending) cannot be split.
        return piece.start + len(text.encode()) if piece.is_literal else piece.end


@dataclass(slots=True)
class _Piece:
    """Characters that stand together in the bytes from ``start`` to ``end``."""

    text: str
    start: int
    end: int = 0

    @property
    def is_literal(self) -> bool:
        """Whether the bytes are the text itself."""
        return self.end - self.start == len(self.text.encode())


def _read(archive: Archive, part: str, limits: Limits, take: Callable[[_Paragraph], None]) -> Iterator[None]:
    """Read a part and hand out its paragraphs; yields now and then, so that the caller can work on them."""
    reader = _Reader(take, limits)
    chunks = archive.chunks(part)
    while True:
        with readable(archive, part):
            chunk = next(chunks, b"")
            if not chunk:
                reader.close()
                break
            reader.feed(chunk)
        yield
    yield


class _Reader:
    """Feeds expat and collects the text of paragraphs, also of those inside of others (text boxes)."""

    def __init__(self, take: Callable[[_Paragraph], None], limits: Limits) -> None:
        self._take = take
        self._limits = limits
        self._open: list[_Paragraph] = []
        self._prefix: str | None = None
        self._in_text = False
        self._last: _Piece | None = None
        self._length = 0
        self._pieces = 0
        self._depth = 0
        self._parser = new_parser()
        self._parser.buffer_text = False
        set_handlers(self._parser, self._start, self._end, self._text)
        self._feed = Feed(self._parser, lambda: self._depth)

    def feed(self, data: bytes) -> None:
        """Read on."""
        self._feed.feed(data)

    def close(self) -> None:
        """Say that there is no more."""
        self._feed.close()

    def _end_piece(self) -> None:
        """A piece ends where what follows it starts."""
        if self._last is not None:
            self._last.end = self._parser.CurrentByteIndex
            self._last = None

    def _start(self, name: str, _: Attributes) -> None:
        self._depth += 1
        self._end_piece()
        if self._prefix is None:
            self._prefix = name[: name.find(":") + 1]
            if local(name) not in _ROOTS:
                raise UnsafeXml(f"it is a {local(name)[:50]}, not part of a Word document")
        kind = name.removeprefix(self._prefix)
        if kind == "p":
            self._open.append(_Paragraph())
        elif self._open and kind in _SIGNS:
            self._add(_SIGNS[kind])
        self._in_text = bool(self._open) and kind == "t"

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._end_piece()
        self._in_text = False
        if self._open and name.removeprefix(self._prefix or "") == "p":
            self._take(self._open.pop())
            if not self._open:
                self._pieces = 0

    def _text(self, data: str) -> None:
        self._end_piece()
        if not self._in_text:
            return
        self._length += len(data)
        if self._length > self._limits.document_text:
            raise text_too_long(self._limits)
        self._last = _Piece(data, self._parser.CurrentByteIndex)
        self._add(data, self._last)

    def _add(self, text: str, piece: _Piece | None = None) -> None:
        self._pieces += 1
        if self._pieces > _MAX_PIECES:
            raise UnsafeXml(f"it has a paragraph of more than {_MAX_PIECES:,} pieces")
        self._open[-1].add(text, piece)


def text_too_long(limits: Limits) -> InputError:
    """More text than is looked through."""
    million = limits.document_text / 1_000_000
    return InputError(
        "file-too-large",
        "The document is too long",
        f"The document has more than {million:.0f} million characters of text.",
        expected=f"at most {million:.0f} million characters",
    )

"""Text and Markdown: a note is put after each identifier; encoding, line endings and every other character stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from application.engine.core.encoding import Encoding, detect_encoding
from application.engine.core.identifiers import Finder, Found
from application.engine.core.model import Format, Limits, Source
from application.engine.core.notes import Annotator, Note, annotating
from application.engine.core.run import Run
from application.engine.json.lines import line_blocks
from application.engine.text.markdown import Regions, escape

_PIECE = 1 << 20


def find_identifiers(
    source: Source, file_format: Format, finder: Finder, encoding: Encoding, limits: Limits
) -> Iterator[Found]:
    """The identifiers of the text, as far as it is searched."""
    regions = Regions() if file_format is Format.MARKDOWN else None
    searched = 0
    for text, _ in line_blocks(source, encoding, limits, _PIECE):
        searched += len(text)
        for found, place in _placed(text, finder, regions):
            if place is not None:
                yield found
        if searched >= limits.searched:
            return


def enrich_text(run: Run) -> None:
    """Write the text of ``run`` with notes."""
    encoding = detect_encoding(run.source, run.options.codec)
    run.charset = encoding.charset
    regions = Regions() if run.file_format is Format.MARKDOWN else None
    writer = _Writer(encoding, markdown=regions is not None)
    run.sink.write(encoding.bom)
    with annotating(run) as joiner:
        annotator = Annotator(run, joiner)
        for text, line in line_blocks(run.source, encoding, run.limits, _PIECE):
            placed = [(found, at) for found, at in _placed(text, annotator.finder, regions) if at is not None]
            lines = _line_numbers(text, [found.start for found, _ in placed], line)
            notes = annotator.notes([found for found, _ in placed], lines)
            edits = [(at, writer.text(text, at, part)) for (_, at), part in zip(placed, notes, strict=True)]
            run.sink.write(encoding.encode(spliced(text, edits).encode()))
            run.advance(len(placed), run.source.tell())
    run.warnings.extend(writer.warnings())


def spliced(text: str, edits: Sequence[tuple[int, str]]) -> str:
    """``text`` with more text put in at places that are in order, or nearly so."""
    parts: list[str] = []
    done = 0
    for at, more in sorted(edits, key=lambda edit: edit[0]):
        parts += [text[done:at], more]
        done = at
    return "".join(parts) + text[done:]


def _placed(text: str, finder: Finder, regions: Regions | None) -> list[tuple[Found, int | None]]:
    """Each identifier, and where its note goes."""
    found = list(finder.find(text))
    if regions is None:
        return [(item, item.after) for item in found]
    places = regions.place(text, [(item.start, item.after) for item in found])
    return list(zip(found, places, strict=True))


def _line_numbers(text: str, starts: Sequence[int], first: int) -> list[int]:
    numbers = []
    line, at = first, 0
    for start in starts:
        line += text.count("\n", at, start)
        at = start
        numbers.append(line)
    return numbers


class _Writer:
    """Writes notes in the file's encoding."""

    def __init__(self, encoding: Encoding, *, markdown: bool) -> None:
        self._encoding = encoding
        self._markdown = markdown
        self._replaced = 0

    def text(self, text: str, at: int, notes: Sequence[Note]) -> str:
        """What is put in at ``at``."""
        following = text[at : at + 1]
        written = "".join(f" {self._marked(note, following) if self._markdown else note.text}" for note in notes)
        kept = self._encoding.representable(written)
        self._replaced += kept != written
        return kept

    @staticmethod
    def _marked(note: Note, following: str) -> str:
        inside = escape(note.text[1:-1])
        # Brackets before one of these are the text of a link, or its name.
        return f"\\[{inside}\\]" if following in {"(", "[", ":", "{"} else f"[{inside}]"

    def warnings(self) -> list[str]:
        """What happened to text that the file's encoding cannot hold."""
        if not self._replaced:
            return []
        warning = (
            f"{self._replaced:,} notes have characters that the file's encoding ({self._encoding.codec}) lacks; "
            "a question mark stands for each of them. Save the file as UTF-8 to keep them."
        )
        return [warning]

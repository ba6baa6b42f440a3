"""Reads the text of PDF pages, and where on a page a part of it stands; what touches the file is `pdf_child`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from application.engine.errors import InputError
from application.engine.identifiers import Finder, Found
from application.engine.model import Limits, Source

Box = tuple[float, float, float, float]
"""Left, bottom, right and top in points, in the page's own space."""

_CHILD = Path(__file__).with_name("pdf_child.py")


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
    with _child(source, limits) as child:
        pages = child.answer()["pages"]
        if pages > limits.pages:
            raise _too_much(f"{pages:,} pages", limits)
        if not pages:
            raise corrupt_pdf()
        length = 0
        for number in range(pages):
            child.page = number + 1
            text = child.answer()["text"]
            length += len(text)
            if length > limits.document_text:
                raise _too_much(f"more than {limits.document_text / 1_000_000:.0f} million characters of text", limits)
            found = list(finder.find(text))
            child.ask([[each.start, each.end - each.start] for each in found])
            boxes = [tuple(tuple(box) for box in lines) for lines in child.answer()]
            yield [Place(each, number, lines) for each, lines in zip(found, boxes, strict=True) if lines]
        if not length:
            raise InputError(
                "nothing-to-enrich",
                "The PDF has no text",
                "No page of the PDF has text: its pages may be pictures, as a scanner makes them.",
                expected="a PDF whose text can be selected; run text recognition on a scan first",
            )


@contextmanager
def _child(source: Source, limits: Limits) -> Iterator[_Child]:
    arguments = [limits.pages, limits.document_text, limits.pdf_memory, limits.pdf_seconds]
    process = subprocess.Popen(
        # Without the environment: nothing in it is for what reads a stranger's file.
        [sys.executable, "-I", str(_CHILD), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
    )
    try:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        yield _Child(source, process.stdin, process.stdout)
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            _close(pipe)
        process.wait()


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except BrokenPipeError:
        pass  # it ended before it took everything


class _Child:
    """The process that reads the file."""

    def __init__(self, source: Source, questions: IO[bytes], answers: IO[bytes]) -> None:
        self._questions = questions
        self._answers = answers
        self.page: int | None = None
        source.seek(0)
        try:
            questions.write(b"%d\n" % source.size)
            while piece := source.read(1 << 20):
                questions.write(piece)
            questions.flush()
        except BrokenPipeError:
            raise corrupt_pdf() from None

    def ask(self, question: Any) -> None:
        try:
            self._questions.write(orjson.dumps(question) + b"\n")
            self._questions.flush()
        except BrokenPipeError:
            raise _too_costly(self.page) from None

    def answer(self) -> Any:
        """The next answer; an ``InputError`` for one that is an error, or where PDFium came to its limits."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise _too_costly(self.page)
        match orjson.loads(line):
            case {"error": "encrypted"}:
                raise encrypted_pdf()
            case {"error": _}:
                raise corrupt_pdf(self.page)
            case answer:
                return answer


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


def _too_costly(page: int | None) -> InputError:
    where = "" if page is None else f" Page {page:,} is where that happened."
    return InputError(
        "file-too-large",
        "The file is too large",
        f"The PDF takes more memory or time to be read than one file may.{where}",
        row=page,
        expected="a PDF of usual pages; open it and save or print it to PDF again",
    )

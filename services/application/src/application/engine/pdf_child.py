"""Reads one PDF in a process of its own: PDFium is native code, and a few kilobytes can make it take gigabytes.

Run by path, so that it imports nothing of the application. It is given the limits as arguments and the file's size
and bytes on standard input, and writes a line of JSON: ``{"pages": n}``, or ``{"error": …}`` and nothing more. Then
for each page it writes ``{"text": …}``, reads ``[[start, length], …]`` and writes the boxes of each of these pieces.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

_HYPHENS = {0x02, 0xFFFE}


def main(most_pages: int, most_text: int, memory: int, seconds: int) -> None:
    """Serve the pages; ``memory`` (bytes) is over and above what the file takes, ``seconds`` are of processor time."""
    data = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
    _limit(memory, seconds)
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        _write({"error": "encrypted" if error.err_code == pdfium.FPDF_ERR_PASSWORD else "corrupt"})
        return
    if pdfium.FPDF_GetSecurityHandlerRevision(document) != -1:
        _write({"error": "encrypted"})
        return
    pages = len(document)
    _write({"pages": pages})
    if pages > most_pages:
        return
    for number in range(pages):
        _serve(document, number, most_text)


def _limit(memory: int, seconds: int) -> None:
    if sys.platform != "linux":
        return  # a laptop, whose files are its user's own
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve(document: pypdfium2.PdfDocument, number: int, most_text: int) -> None:
    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        _write({"error": "corrupt"})
        sys.exit(0)
    count = min(text_page.count_chars(), most_text + 1)
    _write({"text": "".join(_character(pdfium.FPDFText_GetUnicode(text_page, index)) for index in range(count))})
    boxes = []
    for start, length in json.loads(sys.stdin.buffer.readline()):
        lines = text_page.count_rects(start, length)
        boxes.append([text_page.get_rect(line) for line in range(lines)])
    _write(boxes)
    text_page.close()
    page.close()


def _character(code: int) -> str:
    """A character of a page: a hyphen at the end of a line is one, what has no meaning is a space."""
    if code in _HYPHENS:
        return "-"
    return " " if code == 0 or 0xD800 <= code < 0xE000 else chr(code)


def _write(answer: Any) -> None:
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

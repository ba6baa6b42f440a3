"""Whether a text is a table: Excel and databases save some as ``.txt``."""

from __future__ import annotations

import codecs
import re

from application.engine.core.model import Format

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF8, "utf-8"))
_DELIMITERS = "\t;|,"
_NAME = re.compile(r"(?=.*[^\W\d_])\S(?:.*[^.!?:\s])?", re.DOTALL)
_QUOTED = re.compile(r'"[^"\n]*"')
HEAD_BYTES = 64 << 10
"""As much of a file as tells its format; a shorter head is the whole file."""

_LEAST_LINES = 3
_LOOKED_AT = 100
_LONGEST_NAME = 64


def table_format(head: bytes) -> Format | None:
    """TSV or CSV, if ``head``, the start of a text, is a table with a header; prose and logs are none.

    All lines must have the same number of cells; the first must have a name for each, with no space before it as there
    is in prose.
    """
    codec = next((codec for mark, codec in _MARKS if head.startswith(mark)), "latin-1")
    text = head.decode(codec, "replace").removeprefix("\ufeff")
    lines = [line for line in re.split(r"\r\n|[\r\n]", text) if line.strip()][:_LOOKED_AT]
    if len(head) >= HEAD_BYTES and len(lines) < _LOOKED_AT:
        lines.pop()  # it may be cut off
    if len(lines) < _LEAST_LINES:
        return None
    for delimiter in _DELIMITERS:
        rows = [_cells(line, delimiter) for line in lines]
        if len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows) and _are_names(rows[0]):
            return Format.TSV if delimiter == "\t" else Format.CSV
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    return _QUOTED.sub(lambda quoted: quoted[0].replace(delimiter, " "), line).split(delimiter)


def _are_names(cells: list[str]) -> bool:
    """Whether the cells of a first line can be names of columns: short, each another, no ends of sentences."""
    names = [cell.strip('"') for cell in cells]
    return len(set(names)) == len(names) and all(len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) for name in names)

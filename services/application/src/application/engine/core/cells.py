"""What a value of a data set becomes in each format (``docs/files.md`` has the table)."""

from __future__ import annotations

import re

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from application.engine.core.model import ColumnInfo, Scalar
from common.keys import number_text

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                   "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
# Numbers and telephone numbers, signs alone, and signs before plain words: none can call a function or read a cell.
_INERT = re.compile(
    r"[+-]?[\s0-9.,'()/%\u20ac$\u00a3-]*"
    r"|[+-]?[ ]?[0-9][0-9.,]*[eE][+-]?[0-9]+"
    r"|[+@-]+[ ]?(?![A-Za-z]{1,3}[0-9]|[RrCc][0-9]|[RrCc]\Z)[^\W\d_]+(?:[ .][^\W\d_]+)*"
)


def text_of(value: Scalar) -> str:
    """A value as text: nothing for no value, numbers in the shortest form that reads back the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def harmless(text: str) -> str:
    """``text`` with an apostrophe in front where a spreadsheet would run it as a formula (CWE-1236)."""
    return "'" + text if text.startswith(FORMULA_STARTS) and not _INERT.fullmatch(text) else text


def with_comma(value: Scalar, column: ColumnInfo) -> str | None:
    """A number with a decimal comma; ``None`` for what is no number with a fraction."""
    if isinstance(value, float) or (isinstance(value, str) and column.type.startswith("decimal")):
        return text_of(value).replace(".", ",")
    return None


def with_points(keys: pa.Array, decimal: str | None) -> pa.Array:
    """Keys that are numbers with a decimal comma as with a point, where ``decimal`` says that commas are."""
    return keys if decimal != "," else pc.replace_substring_regex(keys, r"^(-?[0-9]+),([0-9]+)$", r"\1.\2")


def as_shown(cells: pa.Array) -> pa.Array:
    """Cells as a spreadsheet shows them: ``="00501"`` is how Excel keeps the zeros of a number in CSV.

    An apostrophe in front says that what follows is text, and keeps a sign from beginning a formula (``harmless``).
    """
    if pc.any(pc.starts_with(cells, '="')).as_py():
        cells = pc.replace_substring_regex(cells, r'^="([^"]*)"$', r"\1")
    if pc.any(pc.starts_with(cells, "'")).as_py():
        cells = pc.replace_substring_regex(cells, r"(?s)^'([0-9=+@-].*)$", r"\1")
    return cells


def json_of(value: Scalar, column: ColumnInfo) -> bytes:
    """A value as JSON: a decimal, which comes as text, is a number with all of its digits."""
    if isinstance(value, str) and column.type.startswith("decimal") and number_text(value) is not None:
        return value.encode()
    return orjson.dumps(value)

"""Values of data sets as text, and text that a spreadsheet must not take for a formula."""

from __future__ import annotations

from application.engine.model import Scalar

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                   "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip


def text_of(value: Scalar) -> str:
    """A value as text: nothing for no value, numbers in the shortest form that reads back the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def harmless(text: str) -> str:
    """``text`` with an apostrophe in front where a spreadsheet would run it as a formula (CWE-1236)."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def spreadsheet_text(value: Scalar) -> str:
    """A value for a cell of a spreadsheet: numbers stay numbers, text that looks like a formula is made harmless."""
    return harmless(value) if isinstance(value, str) else text_of(value)

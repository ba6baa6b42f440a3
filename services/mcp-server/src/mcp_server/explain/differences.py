"""Ways in which the same key is written differently: each can be named, and undone.

A form of a text has some differences undone; two texts of the same form differ in nothing else.
"""

# ruff: noqa: RUF001 - letters that look alike are what this is about

import re
import unicodedata
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import cache
from typing import Final


class Difference(StrEnum):
    """One way to write a key differently."""

    WHITE_SPACE = "white_space"
    LETTER_CASE = "letter_case"
    SEPARATORS = "separators"
    LEADING_ZEROS = "leading_zeros"
    LOOK_ALIKES = "look_alikes"


Differences = frozenset[Difference]

ALL: Final[Differences] = frozenset(Difference)
READABLE: Final = frozenset({Difference.WHITE_SPACE, Difference.LETTER_CASE, Difference.SEPARATORS})

_LEADING_ZEROS: Final = re.compile(r"(?<![0-9])0+(?=[0-9])")
_SEPARATORS: Final = "-_./\\:;,#|+*~'\"()[]{}<>&%$@!?=^`"
_SEPARATOR_CATEGORIES: Final = frozenset({"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sk"})
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_NOT_SEEN: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\ufe0e\ufe0f")
"""Characters that show nothing though Unicode counts them among letters, symbols or marks."""

# Unicode's confusables (UTS 39) of Latin letters and digits in Cyrillic and Greek, as far as fonts draw them alike.
_LOOK_ALIKES: Final = {
    **dict(zip("АВЕЅІЈКМНОРСТУХѴԌԚԜҮЗ", "ABESIJKMHOPCTYXVGQWY3", strict=True)),
    **dict(zip("аеѕіјорсухѵԁԛԝһӏӀгү", "aesijopcyxvdqwhllry", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
    **dict(zip("αγιονρυϲ", "ayiovpuc", strict=True)),
}
_TO_LATIN: Final = str.maketrans(_LOOK_ALIKES)


def form(text: str, undone: Differences) -> str:
    """`text` with the differences of `undone` taken away; separators go before leading zeros are looked for."""
    return _former(undone)(text)


def forms(text: str, undone: Differences) -> tuple[str, ...]:
    """`text` in one form, or in two where it matters whether separators or leading zeros go first (`A-1-002`)."""
    first = form(text, undone)
    if {Difference.SEPARATORS, Difference.LEADING_ZEROS} <= undone and len(first) > 1:
        second = form(_LEADING_ZEROS.sub("", text), undone)
        if second != first:
            return first, second
    return (first,)


def between(text: str, key: str) -> Differences | None:
    """The fewest differences that must be undone for `text` to be written like `key`; `None` where more differs."""
    for single, former in _ONE_EACH:
        if former(text) == former(key):
            return single
    if not _alike(text, key, ALL):
        return None
    needed = ALL
    for difference in _GRAVEST_FIRST:
        fewer = needed - {difference}
        if _alike(text, key, fewer):
            needed = fewer
    return needed


def _alike(text: str, key: str, undone: Differences) -> bool:
    return form(text, undone) == form(key, undone) or not set(forms(text, undone)).isdisjoint(forms(key, undone))


@cache
def _former(undone: Differences) -> Callable[[str], str]:
    """A function from a text to its form: one table for ASCII, and Unicode's properties for the rest."""
    ascii_table = str.maketrans({chr(code): _ascii(chr(code), undone) for code in range(128)})
    zeros = Difference.LEADING_ZEROS in undone

    def made(text: str) -> str:
        text = (text if text.isascii() else _to_ascii(text, undone)).translate(ascii_table)
        return _LEADING_ZEROS.sub("", text) if zeros and "0" in text else text

    return made


def _ascii(character: str, undone: Differences) -> str:
    if Difference.WHITE_SPACE in undone and (character.isspace() or not character.isprintable()):
        return ""
    if Difference.SEPARATORS in undone and character in _SEPARATORS:
        return ""
    if Difference.LETTER_CASE in undone:
        character = character.lower()
    if Difference.LOOK_ALIKES in undone:
        # With capitals undone, an `i` may have been an `I`, and an `L` an `l`.
        ones = "il" if Difference.LETTER_CASE in undone else "Il"
        character = "0" if character in "oO" else "1" if character in ones else character
    return character


def _to_ascii(text: str, undone: Differences) -> str:
    """`text` with those characters undone that are not ASCII; what is left of these stays."""
    if Difference.LOOK_ALIKES in undone:
        text = unicodedata.normalize("NFKC", text).translate(_TO_LATIN)
    if Difference.LETTER_CASE in undone:
        text = text.casefold()
    return "".join(_kept(text, undone))


def _kept(text: str, undone: Differences) -> Iterable[str]:
    for character in text:
        category = "" if character.isascii() else unicodedata.category(character)
        invisible = category in _INVISIBLE_CATEGORIES or character in _NOT_SEEN
        if Difference.WHITE_SPACE in undone and invisible:
            continue
        if Difference.SEPARATORS in undone and category in _SEPARATOR_CATEGORIES:
            continue
        yield character


_GRAVEST_FIRST: Final = (
    Difference.LOOK_ALIKES,
    Difference.LEADING_ZEROS,
    Difference.SEPARATORS,
    Difference.LETTER_CASE,
    Difference.WHITE_SPACE,
)
_ONE_EACH: Final = tuple(
    (single, _former(single)) for each in reversed(_GRAVEST_FIRST) for single in [frozenset({each})]
)

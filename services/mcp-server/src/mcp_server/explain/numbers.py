"""Numbers as programs write them in place of a key: `7.0`, `1,234`, `1.2E+05`."""

import re
from dataclasses import dataclass
from typing import Final

_GROUPED: Final = re.compile(r"([0-9]{1,3}(?:([,.'\u2019 \u00a0\u202f])[0-9]{3})(?:\2[0-9]{3})*)(?:[.,]0+)?")
_ZERO_FRACTION: Final = re.compile(r"([0-9]+)[.,]0*")
_SCIENTIFIC: Final = re.compile(r"([0-9])(?:[.,]([0-9]+))?[eE]\+?([0-9]{1,2})")
_FRACTION: Final = re.compile(r"[0-9]+[.,][0-9]+")
_LONGEST: Final = 40
_SPREADSHEET_DIGITS: Final = 15
"""A spreadsheet holds a number with so many digits; further ones are zeros (Excel's specifications and limits)."""


@dataclass(frozen=True, slots=True)
class WholeNumbers:
    """The whole numbers, `lowest` to `highest`, of which one was written."""

    lowest: int
    highest: int

    @property
    def exact(self) -> bool:
        """Whether no digit was lost."""
        return self.lowest == self.highest


def whole_numbers(text: str) -> WholeNumbers | None:
    """Which whole number `text` is in another format; `None` where it is none, or is in the plain one."""
    text = text.strip().removeprefix("+")
    if len(text) > _LONGEST:
        return None
    if scientific := _SCIENTIFIC.fullmatch(text):
        digits, unit = scientific[1] + (scientific[2] or ""), int(scientific[3]) - len(scientific[2] or "")
        if unit < 0:
            return None
        value, half = int(digits) * 10**unit, 10**unit // 2
        return WholeNumbers(max(0, value - half), value + half)
    if grouped := _GROUPED.fullmatch(text):
        value = int(re.sub("[^0-9]", "", grouped[1]))
        return WholeNumbers(value, value)
    if fraction := _ZERO_FRACTION.fullmatch(text):
        return WholeNumbers(int(fraction[1]), int(fraction[1]))
    lost = len(text) - _SPREADSHEET_DIGITS
    if lost > 0 and text.isascii() and text.isdigit() and text.endswith("0" * lost):
        return WholeNumbers(int(text), int(text) + 10**lost - 1)
    return None


def has_fraction(text: str) -> bool:
    """Whether `text` is a decimal number, so that its mark is no separator in an identifier."""
    return _FRACTION.fullmatch(text.strip()) is not None

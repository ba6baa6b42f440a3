"""The text of a key: one rule for input files of every format and for the departments' data.

`docs/files.md` has the table of examples, which a test reads.
"""

import datetime as dt
import math
import re
from decimal import Decimal

_ZERO_FRACTION = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_MOST_DIGITS = 80


def key_text(value: object) -> str:
    """The text of a value that is a key; empty for no value.

    Text stays as it is written, without the white space around it. A number is written in full and without a fraction
    of zero. Bytes are UTF-8, or else hexadecimal digits.
    """
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case bool():
            return "true" if value else "false"
        case float():
            return (number_text(repr(value)) or repr(value)) if math.isfinite(value) else ""
        case Decimal():
            return _without_zero_fraction(format(value, "f")) if value.is_finite() else ""
        case bytes():
            try:
                return value.decode().strip()
            except UnicodeDecodeError:
                return value.hex()
        case dt.date() | dt.time():
            return value.isoformat()
    return str(value).strip()


def number_text(text: str) -> str | None:
    """The one text of a number, however it is written: `7` for `7.00` and `7E0`; `None` for what is no plain number.

    Leading zeros and a plus sign make it an identifier, which is no number. So does a length over 80 digits.
    """
    if len(text) > _MOST_DIGITS or not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if abs(number.adjusted()) > _MOST_DIGITS:
        return None
    written = format(number, "f")
    written = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if written == "-0" else written


def other_text(text: str, *, numeric: bool) -> str:
    """The text to try where no key is written like `text`: the same number in the one way to write it.

    In a column of text only a fraction of zero goes, as programs that hold whole numbers as floating point add it:
    `1.10` and `1.1` are two keys there. In a column of numbers (`numeric`) they are one.
    """
    if numeric:
        return number_text(text) or text
    return _without_zero_fraction(text)


def _without_zero_fraction(text: str) -> str:
    whole = _ZERO_FRACTION.fullmatch(text)
    if whole is None:
        return text
    return "0" if whole[1] == "-0" else whole[1]

"""Why a key was not found: as departments' servers say it, and as people read it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal


class Cause(StrEnum):
    """Why a key was not found."""

    WHITE_SPACE = "white_space"
    LETTER_CASE = "letter_case"
    SEPARATORS = "separators"
    LEADING_ZEROS = "leading_zeros"
    LOOK_ALIKES = "look_alikes"
    NUMBER_FORMAT = "number_format"
    PREFIX_OR_SUFFIX = "prefix_or_suffix"
    OTHER_DATASET = "other_dataset"
    TYPO = "typo"
    NAME = "name"
    UNKNOWN = "unknown"


Approvable = Literal[
    Cause.WHITE_SPACE,
    Cause.LETTER_CASE,
    Cause.SEPARATORS,
    Cause.LEADING_ZEROS,
    Cause.LOOK_ALIKES,
    Cause.NUMBER_FORMAT,
    Cause.PREFIX_OR_SUFFIX,
    Cause.TYPO,
    Cause.NAME,
]
"""The causes of keys that have proposals, which a person can approve."""

DESCRIPTIONS: Final[Mapping[str, str]] = {
    Cause.WHITE_SPACE: "White space or invisible characters",
    Cause.LETTER_CASE: "Capital and small letters",
    Cause.SEPARATORS: "Other separators, or none",
    Cause.LEADING_ZEROS: "Leading zeros lost",
    Cause.LOOK_ALIKES: "Letters that look alike",
    Cause.NUMBER_FORMAT: "Number in another format",
    Cause.PREFIX_OR_SUFFIX: "Beginning or end missing or added",
    Cause.OTHER_DATASET: "Key of another data set",
    Cause.TYPO: "Typing error",
    Cause.NAME: "Name in place of a key",
    Cause.UNKNOWN: "Unknown",
}
"""By the cause, in the order in which reports list equal numbers."""


def within_sentence(description: str) -> str:
    """A description as it stands in the middle of a sentence."""
    return f"{description[:1].lower()}{description[1:]}"

"""The text of a key, by the examples that the documentation gives."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.keys import key_text, number_text

ROWS = [
    [cell.strip(" ").strip("`") for cell in re.findall(r"\| ((?:`[^`]*`|[^|`])*?) (?=\|)", line)]
    for line in Path("docs/files.md").read_text().partition("## Keys")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| `")
]
TYPES: dict[str, Callable[[str], object]] = {
    "text": str,
    "integer": int,
    "float": float,
    "decimal": Decimal,
    "bytes": str.encode,
    "boolean": lambda text: text == "true",
}


@pytest.mark.parametrize(("value", "kind", "text"), [row for row in ROWS if len(row) == 3])
def test_the_examples_of_the_documentation(value: str, kind: str, text: str) -> None:
    assert key_text(TYPES[kind](value)) == text


def test_the_documentation_has_examples() -> None:
    assert len([row for row in ROWS if len(row) == 3]) >= 12


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=6))
def test_all_ways_to_write_a_number_have_one_text(number: Decimal) -> None:
    texts = {number_text(text) for text in (format(number, "f"), format(number, "e"), format(number, "f") + "0")}
    assert len(texts) == 1
    text = texts.pop()
    assert text is not None
    assert Decimal(text) == number


@pytest.mark.parametrize("text", ["", "007", "+7", "7.", ".5", "1,5", "1e99999", "9" * 5000, "1e4000", "\u0667"])
def test_other_text_is_no_number(text: str) -> None:
    assert number_text(text) is None

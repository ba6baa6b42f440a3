from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileproc.errors import FileprocError, from_problem, sentence

WORDS = st.text(max_size=20)
MEMBERS = st.dictionaries(
    st.sampled_from(["type", "title", "detail", "row", "line", "column", "field", "expected", "questions"]),
    st.none() | st.integers() | WORDS | st.lists(WORDS, max_size=3) | st.just("urn:fileproc:problem:unclear-mapping"),
)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ({"detail": "It has 5 fields", "row": 17}, "Row 17: It has 5 fields."),
        ({"detail": "Row 7 has 5 fields", "row": 7, "expected": "6 fields"}, "Row 7 has 5 fields. Expected: 6 fields."),
        ({"detail": "No such column.", "column": "Vendor", "expected": ["a", "b"]},
         "Column 'Vendor': No such column. Expected: a, b."),
        ({"detail": "Row 170 is odd.", "row": 17, "column": "A b"}, "Row 17, column 'A b': Row 170 is odd."),
        ({"detail": "Is it a key?", "field": "mapping", "expected": "yes"}, "Is it a key? Expected: yes."),
        ({"detail": "There are: a, b", "expected": "one of: a, b"}, "There are: a, b."),
        ({"detail": "arn:x is odd"}, "arn:x is odd."),
        ({"title": "Too large"}, "Too large."),
        ({}, "The request was refused."),
    ],
)  # fmt: skip
def test_a_problem_is_one_sentence_with_place_and_expectation(problem: dict[str, Any], expected: str) -> None:
    assert sentence(problem) == expected


@given(st.integers(400, 599), MEMBERS)
def test_every_problem_becomes_an_error_with_a_documented_exit_code(status: int, problem: dict[str, Any]) -> None:
    error = from_problem(status, problem)
    assert isinstance(error, FileprocError)
    assert str(error)
    assert error.exit_code in {3, 4, 6}

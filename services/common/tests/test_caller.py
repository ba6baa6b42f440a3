import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.caller import Caller, InvalidCaller

text = st.text(st.characters(codec="utf-8"), max_size=40)
callers = st.builds(
    Caller,
    subject=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    username=text,
    groups=st.frozensets(text, max_size=5),
    method=st.sampled_from(["cognito", "iam"]),
)


@given(callers)
def test_a_caller_survives_the_header_whatever_characters_the_name_has(caller: Caller) -> None:
    header = caller.to_header()
    assert header.isascii()
    assert "=" not in header
    assert Caller.from_header(header) == caller


@given(st.text(max_size=200))
def test_any_other_text_is_refused_without_another_error(value: str) -> None:
    with pytest.raises(InvalidCaller):
        Caller.from_header(value)


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b'{"sub":"","username":"a","groups":[],"method":"iam"}',
        b'{"sub":"a","username":"a","groups":"finance","method":"iam"}',
        b'{"sub":"a","username":"a","groups":[1],"method":"iam"}',
        b'{"sub":"a","username":"a","groups":[],"method":"anonymous"}',
        b'{"sub":"a","groups":[],"method":"iam"}',
    ],
)
def test_a_header_that_lacks_a_field_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidCaller):
        Caller.from_header(base64.urlsafe_b64encode(document).decode())

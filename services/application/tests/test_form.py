import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.http.form import FormFile
from common.problem import Problem

HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'


async def read(form: bytes, cuts: list[int]) -> tuple[str | None, bytes]:
    places = sorted({0, len(form), *(cut % (len(form) + 1) for cut in cuts)})

    async def chunks() -> AsyncIterator[bytes]:
        for start, end in itertools.pairwise(places):
            yield form[start:end]

    file = FormFile("multipart/form-data; boundary=x")
    content = b"".join([chunk async for chunk in file.content(chunks())])
    return file.name, content


@given(content=st.binary(), cuts=st.lists(st.integers(0, 10_000)))
async def test_a_file_in_a_form_arrives_whole_however_it_is_cut(content: bytes, cuts: list[int]) -> None:
    if b"\r\n--x" in content or content.startswith(b"--x"):
        return
    assert await read(HEAD + content + b"\r\n--x--\r\n", cuts) == ("a.csv", content)


@given(form=st.binary() | st.binary().map(lambda tail: HEAD + tail), cuts=st.lists(st.integers(0, 10_000)))
async def test_rubbish_is_refused_in_words_or_is_a_form(form: bytes, cuts: list[int]) -> None:
    if b"\r\n--x--" in form:
        return
    with pytest.raises(Problem) as caught:
        await read(form, cuts)
    assert caught.value.slug == "invalid-form"

import math

import httpx2
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.client.tests.conftest import QUICK
from services.client.tests.fake_answers import TOKEN
from services.client.tests.fake_service import FakeService, serve

from fileproc import options
from fileproc.client import Client
from fileproc.interface import clean
from fileproc.transport import retry_after

COLUMNS = st.text(min_size=1)
CONTENT = bytes(range(256)) * 16


@given(st.dictionaries(COLUMNS, st.lists(st.sampled_from(["finance.vendors", "hr.employees"]), min_size=1)))
def test_every_column_can_be_named_on_the_command_line(wish: dict[str, list[str]]) -> None:
    pairs = [f"{column}={dataset}" for column, datasets in wish.items() for dataset in datasets]
    assert options.mapping(pairs) == (wish or None)


@given(st.lists(COLUMNS, min_size=1))
def test_every_added_column_can_be_named_on_the_command_line(names: list[str]) -> None:
    assert options.columns([f"finance.vendors={name}" for name in names]) == {"finance.vendors": names}


@given(st.text().filter(lambda text: "=" not in text or "." not in text))
def test_what_is_no_pair_is_said_to_be_none(text: str) -> None:
    for parse in (options.mapping, options.columns):
        with pytest.raises(typer.BadParameter):
            parse([text])


@given(st.text())
def test_nothing_that_is_shown_can_command_the_terminal(text: str) -> None:
    assert all(char.isprintable() or char == "\n" for char in clean(text))


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)) | st.integers().map(str))
def test_any_retry_after_is_a_time_or_nothing(value: str) -> None:
    seconds = retry_after(httpx2.Response(503, headers={"Retry-After": value}))
    assert seconds is None or seconds >= 0


def test_retry_after_may_be_a_date() -> None:
    answer = httpx2.Response(503, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"})
    assert retry_after(answer) == 0
    later = httpx2.Response(503, headers={"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})
    assert (retry_after(later) or math.nan) > 1e9


@pytest.fixture
def job_id(client: Client, service: FakeService) -> str:
    service.result = CONTENT
    service.files["file-1"], service.names["file-1"] = b"a\n", "a.csv"
    return client.wait(client.submit("file-1").id).id


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 2000), max_size=QUICK.attempts))
def test_a_result_is_the_same_wherever_the_connection_breaks(
    service: FakeService, job_id: str, cuts: list[int]
) -> None:
    service.faults.clear()
    service.fail("GET", "/api/jobs/.*/result", *(lambda r, cut=cut: serve(r, CONTENT, cut=cut) for cut in cuts))
    with Client(service.url, TOKEN, retry=QUICK) as client:
        assert b"".join(client.result(job_id)) == CONTENT

"""`docs/trace-a-change.md`: what happens, stop by stop, is where the page says."""

import re

import pytest
from tests.helpers.documents import ROOT

PAGE = (ROOT / "docs/trace-a-change.md").read_text()
WALKS = dict(zip(*[iter(re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True))
STOP = re.compile(r"^\| (\d+) \| `([^`]+)` `([^`]+)` \| .+ \|$", re.MULTILINE)


@pytest.mark.parametrize("walk", WALKS)
def test_each_stop_of_a_walk_is_where_the_page_says_and_there_are_at_most_twelve(walk: str) -> None:
    stops = STOP.findall(WALKS[walk])
    assert [int(number) for number, _, _ in stops] == [*range(1, len(stops) + 1)]
    assert 5 < len(stops) <= 12
    for _, file, name in stops:
        text = (ROOT / file).read_text()
        defined = rf"^\s*(async )?(class|def) {name}\b" if file.endswith(".py") else rf"\b{name}\b"
        assert re.search(defined, text, re.MULTILINE), f"{file} has no {name}"


def test_a_file_a_call_a_department_and_a_push_are_walked() -> None:
    assert [*WALKS] == ["One file, from upload to result", "One tools/call", "One Department", "One push"]

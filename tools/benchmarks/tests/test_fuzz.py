"""A slice of the fuzzer's inputs; `python -m benchmarks.fuzz` runs twenty thousand."""

import time

import pytest

from benchmarks.fuzz import Fuzzer
from benchmarks.fuzz_inputs import make

pytestmark = pytest.mark.slow

SECONDS = 15
ROUND = 25


def test_an_input_follows_from_its_number() -> None:
    assert [make(number) for number in range(12)] == [make(number) for number in range(12)]


def test_hostile_files_are_enriched_or_refused_in_words_within_their_budgets() -> None:
    fuzzer = Fuzzer()
    until = time.monotonic() + SECONDS
    start = 0
    while start == 0 or (time.monotonic() < until and start < 1000):
        found = fuzzer.run(start, ROUND, workers=2)
        start += ROUND
    assert found.faults == []
    assert found.outcomes["preview done"] > 0
    assert found.outcomes["job done"] > 0

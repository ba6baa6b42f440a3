"""Look-ups: each key is asked for once, what is held is bounded, and a department's failure is the job's."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.application.tests.engine.support import (
    VENDORS,
    Broken,
    Departments,
    dataset,
    departments,
    enrich,
    propose,
    source_of,
)

from application import engine
from application.engine import (
    DEFAULT_LIMITS,
    Cancelled,
    DatasetRef,
    DepartmentUnavailable,
    Format,
    LookupBatch,
    Progress,
)
from application.engine.enrich import enrich as enrich_to

NUMBERS = dataset(
    "d.numbers", "n", {"n": "string", "double": "int64"}, {str(n): {"double": 2 * n} for n in range(20_000)}
)


def test_each_key_is_asked_for_once_however_often_it_is_there() -> None:
    lookup = departments()
    enrich(b"vendor_id\n" + b"V-00001\n V-00002\n\nV-77777\n" * 5000, "x.csv", lookup)
    assert sorted(lookup.keys_asked("finance.vendors")) == ["V-00001", "V-00002", "V-77777"]


def test_a_data_set_that_two_columns_map_to_is_asked_once_for_both() -> None:
    lookup = departments()
    enrich(b"buyer,approver\nE-00001,E-00002\nE-00002,E-00001\n", "x.csv", lookup)
    assert len(lookup.asked) == 1
    assert sorted(lookup.keys_asked("hr.employees")) == ["E-00001", "E-00002"]


def test_many_keys_are_asked_for_in_chunks() -> None:
    lookup = Departments([NUMBERS])
    result = enrich(b"n\n" + b"".join(b"%d\n" % n for n in range(12_345)), "x.csv", lookup)
    assert sorted(len(keys) for _, keys in lookup.asked) == [2345, 5000, 5000]
    assert result.report.mappings[0].matched == 12_345


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=400), st.integers(1, 40), st.integers(1, 400))
def test_a_cache_of_any_size_gives_the_same_values(keys: list[int], cached_keys: int, cached_bytes: int) -> None:
    lookup = Departments([NUMBERS])
    limits = replace(DEFAULT_LIMITS, block=40, cached_keys=cached_keys, cached_bytes=cached_bytes)
    result = enrich(b"n\n" + "".join(f"{key}\n" for key in keys).encode(), "x.csv", lookup, limits=limits)
    assert result.text.splitlines()[1:] == [f"{key},{2 * key}" for key in keys]


def test_what_is_forgotten_is_what_was_used_longest_ago() -> None:
    lookup = Departments([NUMBERS])
    # Key 1 is in each block; the others are new each time, so that they push each other out, but never it.
    text = "n\n" + "".join(f"1\n{number}\n" for number in range(10_000, 11_000))
    enrich(text.encode(), "x.csv", lookup, limits=replace(DEFAULT_LIMITS, block=64, cached_keys=40))
    assert lookup.keys_asked("d.numbers").count("1") == 1
    assert len(lookup.keys_asked("d.numbers")) == 1001


def test_unmatched_keys_are_sampled_and_counted_in_bounded_memory() -> None:
    text = "vendor_id\n" + "".join(f"V-{number:05}\n" for number in range(10_000, 12_000))
    limits = replace(DEFAULT_LIMITS, unmatched_sample=3, unmatched_distinct=50)
    (mapping,) = enrich(text.encode(), "x.csv", limits=limits).report.mappings
    assert mapping.unmatched == 2000
    assert (mapping.unmatched_distinct, mapping.unmatched_distinct_is_exact) == (50, False)
    assert [(key.key, key.row) for key in mapping.unmatched_sample] == [("V-10000", 2), ("V-10001", 3), ("V-10002", 4)]


def test_the_report_names_the_row_where_an_unmatched_key_was_first_seen() -> None:
    data = b"vendor_id\nV-00001\nV-55555\nV-44444\nV-55555\n"
    (mapping,) = enrich(data, "x.csv", limits=replace(DEFAULT_LIMITS, block=20)).report.mappings
    assert [(key.key, key.row) for key in mapping.unmatched_sample] == [("V-55555", 3), ("V-44444", 4)]
    assert (mapping.matched, mapping.unmatched, mapping.unmatched_distinct) == (1, 3, 2)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
def test_a_department_that_does_not_answer_fails_the_enrichment(name: str) -> None:
    data = {"x.csv": b"vendor_id\nV-00001\n", "x.jsonl": b'{"vendor_id":"V-1"}', "x.json": b'[{"vendor_id":"V-1"}]'}
    with pytest.raises(DepartmentUnavailable) as caught:
        enrich(data[name], name, Broken([VENDORS]), given={"vendor_id": ["finance.vendors"]})
    assert caught.value.department == "finance"


class _Rubbish(Departments):
    answer = LookupBatch("v1", (), ())

    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        LookupBatch("v1", ("name",), [["Acme"]]),
        LookupBatch("v1", ("name", "country", "terms"), []),
        LookupBatch("v1", ("name", "country", "terms"), [None, None]),
        LookupBatch("v1", ("name", "country", "terms"), [["Acme"]]),
        LookupBatch("v1", ("country", "name", "terms"), [["Acme", "DE", 1]]),
    ],
)
def test_an_answer_that_does_not_fit_the_question_is_not_used(answer: LookupBatch) -> None:
    lookup = _Rubbish([VENDORS])
    lookup.answer = answer
    with pytest.raises(DepartmentUnavailable):
        enrich(b"vendor_id\nV-00001\n", "x.csv", lookup)


class _Changing(Departments):
    def lookup(self, dataset: DatasetRef, keys: Sequence[str], columns: Sequence[str]) -> LookupBatch:
        self.version = f"v{len(self.asked) + 1}"
        return super().lookup(dataset, keys, columns)


def test_data_that_changes_while_the_file_is_read_is_in_the_report() -> None:
    report = enrich(
        b"vendor_id\nV-00001\nV-00002\nV-00003\n",
        "x.csv",
        _Changing([VENDORS]),
        limits=replace(DEFAULT_LIMITS, block=20),
    ).report
    assert len(report.mappings[0].versions) > 1
    assert any("finance.vendors changed" in warning for warning in report.warnings)


def test_progress_grows_to_the_end_and_can_stop_the_work() -> None:
    data = b"vendor_id\n" + b"V-00001\n" * 1000
    limits = replace(DEFAULT_LIMITS, block=800)
    progress = enrich(data, "x.csv", limits=limits).progress
    assert [step.rows for step in progress] == sorted({step.rows for step in progress})
    assert (progress[-1].rows, progress[-1].bytes, progress[-1].total_bytes) == (1000, len(data), len(data))

    def stop(step: Progress) -> None:
        if step.rows > 300:
            raise Cancelled

    with pytest.raises(Cancelled):
        enrich_to(
            source_of(data),
            Format.CSV,
            engine.decide(propose(data, "x.csv")),
            departments(),
            io.BytesIO(),
            progress=stop,
            limits=limits,
        )

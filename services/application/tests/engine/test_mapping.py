"""Which columns mean which data sets: found with its reasons, asked where it is unclear, checked where it is given."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from services.application.tests.engine.support import (
    CONTRACTS,
    EMPLOYEES,
    VENDORS,
    Dataset,
    Departments,
    dataset,
    departments,
    preview,
    propose,
    refusal,
)

from application import engine
from application.engine import InputError, MappingProposal

RATES = dataset(
    "finance.rates", "currency", {"currency": "string", "rate": "double"}, {"EUR": {"rate": 1.0}}, pattern="^[A-Z]{3}$"
)


def found(proposal: MappingProposal) -> list[tuple[str, str]]:
    return [(entry.column, str(entry.dataset.ref)) for entry in proposal.mapping]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("vendor_id", "finance.vendors"),
        ("Vendor ID", "finance.vendors"),
        ("vendorId", "finance.vendors"),
        ("VENDOR-ID", "finance.vendors"),
        ("supplier_id", "finance.vendors"),
        ("Vendors", "finance.vendors"),
        ("approver", "hr.employees"),
        ("Contract", "legal.contracts"),
    ],
)
def test_a_name_is_recognised_however_it_is_written(header: str, expected: str) -> None:
    assert found(propose(f"{header}\nabc\n".encode(), "x.csv", Departments(_without_patterns()))) == [
        (header, expected)
    ]


def _without_patterns() -> list[Dataset]:
    return [replace(entry, info=replace(entry.info, pattern=None)) for entry in (VENDORS, EMPLOYEES, CONTRACTS)]


def test_values_that_fit_a_pattern_are_recognised_under_any_name() -> None:
    proposal = propose(b"x,y\nV-00001,a\nV-00007,b\n", "x.csv")
    assert found(proposal) == [("x", "finance.vendors")]
    assert "2 of 2 values look like keys of finance.vendors, for example V-00001" in proposal.mapping[0].evidence
    assert proposal.unmapped == ("y",)


def test_a_pattern_that_much_fits_is_not_enough() -> None:
    loose = dataset("d.things", "thing", {"thing": "string", "v": "string"}, {}, pattern="^[0-9]+$")
    proposal = propose(b"amount\n100\n200\n", "x.csv", Departments([loose]))
    assert not proposal.mapping
    assert [question.column for question in proposal.questions] == ["amount"]


def test_the_remedy_for_a_question_keeps_what_was_found() -> None:
    twin = dataset("finance.suppliers", "supplier", {"supplier": "string", "v": "string"}, {}, pattern="^V-[0-9]{5}$")
    proposal = propose(b"buyer,x\nE-00001,V-00001\n", "x.csv", Departments([EMPLOYEES, VENDORS, twin]))
    with pytest.raises(InputError) as caught:
        engine.decide(proposal)
    assert caught.value.expected == (
        "a mapping, such as {'buyer': ['hr.employees'], 'x': ['finance.vendors']}; "
        "{'buyer': ['hr.employees']} if 'x' is no key"
    )


def test_a_doubtful_column_does_not_hold_up_a_certain_one() -> None:
    airports = dataset("travel.airports", "code", {"code": "string", "v": "string"}, {}, pattern="^[A-Z]{3}$")
    data = b"employee_id,currency\nE-00001,FRA\n"
    proposal = propose(data, "x.csv", Departments([EMPLOYEES, airports]))
    assert [entry.column for entry in engine.decide(proposal)] == ["employee_id"]
    assert [question.column for question in proposal.questions] == ["currency"]
    (told,) = engine.left_out(proposal)
    assert "'currency' was not looked up: it may be a key of travel.airports" in told


def test_a_column_named_as_a_key_whose_values_are_none_is_told_beside_a_certain_one() -> None:
    zips = dataset("d.zips", "zip", {"zip": "string", "v": "string"}, {}, pattern="^[0-9]{5}$")
    names = dataset("d.names", "person", {"person": "string", "v": "string"}, {})
    proposal = propose(b"zip,person\nD-1,Ann\n", "x.csv", Departments([zips, names]))
    assert [entry.column for entry in engine.decide(proposal)] == ["person"]
    assert [question.column for question in proposal.questions] == ["zip"]


def test_of_many_doubtful_columns_the_first_are_told() -> None:
    loose = dataset("d.things", "thing", {"thing": "string", "v": "string"}, {}, pattern="^[0-9]+$")
    names = ",".join(f"c{number}" for number in range(12))
    proposal = propose(f"{names}\n{'1,' * 11}1\n".encode(), "x.csv", Departments([VENDORS, loose]))
    assert len(engine.left_out(proposal)) == 11
    assert engine.left_out(proposal)[-1] == "2 more columns that may be keys were not looked up."


def test_a_column_that_may_be_two_things_is_asked_about() -> None:
    twin = dataset("finance.suppliers", "supplier", {"supplier": "string", "v": "string"}, {}, pattern="^V-[0-9]{5}$")
    proposal = propose(b"x\nV-00001\n", "x.csv", Departments([VENDORS, twin]))
    (question,) = proposal.questions
    assert set(question.candidates) == {"finance.vendors", "finance.suppliers"}
    with pytest.raises(InputError) as caught:
        engine.decide(proposal)
    assert (caught.value.slug, caught.value.column, caught.value.field) == ("unclear-mapping", "x", "mapping")


def test_nothing_to_enrich_names_the_columns() -> None:
    error = refusal(b"a,b\n1,2\n", "x.csv")
    assert error.slug == "nothing-to-enrich"
    assert "a, b" in error.detail


def test_departments_narrow_what_is_found() -> None:
    data = b"vendor_id,buyer\nV-00001,E-00001\n"
    assert found(propose(data, "x.csv", only=["hr"])) == [("buyer", "hr.employees")]
    assert found(propose(data, "x.csv")) == [("vendor_id", "finance.vendors"), ("buyer", "hr.employees")]


def test_a_given_mapping_is_the_whole_mapping_in_the_order_of_the_file() -> None:
    data = b"a,vendor_id,b\nV-00001,V-00001,E-00001\n"
    proposal = propose(data, "x.csv", given={"b": ["hr.employees"], "a": ["finance.vendors"]})
    assert found(proposal) == [("a", "finance.vendors"), ("b", "hr.employees")]
    assert proposal.mapping[0].added == ("a.finance.name", "a.finance.country", "a.finance.terms")


def test_only_the_columns_that_are_asked_for_are_added_in_that_order() -> None:
    proposal = propose(b"vendor_id\nV-00001\n", "x.csv", columns={"finance.vendors": ["terms", "name"]})
    assert proposal.mapping[0].added == ("vendor_id.finance.terms", "vendor_id.finance.name")


@pytest.mark.parametrize(
    ("given", "columns", "only", "slug", "field"),
    [
        ({"nope": ["finance.vendors"]}, None, None, "unknown-column", "mapping"),
        ({"vendor_id": ["finance.nope"]}, None, None, "unknown-dataset", "mapping"),
        ({"vendor_id": ["vendors"]}, None, None, "unknown-dataset", "mapping"),
        ({"vendor_id": ["secret.plans"]}, None, None, "unknown-dataset", "mapping"),
        ({"vendor_id": []}, None, None, "invalid-mapping", "mapping"),
        ({"vendor_id": ["finance.vendors", "finance.vendors"]}, None, None, "invalid-mapping", "mapping"),
        ({"vendor_id": ["finance.vendors", "finance.rates"]}, None, None, "invalid-mapping", "mapping"),
        (None, {"finance.vendors": ["bank_account"]}, None, "unknown-column", "columns"),
        (None, {"finance.vendors": ["vendor_id"]}, None, "unknown-column", "columns"),
        (None, {"finance.vendors": []}, None, "invalid-mapping", "columns"),
        (None, {"finance.vendors": ["name", "name"]}, None, "invalid-mapping", "columns"),
        (None, {"finance.nope": ["name"]}, None, "unknown-dataset", "columns"),
        (None, None, ["nope"], "unknown-department", "departments"),
        ({"vendor_id": ["finance.vendors"]}, None, ["hr"], "unknown-dataset", "mapping"),
    ],
)
def test_what_contradicts_itself_or_does_not_exist_is_refused(
    given: dict[str, list[str]] | None,
    columns: dict[str, list[str]] | None,
    only: list[str] | None,
    slug: str,
    field: str,
) -> None:
    lookup = Departments([VENDORS, RATES, EMPLOYEES])
    error = refusal(b"vendor_id\nV-00001\n", "x.csv", lookup, given=given, columns=columns, only=only)
    assert (error.slug, error.field) == (slug, field)
    assert error.extra()["field"] == field


def test_a_data_set_kept_from_the_caller_is_refused_like_one_that_does_not_exist() -> None:
    kept = refusal(b"vendor_id\nx\n", "x.csv", Departments([EMPLOYEES]), given={"vendor_id": ["finance.vendors"]})
    none = refusal(b"vendor_id\nx\n", "x.csv", Departments([EMPLOYEES]), given={"vendor_id": ["finance.nothing"]})
    assert kept.detail.replace("vendors", "nothing") == none.detail
    assert kept.expected == none.expected == "one of: hr.employees"


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(.*)*$", "a" * 100_000, "(", "[", "(?<=x)y", r"(\w+\s?)*$", "(x{1000}){1000}"]
)
def test_a_hostile_pattern_costs_no_time(pattern: str) -> None:
    hostile = dataset("d.s", "k", {"k": "string", "v": "string"}, {}, pattern=pattern)
    data = b"k,other\n" + (b"a" * 2000 + b"!,x\n") * 1000
    started = time.perf_counter()
    propose(data, "x.csv", Departments([hostile]))
    assert time.perf_counter() - started < 20


def test_the_preview_shows_open_questions_in_place_of_raising_them() -> None:
    loose = dataset("d.things", "thing", {"thing": "string", "v": "string"}, {"1": {"v": "x"}}, pattern="^[0-9]+$")
    shown = preview(b"amount,n\n1,x\n", "x.csv", Departments([loose]))
    assert shown.mapping == ()
    assert shown.columns == ("amount", "n")
    assert [question.candidates for question in shown.questions] == [("d.things",)]


def test_the_preview_asks_the_departments_only_for_what_it_shows() -> None:
    lookup = departments()
    data = b"vendor_id\n" + b"".join(b"V-%05d\n" % number for number in range(1000))
    preview(data, "x.csv", lookup, rows=3)
    assert lookup.keys_asked("finance.vendors") == ["V-00000", "V-00001", "V-00002"]

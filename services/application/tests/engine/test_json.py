"""JSON and JSON Lines: members are added to each object, and every other character stays."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.application.tests.engine.support import (
    EMPLOYEES,
    Departments,
    dataset,
    enrich,
    enrich_or_refuse,
    is_spliced_into,
    preview,
    refusal,
)

from application.engine import DEFAULT_LIMITS

pytestmark = pytest.mark.slow

EMAIL = {"hr.employees": ["email"]}
MAPPING = {"employee": ["hr.employees"]}


def test_each_line_gets_what_the_department_knows_and_keeps_its_own_text() -> None:
    data = (
        '{"employee":"E-00001","n":1.10,"big":12345678901234567890,"s":"\\u00e4 / \\/"}\n'
        '{ "n": 007e0, "employee" : "E-00002" }\r\n'.replace("007e0", "7e0")
        + '\n{}\n{"employee":null}'
    )
    result = enrich(data.encode(), "x.jsonl")
    assert result.text == (
        '{"employee":"E-00001","n":1.10,"big":12345678901234567890,"s":"\\u00e4 / \\/",'
        '"employee.hr.email":"ann@example.com","employee.hr.active":true}\n'
        '{ "n": 7e0, "employee" : "E-00002" ,"employee.hr.email":"bob@example.com","employee.hr.active":false}\r\n\n'
        '{"employee.hr.email":null,"employee.hr.active":null}\n'
        '{"employee":null,"employee.hr.email":null,"employee.hr.active":null}'
    )
    assert result.report.rows == 4


def test_values_keep_their_kind() -> None:
    result = enrich(b'[{"vendor_id": "V-00003"}, {"vendor_id": "V-00002"}]', "x.json")
    assert json.loads(result.data) == [
        {
            "vendor_id": "V-00003",
            "vendor_id.finance.name": "=HYPERLINK(1)",
            "vendor_id.finance.country": "FR",
            "vendor_id.finance.terms": -5,
        },
        {
            "vendor_id": "V-00002",
            "vendor_id.finance.name": 'Smith, Sons & "Co"',
            "vendor_id.finance.country": "GB",
            "vendor_id.finance.terms": None,
        },
    ]


def test_an_array_that_is_laid_out_for_people_stays_so() -> None:
    data = '[\n  {\n    "employee": "E-00001"\n  },\n  {\n    "employee": "E-9"\n  }\n]\n'
    result = enrich(data.encode(), "x.json", columns=EMAIL, given=MAPPING)
    assert result.text == (
        '[\n  {\n    "employee": "E-00001",\n    "employee.hr.email": "ann@example.com"\n  },\n'
        '  {\n    "employee": "E-9",\n    "employee.hr.email": null\n  }\n]\n'
    )


def test_the_byte_order_mark_and_utf16_stay() -> None:
    text = '\ufeff[{"employee":"E-00001","ü":1}]'
    result = enrich(text.encode("utf-16-le"), "x.json", columns=EMAIL)
    assert (
        result.data.decode("utf-16-le") == '\ufeff[{"employee":"E-00001","ü":1,"employee.hr.email":"ann@example.com"}]'
    )


def test_numbers_can_be_keys_as_they_are_written() -> None:
    rows = {"7": {"v": "seven"}, "1.10": {"v": "as written"}, "12345678901234567890": {"v": "big"}}
    lookup = Departments([dataset("d.things", "thing", {"thing": "string", "v": "string"}, rows)])
    data = b'{"thing":7}\n{"thing":1.10}\n{"thing":12345678901234567890}\n{"thing":[7]}\n{"thing":{"a":7}}\n'
    result = enrich(data, "x.jsonl", lookup)
    assert [json.loads(line)["thing.d.v"] for line in result.data.splitlines()] == [
        "seven",
        "as written",
        "big",
        None,
        None,
    ]


def test_columns_are_the_members_of_all_the_first_objects() -> None:
    shown = preview(b'{"a":1}\n{"employee":"E-00001"}\n', "x.ndjson", columns=EMAIL)
    assert shown.columns == ("a", "employee", "employee.hr.email")
    assert shown.rows == (("1", None, None), (None, "E-00001", "ann@example.com"))


@pytest.mark.parametrize(
    ("name", "data", "slug", "row", "line"),
    [
        ("x.jsonl", b'{"a":1}\n\n{"a":}\n', "invalid-json", 2, 3),
        ("x.jsonl", b'{"a":1}\n{"a":1} {"a":1}\n', "invalid-json", 2, None),
        ("x.jsonl", b'{"a":1}\n{"a":NaN}\n', "invalid-json", 2, None),
        ("x.jsonl", b'{"a":1}\n{"a":-Infinity}\n', "invalid-json", 2, None),
        ("x.jsonl", b'{"a":1}\n{"a":1\n', "invalid-json", 2, None),
        ("x.jsonl", b"{'a':1}\n", "invalid-json", 1, None),
        ("x.jsonl", b'{"a":1}\n[1]\n', "json-shape", 2, None),
        ("x.jsonl", b'{"a":1}\nnull\n', "json-shape", 2, None),
        ("x.jsonl", b"1\n", "json-shape", 1, None),
        ("x.jsonl", b"\n \n", "empty-file", None, None),
        ("x.json", b"  \n", "empty-file", None, None),
        ("x.json", b"[]", "no-rows", 1, None),
        ("x.json", b'{"a":1}', "json-shape", 1, None),
        ("x.json", b'"text"', "json-shape", 1, None),
        ("x.json", b"[1]", "json-shape", 1, None),
        ("x.json", b'[{"a":1},\n\n"x"]', "json-shape", 2, 3),
        ("x.json", b'[{"a":1}', "invalid-json", 1, None),
        ("x.json", b'[{"a":1},', "invalid-json", 1, None),
        ("x.json", b'[{"a":1},]', "invalid-json", 2, 1),
        ("x.json", b'[{"a":1} {"a":1}]', "invalid-json", 1, None),
        ("x.json", b'[{"a":1}] x', "invalid-json", 1, None),
        ("x.json", b'[{"a":1},\n{"a":tru}]', "invalid-json", 2, None),
        ("x.json", b'[{"a":"\x01"}]', "invalid-json", 1, None),
        ("x.json", b'[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "nested-too-deep", 1, None),
        ("x.jsonl", b'{"a":1}\n{"a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "nested-too-deep", 2, None),
    ],
)
def test_bad_json_is_named_with_its_place(name: str, data: bytes, slug: str, row: int | None, line: int | None) -> None:
    error = refusal(data, name, given={"a": ["finance.vendors"]})
    assert (error.slug, error.row, error.line) == (slug, row, line)


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_a_member_that_is_there_already_far_behind_is_never_doubled(name: str) -> None:
    lines = ['{"employee":"E-00001"}'] * 3000 + ['{"employee":"E-00001","employee.hr.email":"x"}']
    text = "\n".join(lines) if name == "x.jsonl" else "[" + ",\n".join(lines) + "]"
    error = refusal(text.encode(), name, columns=EMAIL)
    assert (error.slug, error.row) == ("column-collision", 3001)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["E-00001", "E-00002", "E-9", "", None, 7, True])
OBJECTS = st.builds(
    lambda members, key, first: {"employee": key, **members} if first else {**members, "employee": key},
    st.dictionaries(st.text(max_size=6).filter(lambda name: not name.startswith("employee")), VALUES, max_size=4),
    KEYS,
    st.booleans(),
)
SPACING = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :  ")])
TINY = replace(DEFAULT_LIMITS, block=32, cached_keys=1, cached_bytes=1)


def wanted(objects: list[dict[str, object]]) -> list[dict[str, object]]:
    found = [EMPLOYEES.rows.get(str(entry["employee"]), {}) for entry in objects]
    return [{**entry, "employee.hr.email": row.get("email")} for entry, row in zip(objects, found, strict=True)]


@settings(max_examples=200, deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=8), SPACING, st.booleans(), st.none() | st.integers(0, 3), st.booleans())
def test_any_array_reads_as_its_own_members_and_the_added_ones(
    objects: list[dict[str, object]], spacing: tuple[str, str], ascii_only: bool, indent: int | None, tiny: bool
) -> None:
    text = json.dumps(objects, separators=spacing, ensure_ascii=ascii_only, indent=indent)
    data = text.encode("utf-8", "surrogatepass")
    limits = TINY if tiny else DEFAULT_LIMITS
    result = enrich(data, "x.json", given=MAPPING, columns=EMAIL, limits=limits)
    assert json.loads(result.data) == wanted(objects)
    assert is_spliced_into(text, result.text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(OBJECTS, min_size=1, max_size=8),
    SPACING,
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.booleans(),
)
def test_any_lines_read_as_their_own_members_and_the_added_ones(
    objects: list[dict[str, object]], spacing: tuple[str, str], ascii_only: bool, newline: str, tiny: bool
) -> None:
    lines = [json.dumps(entry, separators=spacing, ensure_ascii=ascii_only) for entry in objects]
    data = newline.join(lines).encode()
    limits = TINY if tiny else DEFAULT_LIMITS
    result = enrich(data, "x.jsonl", given=MAPPING, columns=EMAIL, limits=limits)
    assert [json.loads(line) for line in result.text.split("\n") if line.strip()] == wanted(objects)
    assert result.report.rows == len(objects)


@settings(max_examples=150, deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=3), st.integers(0, 300), st.binary(max_size=3), st.booleans())
def test_damaged_json_is_refused_or_comes_back_with_every_byte(
    objects: list[dict[str, object]], place: int, damage: bytes, lines: bool
) -> None:
    texts = [json.dumps(entry) for entry in objects]
    data = ("\n".join(texts) if lines else "[" + ",".join(texts) + "]").encode()
    data = data[:place] + damage + data[place:]
    result = enrich_or_refuse(data, "x.jsonl" if lines else "x.json", MAPPING)
    assert result is None or is_spliced_into(data, result.data)

"""JSON and JSON Lines: members are added to each object, and every other character stays."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

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
        ("x.json", b'{"x":1,"y":[2]}', "json-shape", 1, None),
        ("x.json", b'{"x":[{"a":1}],"y":[{"a":1}]}', "json-shape", 1, None),
        ("x.json", b'{"x":[{"a":1}]', "invalid-json", 1, None),
        ("x.json", b'{"x":[{"a":1}]}}', "invalid-json", 1, None),
        ("x.json", b'{"x" [{"a":1}]}', "invalid-json", 1, None),
        ("x.json", b'{1:[{"a":1}]}', "invalid-json", 1, None),
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
        ("x.json", b'[{"a":1},{"b\\ud800":1}]', "json-shape", 2, None),
        ("x.jsonl", b'{"a":1}\n{"b\\ud800":1}\n', "json-shape", 2, None),
        ("x.jsonl", b'{"a":1}\n{"a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "nested-too-deep", 2, None),
    ],
)
def test_bad_json_is_named_with_its_place(name: str, data: bytes, slug: str, row: int | None, line: int | None) -> None:
    error = refusal(data, name, given={"a": ["finance.vendors"]})
    assert (error.slug, error.row, error.line) == (slug, row, line)
    assert error.detail.isprintable()


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_a_member_that_is_there_already_far_behind_is_never_doubled(name: str) -> None:
    lines = ['{"employee":"E-00001"}'] * 3000 + ['{"employee":"E-00001","employee.hr.email":"x"}']
    text = "\n".join(lines) if name == "x.jsonl" else "[" + ",\n".join(lines) + "]"
    error = refusal(text.encode(), name, columns=EMAIL, limits=replace(DEFAULT_LIMITS, searched=1000))
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


def added(data: bytes, name: str, column: str) -> list[Any]:
    """The records that come back, without what was added; and that alone."""
    result = enrich(data, name, given={column: ["finance.vendors"]}, columns={"finance.vendors": ["country"]})
    text = result.data.decode()
    after = json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]
    before = json.loads(data) if name.endswith(".json") else [json.loads(line) for line in data.splitlines()]
    after, before = (
        (next((v for v in x.values() if isinstance(v, list) and v[:1] and isinstance(v[0], dict)), []))
        if isinstance(x, dict)
        else x
        for x in (after, before)
    )
    values = [record.pop(f"{column}.finance.country") for record in after]
    assert after == before
    assert result.report.rows == len(before)
    return values


@pytest.mark.parametrize(
    ("data", "name", "column", "expected"),
    [
        (b'{"v":1}\n' * 1500 + b'{"k":"V-00001"}\n', "x.jsonl", "k", [None] * 1500 + ["DE"]),
        (b'[{"v":1},{"k":"V-00001","v":2},{"k":null},{"k":""}]', "x.json", "k", [None, "DE", None, None]),
        (b'{"data": [{"k": "V-00001"}, {"k": "V-00002"}], "next": null}', "x.json", "k", ["DE", "GB"]),
        (b'{"n":[1],"a":{"b":[{}]},"rows":[{"k":"V-00001"}]}', "x.json", "k", ["DE"]),
        (b'{"vendor":{"part":"V-00001"},"v":1}\n', "x.jsonl", "vendor.part", ["DE"]),
        (b'[{"a.b":"V-00001"},{"a":{"b":"V-00002"}}]', "x.json", "a.b", ["DE", "GB"]),
        (b'[{"a.b":{"c":"V-00001"}},{"a":{"b.c":"V-00002"}}]', "x.json", "a.b.c", ["DE", "GB"]),
        (b'{"errors":[],"data":[{"k":"V-00001"}],"warnings":[]}', "x.json", "k", ["DE"]),
        (b'{"errors":[],"page":1,"data":[]}', "x.json", "k", []),
        (b"[]", "x.json", "k", []),
        (b'{"data": []}', "x.json", "k", []),
    ],
)
def test_keys_are_found_where_documents_have_them(data: bytes, name: str, column: str, expected: list[Any]) -> None:
    assert added(data, name, column) == expected


@pytest.mark.parametrize(
    "record",
    [
        '{"a.b":"V-00001","a":{"b":"V-00002"}}',
        '{"a":{"b":"V-00002"},"a.b":"V-00001"}',
        '{"a":{"b":{"c":"V-00002"},"b.c":"V-00001"},"a.b":{"c":"V-00003"}}',
    ],
)
def test_preview_and_job_take_the_same_of_two_members_with_one_path(record: str) -> None:
    column = "a.b.c" if "c" in record else "a.b"
    chosen: Any = {"given": {column: ["finance.vendors"]}, "columns": {"finance.vendors": ["country"]}}
    shown = preview(record.encode(), "x.jsonl", **chosen)
    assert shown.rows[0][shown.columns.index(column)] == "V-00001"
    assert shown.rows[0][-1] == "DE"
    assert json.loads(enrich(record.encode(), "x.jsonl", **chosen).text)[f"{column}.finance.country"] == "DE"


def test_an_empty_list_without_a_mapping_is_refused_for_what_it_lacks() -> None:
    error = refusal(b"[]", "x.json")
    assert (error.slug, error.field) == ("nothing-to-enrich", "mapping")
    assert error.detail.startswith("The file has no rows")


def test_text_around_the_list_of_a_document_stays() -> None:
    data = b'\n{"page" : 1.0,\n "data":[ {"k":"V-00001"} ] , "x":{"y":[{}]} }\n'
    result = enrich(data, "x.json", given={"k": ["finance.vendors"]}, columns={"finance.vendors": ["terms"]})
    assert result.data == data.replace(b'"V-00001"', b'"V-00001","k.finance.terms":30')


def test_lists_of_keys_are_counted_and_not_passed_over_in_silence() -> None:
    data = b'{"vendor_id":["V-00001","V-00002"]}\n{"vendor_id":"V-00001"}\n'
    (warning,) = enrich(data, "x.jsonl").report.warnings
    assert warning == "1 values of 'vendor_id' are lists or objects; they were not looked up."


def test_decimals_are_numbers_with_every_digit() -> None:
    column = {"k": "string", "n": "decimal128(38, 2)"}
    lookup = Departments([dataset("d.s", "k", column, {"1": {"n": "12345678901234567890.10"}})])
    result = enrich(b'[{"k":"1"}]', "x.json", lookup)
    assert result.data == b'[{"k":"1","k.d.n":12345678901234567890.10}]'


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_added_text_that_the_files_encoding_lacks_is_escaped(name: str) -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"1": {"v": "Łódź 😀"}})])
    record = '{"k":"1","x":"été"}'
    result = enrich((f"[{record}]" if name == "x.json" else f"{record}\n").encode("cp1252"), name, lookup)
    found = json.loads(result.data.decode("cp1252"))
    row = found[0] if name == "x.json" else found
    assert (row["x"], row["k.d.v"]) == ("été", "Łódź 😀")


def test_nothing_after_the_end_of_a_document_is_dropped() -> None:
    for spaces in (DEFAULT_LIMITS.record + 1, 2 * DEFAULT_LIMITS.record):
        rest = b" " * spaces + b'[{"vendor_id":"V-00002"}]'
        assert refusal(b'[{"vendor_id":"V-00001"}]' + rest, "x.json").slug in {"invalid-json", "record-too-long"}

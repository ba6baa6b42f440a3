"""Text and Markdown: a note stands after each identifier, and every other character stays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.application.tests.engine.support import (
    Departments,
    dataset,
    departments,
    enrich,
    is_spliced_into,
    preview,
    refusal,
)

SHORT = {"finance.vendors": ["name", "country"]}
FULL = "[finance: name Acme GmbH; country DE]"


def noted(text: str, name: str = "memo.txt") -> str:
    return enrich(text.encode(), name, columns=SHORT).text


def test_the_first_mention_tells_all_and_later_ones_the_name() -> None:
    text = "Pay V-00001 today.\nV-00001 is late; ask E-00001.\n"
    assert enrich(text.encode(), "memo.txt").text == (
        "Pay V-00001 [finance: name Acme GmbH; country DE; terms 30] today.\n"
        "V-00001 [finance: Acme GmbH] is late; ask E-00001 [hr: email ann@example.com; active true].\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("V-00001", f"V-00001 {FULL}"),
        ("(V-00001)", f"(V-00001 {FULL})"),
        ('"V-00001",', f'"V-00001" {FULL},'.replace('" [', " [").replace("],", ']",')),
        ("V-00001,V-00001", f"V-00001 {FULL},V-00001 [finance: Acme GmbH]"),
        ("V-00001/V-00001", f"V-00001 {FULL}/V-00001 [finance: Acme GmbH]"),
        ("vendor=V-00001;", f"vendor=V-00001 {FULL};"),
        ("V-00001's", f"V-00001 {FULL}'s"),
        ("V-00001.", f"V-00001 {FULL}."),
        ("请付V-00001的款", f"请付V-00001 {FULL}的款"),
        ("V\u201100001", f"V\u201100001 {FULL}"),
        ("V\u201300001", f"V\u201300001 {FULL}"),
        ("V-\u00ad00001", f"V-\u00ad00001 {FULL}"),
        ("see https://erp/vendors/V-00001/edit?x=1.", f"see https://erp/vendors/V-00001/edit?x=1 {FULL}."),
        ("see https://erp/V-00001, now", f"see https://erp/V-00001 {FULL}, now"),
    ],
)
def test_an_identifier_is_found_among_other_signs(text: str, expected: str) -> None:
    assert noted(text) == expected


@pytest.mark.parametrize(
    "text",
    ["XV-00001", "V-000012", "V-00001-2", "A-V-00001", "V-00001_old", "V-00001.pdf", "x@V-00001", "v-00001", "V 00001"],
)
def test_a_part_of_something_else_is_no_identifier(text: str) -> None:
    assert noted(f"{text} and V-00001") == f"{text} and V-00001 {FULL}"


def test_an_identifier_that_no_department_knows_stays_bare_and_is_in_the_report() -> None:
    result = enrich(b"one\nV-77777 and V-00001\nV-77777\n", "memo.txt", columns=SHORT)
    assert result.text == f"one\nV-77777 and V-00001 {FULL}\nV-77777\n"
    (mapping,) = result.report.mappings
    assert (mapping.matched, mapping.unmatched, mapping.empty) == (1, 2, 0)
    assert [(key.key, key.row) for key in mapping.unmatched_sample] == [("V-77777", 2)]
    assert result.report.rows == 3


def test_an_identifier_is_asked_only_of_the_data_sets_that_it_fits() -> None:
    lookup = departments()
    enrich(b"V-00001 E-00001 V-00001", "memo.txt", lookup)
    assert lookup.keys_asked("finance.vendors") == ["V-00001"]
    assert lookup.keys_asked("hr.employees") == ["E-00001"]


def test_values_are_put_on_one_line_and_cut_where_they_are_long() -> None:
    rows = {"A-1": {"v": "one\ntwo\t\x1b[31m three", "w": "x" * 500}}
    lookup = Departments(
        [dataset("d.s", "k", {"k": "string", "v": "string", "w": "string"}, rows, pattern="^A-[0-9]$")]
    )
    text = enrich(b"A-1", "memo.txt", lookup).text
    assert text == f"A-1 [d: v one two [31m three; w {'x' * 117}...]"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encoding_and_line_endings_stay(newline: str, encoding: str) -> None:
    text = f"Grüße,{newline}V-00001{newline}{newline}Ende"
    data = enrich(text.encode(encoding), "memo.txt", columns=SHORT).data
    assert data == text.replace("V-00001", f"V-00001 {FULL}").encode(encoding)


def test_what_an_encoding_cannot_hold_becomes_a_question_mark_and_a_warning() -> None:
    result = enrich("ä V-00004".encode("cp1252"), "memo.txt", columns=SHORT)
    assert result.data.decode("cp1252") == "ä V-00004 [finance: name ?ód? Ünïted]"
    assert "cp1252" in result.report.warnings[0]


def test_the_preview_has_a_row_for_each_identifier() -> None:
    shown = preview(b"V-00001, E-00002 and V-00001, V-9", "memo.txt", columns=SHORT)
    assert shown.columns == ("text", "text.finance.name", "text.finance.country", "text.hr.email", "text.hr.active")
    assert shown.rows == (
        ("V-00001", "Acme GmbH", "DE", None, None),
        ("E-00002", None, None, "bob@example.com", False),
    )
    assert [(entry.dataset, entry.matched, entry.values) for entry in shown.mapping] == [
        ("finance.vendors", 1, 1),
        ("hr.employees", 1, 1),
    ]


def test_a_pattern_that_much_fits_is_used_only_where_it_is_asked_for() -> None:
    rates = dataset(
        "finance.rates", "c", {"c": "string", "rate": "double"}, {"EUR": {"rate": 1.5}}, pattern="^[A-Z]{3}$"
    )
    lookup = Departments([rates])
    assert refusal(b"THE EUR", "memo.txt", lookup).slug == "nothing-to-enrich"
    given = {"text": ["finance.rates"]}
    assert enrich(b"THE EUR", "memo.txt", lookup, given=given).text == "THE EUR [finance: rate 1.5]"


def test_a_data_set_without_a_pattern_is_looked_up_for_words_with_digits() -> None:
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, {"AB7": {"v": "x"}})])
    assert enrich(b"abc AB7 AB8", "memo.txt", lookup, given={"text": ["d.s"]}).text == "abc AB7 [d: v x] AB8"


def test_a_text_without_identifiers_and_unfit_mappings_are_refused() -> None:
    assert refusal(b"nothing here\n", "memo.txt").slug == "nothing-to-enrich"
    assert refusal(b"V-00001", "memo.txt", given={"vendor_id": ["finance.vendors"]}).slug == "unknown-column"
    assert refusal(b"some text, then V-0\x001", "memo.txt").slug == "nul-byte"
    assert refusal("ää V-00001 ".encode() + b"\xff", "memo.md").slug == "broken-encoding"
    assert refusal(b"x" * (9 << 20), "memo.txt").slug == "record-too-long"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# V-00001\n", f"# V-00001 {FULL}\n"),
        ("| V-00001 | x |\n", f"| V-00001 {FULL} | x |\n"),
        ("pay `V-00001` now", f"pay `V-00001` {FULL} now"),
        ("[V-00001](https://erp/V-00001)", f"[V-00001 {FULL}](https://erp/V-00001)"),
        ("V-00001(see below)", f"V-00001 \\{FULL[:-1]}\\](see below)"),
        ("V-00001: late", f"V-00001 \\{FULL[:-1]}\\]: late"),
        ("<https://erp/V-00001> V-00001", f"<https://erp/V-00001> V-00001 {FULL}"),
        ("[x]: https://erp/V-00001\nV-00001", f"[x]: https://erp/V-00001\nV-00001 {FULL}"),
        ('<a name="V-00001">V-00001</a>', f'<a name="V-00001">V-00001 {FULL}</a>'),
        ("<!-- V-00001 -->V-00001", f"<!-- V-00001 -->V-00001 {FULL}"),
        ("```\nV-00001\n```\nV-00001", f"```\nV-00001\n```\nV-00001 {FULL}"),
        ("~~~ sh\nV-00001\n```\n~~~\nV-00001", f"~~~ sh\nV-00001\n```\n~~~\nV-00001 {FULL}"),
        ("> ```\n> V-00001\n> ```\nV-00001", f"> ```\n> V-00001\n> ```\nV-00001 {FULL}"),
        ("---\nvendor: V-00001\n---\nV-00001", f"---\nvendor: V-00001\n---\nV-00001 {FULL}"),
        ("---\nV-00001\n", f"---\nV-00001 {FULL}\n"),
    ],
)
def test_markdown_stays_markdown(text: str, expected: str) -> None:
    assert noted(text, "memo.md") == expected


def test_values_do_not_become_markup_in_markdown() -> None:
    rows = {"A-1": {"v": "<b>*x*</b> | [a](b) `c` snake_case _u_"}}
    lookup = Departments([dataset("d.s", "k", {"k": "string", "v": "string"}, rows, pattern="^A-[0-9]$")])
    text = enrich(b"A-1", "memo.md", lookup).text
    assert text == r"A-1 [d: v \<b\>\*x\*\</b\> \| \[a\](b) \`c\` snake_case \_u\_]"


WORDS = st.lists(
    st.sampled_from(
        [
            "V-00001",
            "V-77777",
            "E-00002",
            "`",
            "```",
            "\n",
            "\r\n",
            " ",
            "[",
            "](",
            ")",
            "<",
            ">",
            "---",
            "https://",
            ".",
            "-",
        ]
    )
    | st.text(max_size=5),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(WORDS, st.sampled_from(["memo.txt", "memo.md"]))
def test_any_text_keeps_its_characters(words: list[str], name: str) -> None:
    text = "".join(words).replace("\0", "") + " V-00001"
    data = text.encode("utf-8", "replace")
    if data.lower().lstrip().startswith((b"{\\rtf", b"bzh")):
        return
    result = enrich(data, name, given={"text": ["finance.vendors"]})
    assert is_spliced_into(data, result.data)
    assert result.data.replace(b" " + FULL.encode(), b"").count(b"\n") == data.count(b"\n")

"""What each department's own tools answer."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Running


@pytest.mark.parametrize(
    ("amount", "source", "target", "converted"),
    [
        (100, "EUR", "USD", "110.00"),
        ("100.00", "eur", "gbp", "88.00"),
        (0.1, "USD", "EUR", "0.09"),
        ("0.005", "USD", "USD", "0.01"),
        (-5, "USD", "USD", "-5.00"),
        ("12345678901234567.89", "USD", "USD", "12345678901234567.89"),
    ],
)
async def test_amounts_are_converted_exactly(
    finance: "Running", amount: float | str, source: str, target: str, converted: str
) -> None:
    arguments = {"amount": amount, "from_currency": source, "to_currency": target}
    answer = await finance.call("finance_convert_amount", arguments)
    assert answer["converted"] == converted
    assert (answer["from_currency"], answer["to_currency"]) == (source.upper(), target.upper())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"from_currency": "XXX"}, "there is no rate for XXX; there are rates for CHF, EUR, GBP, USD"),
        ({"to_currency": "CHF"}, "the rate of CHF is not usable at the moment"),
        ({"to_currency": "euro"}, "argument to_currency: String should match"),
        ({"amount": "much"}, "argument amount: Input should be a valid decimal"),
        ({"amount": "NaN"}, "argument amount: Input should be a finite number"),
        ({"amount": "1e25"}, "argument amount: "),
    ],
)
async def test_what_cannot_be_converted_is_told_why(finance: "Running", change: dict[str, Any], said: str) -> None:
    arguments = {"amount": 1, "from_currency": "EUR", "to_currency": "USD"}
    assert said in await finance.refused("finance_convert_amount", arguments | change)


@pytest.mark.parametrize(
    ("vendor", "amount", "currency", "failed"),
    [
        ("V-00001", 10, "EUR", []),
        ("V-00001", 10, "USD", ["currency_agreed"]),
        ("V-00003", 0, "chf", ["amount_positive", "vendor_active"]),
        ("V-9", 10, "EUR", ["vendor_known"]),
    ],
)
async def test_an_invoice_is_checked_against_its_vendor(
    finance: "Running", vendor: str, amount: float, currency: str, failed: list[str]
) -> None:
    arguments = {"vendor_id": vendor, "amount": amount, "currency": currency}
    answer = await finance.call("finance_check_invoice", arguments)
    assert [check["check"] for check in answer["checks"] if not check["ok"]] == failed
    assert answer["ok"] == (not failed)


@pytest.mark.parametrize(
    ("employee", "managers", "ends"),
    [
        ("E-00003", ["E-00002", "E-00001"], "top"),
        ("E-00001", [], "top"),
        (" E-00004 ", ["E-00005"], "circle"),
        ("E-00006", [], "E-99999 is not in the data"),
    ],
)
async def test_a_reporting_line_goes_to_the_top_or_says_where_it_breaks(
    hr: "Running", employee: str, managers: list[str], ends: str
) -> None:
    answer = await hr.call("hr_reporting_line", {"employee_id": employee})
    assert [manager["employee_id"] for manager in answer["managers"]] == managers
    assert answer["ends"] == ends
    assert "there is no employee E-7" in await hr.refused("hr_reporting_line", {"employee_id": "E-7"})


async def test_contracts_that_expire_come_nearest_first(legal: "Running") -> None:
    answer = await legal.call("legal_contracts_expiring", {"as_of": "2026-11-30", "within_days": 62})
    assert [(row["key"], row["days_left"]) for row in answer["rows"]] == [
        ("C-00003", 0),
        ("C-00001", 1),
        ("C-00002", 62),
    ]
    assert (answer["first_day"], answer["last_day"], answer["total"]) == ("2026-11-30", "2027-01-31", 3)
    assert "clauses" not in answer["rows"][0]["values"]
    few = await legal.call("legal_contracts_expiring", {"as_of": "2026-11-30", "within_days": 61, "limit": 1})
    assert (few["total"], len(few["rows"])) == (2, 1)
    end_of_time = await legal.call("legal_contracts_expiring", {"as_of": "9999-12-31", "within_days": 3660})
    assert (end_of_time["last_day"], end_of_time["rows"]) == ("9999-12-31", [])
    assert "argument as_of" in await legal.refused("legal_contracts_expiring", {"as_of": "soon"})


async def test_clauses_are_found_by_their_words(legal: "Running") -> None:
    answer = await legal.call("legal_search_clauses", {"query": "ninety days notice, terminate"})
    (hit, *_) = answer["rows"]
    assert hit["key"] == "C-00001"
    assert hit["clause"] == "Either party may terminate with ninety days' notice."
    assert hit["values"]["title"] == "Frame agreement"


async def test_search_goes_over_all_columns_that_are_named_for_it(legal: "Running") -> None:
    for query, key in (("lease", "C-00002"), ("nordwind", "C-00003"), ("Muller frame agreement", "C-00001")):
        answer = await legal.call("legal_search_contracts", {"query": query, "limit": 1})
        assert [row["key"] for row in answer["rows"]] == [key]

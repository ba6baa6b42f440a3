"""The report of a job says why keys were not found, and which ones were probably meant."""

from typing import Any

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment

pytestmark = pytest.mark.slow

MISSES = ("V1", "EUR", "<b>nonsense</b>")
CONTENT = "\n".join(["vendor_id", "V-00001", "V-00002", *MISSES, "V1", ""]).encode()
ANSWERS: tuple[dict[str, Any], ...] = (
    {
        "cause": "leading_zeros",
        "dataset": None,
        "proposals": [{"key": "V-00001", "score": 98, "reason": "leading zeros"}],
    },
    {"cause": "other_dataset", "dataset": "rates", "proposals": []},
    {"cause": "unknown", "dataset": None, "proposals": []},
)


def explaining(answers: Any) -> Any:
    """A department that answers so when it is asked why keys were not found."""
    return lambda tool: answers if tool == "finance_explain_keys" else None


def report_of(client: Client) -> tuple[str, dict[str, Any]]:
    job = client.submit(client.upload(CONTENT))
    assert client.wait(job)["status"] == "succeeded"
    path = f"/api/jobs/{job}/report"
    return path, client.call("GET", path).json()["mappings"][0]


def test_a_report_says_why_keys_were_not_found_and_which_were_meant(alice: Client, finance: FakeDepartment) -> None:
    keys = [{"key": key, **answer} for key, answer in zip(MISSES, ANSWERS, strict=True)]
    finance.misbehave = explaining({"keys": keys})
    path, mapping = report_of(alice)
    assert (mapping["matched"], mapping["unmatched"], mapping["unmatched_distinct"]) == (2, 4, 3)
    assert mapping["causes"] == [
        {"cause": "leading_zeros", "description": "Leading zeros lost", "keys": 1},
        {"cause": "other_dataset", "description": "Key of another data set", "keys": 1},
        {"cause": "unknown", "description": "Unknown", "keys": 1},
    ]
    listed = {each["key"]: each for each in mapping["unmatched_sample"]}
    assert listed["V1"]["row"] == 4
    assert listed["V1"]["proposals"] == ANSWERS[0]["proposals"]
    assert listed["EUR"]["dataset"] == "finance.rates"
    text = alice.call("GET", f"{path}?format=text").body.decode()
    assert "V1  row 4  perhaps V-00001 (leading zeros lost)" in text
    assert "EUR  row 5  is in finance.rates" in text
    page = alice.call("GET", f"{path}?format=html").body.decode()
    assert "perhaps V-00001 (leading zeros lost)" in page
    assert "<b>nonsense" not in page


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(None, id="it has no such tool"),
        pytest.param({"keys": []}, id="too few"),
        pytest.param({"keys": [{"key": key, **ANSWERS[2]} for key in reversed(MISSES)]}, id="in another order"),
        pytest.param({"keys": [{"key": key} for key in MISSES]}, id="of another form"),
    ],
)
def test_a_file_is_enriched_also_where_a_department_cannot_explain(
    answers: Any, alice: Client, finance: FakeDepartment
) -> None:
    finance.misbehave = explaining(answers)
    _, mapping = report_of(alice)
    assert (mapping["matched"], mapping["unmatched"], mapping["causes"]) == (2, 4, [])
    assert [each["key"] for each in mapping["unmatched_sample"]] == list(MISSES)

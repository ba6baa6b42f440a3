"""Keys that were not found are listed, and a job with approved keys in their place is started."""

import csv
import io
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment

pytestmark = pytest.mark.slow

PROPOSED: dict[str, dict[str, Any]] = {
    "1": {
        "cause": "leading_zeros",
        "proposals": [{"key": "V-00001", "score": 98, "reason": "leading zeros"}],
    },
    "V-0000": {
        "cause": "typo",
        "proposals": [
            {"key": "V-00001", "score": 90, "reason": "a letter is missing"},
            {"key": "V-00002", "score": 90, "reason": "a letter is missing"},
        ],
    },
    "nobody": {"cause": "unknown", "proposals": []},
}
CONTENT = "\n".join(["vendor_id", "V-00001", "1", "V-0000", "nobody", "1", ""]).encode()


@pytest.fixture(autouse=True)
def explaining(finance: FakeDepartment) -> None:
    """Finance says why keys were not found, as its own server would."""

    def explain(tool: str) -> Any:
        if tool != "finance_explain_keys":
            return None
        _, arguments, _ = finance.calls[-1]
        return {"keys": [{"key": key, "dataset": None, **PROPOSED[key]} for key in arguments["keys"]]}

    finance.misbehave = explain


def enriched(client: Client, content: bytes = CONTENT, name: str = "data.csv") -> str:
    job = client.submit(client.upload(content, name), mapping={"vendor_id": ["finance.vendors"]})
    assert client.wait(job)["status"] == "succeeded"
    return job


def review(client: Client, job: str, **wanted: Any) -> str:
    answer = client.call("POST", f"/api/jobs/{job}/review", document=wanted)
    assert answer.status == 202, answer.body
    repaired = answer.json()
    assert repaired["review_of"] == job
    assert client.wait(repaired["id"])["status"] == "succeeded"
    return str(repaired["id"])


def rows(client: Client, job: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.result(job).decode())))


def mapping_of(client: Client, job: str) -> dict[str, Any]:
    return dict(client.call("GET", f"/api/jobs/{job}/report").json()["mappings"][0])


def test_the_keys_that_were_not_found_are_listed_with_causes_and_proposals(alice: Client) -> None:
    (misses,) = alice.call("GET", f"/api/jobs/{enriched(alice)}/misses").json()["misses"]
    assert (misses["column"], misses["dataset"]) == ("vendor_id", "finance.vendors")
    assert [(each["key"], each["row"], each["cause"], each["proposals"]) for each in misses["keys"]] == [
        (key, row, PROPOSED[key]["cause"], PROPOSED[key]["proposals"])
        for key, row in (("1", 3), ("V-0000", 4), ("nobody", 5))
    ]


def test_all_keys_up_to_10_000_are_listed_though_a_report_has_100(alice: Client, finance: FakeDepartment) -> None:
    finance.misbehave = None
    keys = [f"missing-{number}" for number in range(1000)]
    job = enriched(alice, "\n".join(["vendor_id", "V-00001", *keys, ""]).encode())
    assert len(mapping_of(alice, job)["unmatched_sample"]) == 100
    (misses,) = alice.call("GET", f"/api/jobs/{job}/misses").json()["misses"]
    assert [each["key"] for each in misses["keys"]] == keys


def test_a_job_that_found_all_keys_has_none(alice: Client) -> None:
    job = enriched(alice, b"vendor_id\nV-00001\n")
    assert alice.call("GET", f"/api/jobs/{job}/misses").json() == {"misses": []}


def test_an_approved_cause_uses_its_best_proposals_and_keeps_the_cells(alice: Client) -> None:
    job = enriched(alice)
    before = rows(alice, job)
    repaired = review(alice, job, approve=["leading_zeros"])
    after = rows(alice, repaired)
    used = [row.pop("vendor_id.finance.matched_key") for row in after]
    assert used == ["", "V-00001 (leading zeros lost)", "", "", "V-00001 (leading zeros lost)"]
    found = {name: value for name, value in before[0].items() if name != "vendor_id"}
    assert after == [{**row, **found} if row["vendor_id"] == "1" else row for row in before]
    mapping = mapping_of(alice, repaired)
    assert (mapping["matched"], mapping["unmatched"], mapping["repaired"]) == (3, 2, 1)
    assert (
        "Repaired:       1 different keys"
        in alice.call("GET", f"/api/jobs/{repaired}/report?format=text").body.decode()
    )


def test_of_equally_good_proposals_none_is_taken(alice: Client) -> None:
    job = enriched(alice)
    answer = alice.call("POST", f"/api/jobs/{job}/review", document={"approve": ["typo"]})
    assert (answer.status, answer.slug) == (422, "cannot-repair")


def test_a_key_given_by_hand_wins_over_an_approved_cause(alice: Client) -> None:
    keys = {"finance.vendors": {"1": "V-00002", "V-0000": " V-00001 "}}
    used = [
        row["vendor_id.finance.matched_key"]
        for row in rows(alice, review(alice, enriched(alice), approve=["leading_zeros"], keys=keys))
    ]
    by_hand = "V-00002 (given by hand)"
    assert used == ["", by_hand, "V-00001 (given by hand)", "", by_hand]


def test_a_second_review_keeps_what_the_first_approved_and_can_take_it_back(alice: Client) -> None:
    first = review(alice, enriched(alice), approve=["leading_zeros"])
    second = review(alice, first, keys={"finance.vendors": {"V-0000": "V-00002"}})
    assert (mapping_of(alice, second)["matched"], mapping_of(alice, second)["repaired"]) == (4, 2)
    third = review(alice, second, keys={"finance.vendors": {"1": "", "nobody": "V-00002"}})
    assert [row["vendor_id.finance.matched_key"][:7] for row in rows(alice, third)] == [
        "",
        "",
        "V-00002",
        "V-00002",
        "",
    ]


def test_a_repaired_key_that_is_not_there_either_is_a_miss_again(alice: Client) -> None:
    repaired = review(alice, enriched(alice), keys={"finance.vendors": {"nobody": "V-77777"}})
    assert {row["vendor_id.finance.matched_key"] for row in rows(alice, repaired)} == {""}
    (misses,) = alice.call("GET", f"/api/jobs/{repaired}/misses").json()["misses"]
    assert "nobody" in [each["key"] for each in misses["keys"]]


def test_typed_files_say_which_key_was_used_as_text(alice: Client) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"vendor_id": ["V-00001", "1", None]}), sink)
    repaired = review(alice, enriched(alice, sink.getvalue(), "data.parquet"), approve=["leading_zeros"])
    table = pq.read_table(io.BytesIO(alice.result(repaired)))
    assert table["vendor_id"].to_pylist() == ["V-00001", "1", None]
    assert table["vendor_id.finance.matched_key"].to_pylist() == [None, "V-00001 (leading zeros lost)", None]


@pytest.mark.parametrize(
    ("wanted", "slug"),
    [
        pytest.param({}, "cannot-repair", id="nothing"),
        pytest.param({"approve": ["unknown"]}, "invalid-request", id="a cause without proposals"),
        pytest.param({"approve": ["letter_case"]}, "cannot-repair", id="a cause that no key has"),
        pytest.param({"keys": {"finance.vendors": {"V-00001": "V-00002"}}}, "cannot-repair", id="a key that was found"),
        pytest.param({"keys": {"hr.employees": {"1": "V-00001"}}}, "cannot-repair", id="a data set that was not asked"),
        pytest.param({"keys": {"finance.vendors": {"1": " "}}}, "cannot-repair", id="an empty key alone"),
        pytest.param({"all": True}, "invalid-request", id="a member that is not known"),
    ],
)
def test_what_cannot_be_repaired_is_refused_in_words(wanted: dict[str, Any], slug: str, alice: Client) -> None:
    answer = alice.call("POST", f"/api/jobs/{enriched(alice)}/review", document=wanted)
    assert (answer.status, answer.slug) == (422, slug)


def test_misses_and_reviews_are_the_owners_and_need_present_access(alice: Client, dana: Client) -> None:
    job = enriched(alice)
    wanted = {"approve": ["leading_zeros"]}
    moved = alice.with_groups("hr")
    for somebody, status in ((dana, 404), (moved, 403)):
        assert somebody.call("GET", f"/api/jobs/{job}/misses").status == status
        assert somebody.call("POST", f"/api/jobs/{job}/review", document=wanted).status == status


def test_a_review_sent_twice_with_one_idempotency_key_makes_one_job(alice: Client) -> None:
    job = enriched(alice)
    path, headers = f"/api/jobs/{job}/review", {"idempotency-key": "once"}
    first, second = (
        alice.call("POST", path, document={"approve": ["leading_zeros"]}, headers=headers).json()["id"]
        for _ in range(2)
    )
    assert first == second
    other = alice.call("POST", path, document={"keys": {"finance.vendors": {"1": "V-00002"}}}, headers=headers)
    assert other.slug == "idempotency-key-reused"


def test_misses_and_approved_keys_go_with_their_file(alice: Client) -> None:
    file = alice.upload(CONTENT)
    job = alice.submit(file, mapping={"vendor_id": ["finance.vendors"]}, keys={"finance.vendors": {"1": "V-00001"}})
    alice.wait(job)
    assert len(alice.stack.keys(f"results/{job}/")) == 2
    assert alice.stack.item(f"JOB#{job}", "REPAIRS") is not None
    assert alice.call("DELETE", f"/api/files/{file}").status == 204
    assert alice.stack.keys(f"results/{job}/") == []
    assert alice.stack.item(f"JOB#{job}", "REPAIRS") is None


def test_a_preview_says_why_its_rows_were_not_found(alice: Client) -> None:
    wanted = {"file": alice.upload(CONTENT), "mapping": {"vendor_id": ["finance.vendors"]}}
    (mapping,) = alice.call("POST", "/api/preview", document=wanted).json()["mapping"]
    assert [(each["key"], each["cause"], each["proposals"]) for each in mapping["missed"]] == [
        (key, PROPOSED[key]["cause"], PROPOSED[key]["proposals"]) for key in ("1", "V-0000", "nobody")
    ]


def test_a_department_that_fails_to_explain_does_not_hold_up_a_preview(alice: Client, finance: FakeDepartment) -> None:
    def fail(tool: str) -> Any:
        if tool == "finance_explain_keys":
            raise RuntimeError
        return None

    finance.misbehave = fail
    wanted = {"file": alice.upload(CONTENT), "mapping": {"vendor_id": ["finance.vendors"]}}
    begin = time.monotonic()
    (mapping,) = alice.call("POST", "/api/preview", document=wanted).json()["mapping"]
    assert time.monotonic() - begin < 20, "it is tried for 3 seconds, and calls of a department for 30"
    assert [(each["key"], each["cause"]) for each in mapping["missed"]] == [(key, None) for key in PROPOSED]


def test_a_preview_shows_what_approved_keys_add(alice: Client) -> None:
    wanted = {
        "file": alice.upload(CONTENT),
        "mapping": {"vendor_id": ["finance.vendors"]},
        "approve": ["leading_zeros"],
        "keys": {"finance.vendors": {"nobody": "V-00002"}},
    }
    preview = alice.call("POST", "/api/preview", document=wanted).json()
    name = preview["columns"].index("vendor_id.finance.name")
    assert [row[name] for row in preview["rows"]] == ["Vendor 1", "Vendor 1", None, "Vendor 2", "Vendor 1"]
    assert preview["mapping"][0]["matched"] == 4


def test_keys_and_causes_can_be_approved_with_the_job(alice: Client) -> None:
    wanted = {
        "approve": ["leading_zeros"],
        "keys": {"finance.vendors": {"nobody": "V-00002", "of another month": "V-1"}},
    }
    job = alice.submit(alice.upload(CONTENT), mapping={"vendor_id": ["finance.vendors"]}, **wanted)
    assert alice.wait(job)["status"] == "succeeded"
    zeros = "V-00001 (leading zeros lost)"
    used = [row["vendor_id.finance.matched_key"] for row in rows(alice, job)]
    assert used == ["", zeros, "", "V-00002 (given by hand)", zeros]
    assert alice.stack.multipart_uploads(f"results/{job}/") == []


def test_an_approved_cause_that_no_key_has_changes_nothing(alice: Client) -> None:
    mapping = {"vendor_id": ["finance.vendors"]}
    job = alice.submit(alice.upload(b"vendor_id\nV-00001\n"), mapping=mapping, approve=["leading_zeros"])
    assert alice.wait(job)["status"] == "succeeded"
    assert [row["vendor_id.finance.matched_key"] for row in rows(alice, job)] == [""]


def test_keys_of_a_data_set_that_the_file_does_not_have_are_refused(dana: Client) -> None:
    wanted = {"file": dana.upload(CONTENT), "mapping": {"vendor_id": ["finance.vendors"]}}
    answer = dana.call("POST", "/api/jobs", document={**wanted, "keys": {"hr.employees": {"1": "E-00001"}}})
    assert (answer.status, answer.slug) == (422, "cannot-repair")
    assert "hr.employees" in answer.json()["detail"]


def test_a_review_keeps_what_was_approved_with_the_job(alice: Client) -> None:
    job = alice.submit(alice.upload(CONTENT), mapping={"vendor_id": ["finance.vendors"]}, approve=["leading_zeros"])
    alice.wait(job)
    repaired = review(alice, job, keys={"finance.vendors": {"nobody": "V-00002"}})
    zeros = "V-00001 (leading zeros lost)"
    used = [row["vendor_id.finance.matched_key"] for row in rows(alice, repaired)]
    assert used == ["", zeros, "", "V-00002 (given by hand)", zeros]

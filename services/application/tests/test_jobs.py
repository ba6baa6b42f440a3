import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.files import vendors_csv
from services.application.tests.support.stack import Stack, wait_until

pytestmark = pytest.mark.slow

INVOICES = (
    b"invoice,vendor_id,buyer,amount\n"
    b"1,V-00007,E-00001,007\n"
    b"2,V-99999,,1.50\n"
    b'3,V-00008,E-00002,"2\n"\n'
)  # fmt: skip


@pytest.fixture
def invoices(dana: Client) -> str:
    return dana.upload(INVOICES, "invoices.csv")


def test_a_file_goes_in_and_comes_back_enriched(dana: Client, invoices: str) -> None:
    answer = dana.call("POST", "/api/jobs", document={"file": invoices})
    job = answer.json()
    assert answer.status == 202
    assert answer.headers["location"] == f"/api/jobs/{job['id']}"
    assert (job["status"], job["departments"], job["attempts"]) == ("queued", ["finance", "hr"], 0)
    assert job["file"] == {"id": invoices, "name": "invoices.csv", "size": len(INVOICES), "format": "csv"}
    assert [(entry["column"], entry["dataset"], entry["columns"]) for entry in job["mapping"]] == [
        ("vendor_id", "finance.vendors", ["name", "country"]),
        ("buyer", "hr.employees", ["name", "email"]),
    ]
    assert all(entry["evidence"] for entry in job["mapping"])
    done = dana.wait(job["id"])
    assert done == {
        **job,
        "status": "succeeded",
        "attempts": 1,
        "progress": {
            "rows": 3,
            "total_rows": 3,
            "bytes": len(INVOICES),
            "total_bytes": len(INVOICES),
            "rows_per_second": done["progress"]["rows_per_second"],
            "seconds_left": 0,
        },
        "result": {"name": "invoices.enriched.csv", "size": done["result"]["size"], "found": 4, "keys": 5},
        "updated_at": done["updated_at"],
        "finished_at": done["finished_at"],
    }
    assert job["created_at"] < done["finished_at"] < done["expires_at"]
    result = dana.result(job["id"])
    assert len(result) == done["result"]["size"]
    assert result == (
        b"invoice,vendor_id,buyer,amount,vendor_id.finance.name,vendor_id.finance.country,buyer.hr.name,buyer.hr.email\n"
        b"1,V-00007,E-00001,007,Vendor 7,NL,Person 1,p1@x.example\n"
        b"2,V-99999,,1.50,,,,\n"
        b'3,V-00008,E-00002,"2\n",Vendor 8,NL,Person 2,p2@x.example\n'
    )


def test_departments_mapping_and_columns_are_as_the_caller_says(dana: Client, invoices: str) -> None:
    wanted = {"mapping": {"vendor_id": ["finance.vendors"]}, "columns": {"finance.vendors": ["country"]}}
    job = dana.submit(invoices, **wanted)
    assert dana.wait(job)["departments"] == ["finance"]
    assert dana.result(job).splitlines()[0] == b"invoice,vendor_id,buyer,amount,vendor_id.finance.country"
    job = dana.submit(invoices, departments=["hr"])
    assert dana.wait(job)["departments"] == ["hr"]
    assert dana.result(job).splitlines()[0] == b"invoice,vendor_id,buyer,amount,buyer.hr.name,buyer.hr.email"


def test_a_caller_gets_what_their_groups_may_see_and_no_more(stack: Stack, dana: Client, invoices: str) -> None:
    lead = dana.with_groups("finance", "finance-leads")
    first = dana.submit(invoices, departments=["finance"])
    second = lead.submit(invoices, departments=["finance"])
    dana.wait(first)
    lead.wait(second)
    assert b"bank_account" not in dana.result(first)
    assert b"NL00000007" in lead.result(second)
    refused = dana.call(
        "POST", "/api/jobs", document={"file": invoices, "columns": {"finance.vendors": ["bank_account"]}}
    )
    assert refused.slug == "unknown-column"
    assert b"country" in refused.body


@pytest.mark.parametrize(
    ("wanted", "slug"),
    [
        ({"departments": ["marketing"]}, "unknown-department"),
        ({"departments": ["hr"]}, "unknown-department"),
        ({"mapping": {"vendor_id": ["hr.employees"]}}, "unknown-department"),
        ({"mapping": {"vendor_id": ["finance.nothing"]}}, "unknown-dataset"),
        ({"mapping": {"vendor_id": ["nonsense"]}}, "unknown-department"),
        ({"mapping": {"nothing": ["finance.vendors"]}}, "unknown-column"),
        ({"columns": {"finance.vendors": ["nothing"]}}, "unknown-column"),
        ({"mapping": {"vendor_id": "finance.vendors"}}, "invalid-request"),
        ({"departments": "finance"}, "invalid-request"),
        ({"everything": True}, "invalid-request"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_for_job_and_preview_alike(
    alice: Client, wanted: dict[str, Any], slug: str
) -> None:
    file = alice.upload(INVOICES)
    for path in ("/api/jobs", "/api/preview"):
        answer = alice.call("POST", path, document={"file": file, **wanted})
        assert (answer.status, answer.slug) == (422, slug)
        assert b"employees" not in answer.body.replace(json.dumps(wanted).encode(), b"")
    assert alice.call("GET", "/api/jobs").json()["jobs"] == []


def test_a_column_that_may_be_no_key_is_told_in_the_report_and_stops_no_job(dana: Client) -> None:
    file = dana.upload(b"vendor_id,buyer\nV-00001,X\nV-00002,Y\n")
    job = dana.submit(file)
    assert dana.wait(job)["status"] == "succeeded"
    (warning,) = dana.call("GET", f"/api/jobs/{job}/report").json()["warnings"]
    assert warning.startswith("The column 'buyer' was not looked up: it may be a key of hr.employees")


def test_an_unclear_mapping_is_asked_about(dana: Client) -> None:
    file = dana.upload(b"supplier,number\nV-00001,1\nX,2\nY,3\n")
    answer = dana.call("POST", "/api/jobs", document={"file": file})
    assert (answer.status, answer.slug) == (422, "unclear-mapping")
    (question,) = answer.json()["questions"]
    assert (question["column"], question["candidates"]) == ("supplier", ["finance.vendors"])
    preview = dana.call("POST", "/api/preview", document={"file": file})
    assert preview.json()["questions"] == [question]
    job = dana.submit(file, mapping={"supplier": ["finance.vendors"]})
    assert dana.wait(job)["status"] == "succeeded"


def test_a_file_with_nothing_to_look_up_is_told_so(alice: Client) -> None:
    file = alice.upload(b"a,b\n1,2\n")
    assert alice.call("POST", "/api/jobs", document={"file": file}).slug == "nothing-to-enrich"


def test_who_may_use_no_department_is_told_that(alice: Client) -> None:
    nobody = Client(alice.stack, ("visitors",))
    file = nobody.upload(INVOICES)
    for path in ("/api/jobs", "/api/preview"):
        answer = nobody.call("POST", path, document={"file": file})
        assert (answer.status, answer.slug) == (403, "no-departments")


def test_a_preview_shows_the_first_rows_and_why(dana: Client, invoices: str) -> None:
    answer = dana.call("POST", "/api/preview", document={"file": invoices, "rows": 2, "departments": ["finance"]})
    shown = answer.json()
    assert answer.status == 200
    assert shown["columns"][-2:] == ["vendor_id.finance.name", "vendor_id.finance.country"]
    assert shown["rows"] == [
        ["1", "V-00007", "E-00001", "007", "Vendor 7", "NL"],
        ["2", "V-99999", "", "1.50", None, None],
    ]
    (entry,) = shown["mapping"]
    assert (entry["column"], entry["dataset"], entry["matched"], entry["values"]) == (
        "vendor_id",
        "finance.vendors",
        1,
        2,
    )
    assert entry["evidence"]
    assert (set(shown["unmapped"]), shown["questions"]) == ({"invoice", "buyer", "amount"}, [])


@pytest.mark.parametrize("rows", [0, 101, "many"])
def test_a_preview_has_a_sensible_number_of_rows(alice: Client, rows: Any) -> None:
    answer = alice.call("POST", "/api/preview", document={"file": "x", "rows": rows})
    assert answer.slug == "invalid-request"
    assert answer.json()["errors"][0]["field"] == "rows"


def test_a_job_whose_file_is_broken_further_down_fails_with_the_place(stack: Stack, alice: Client) -> None:
    job = alice.submit(alice.upload(vendors_csv(20_000) + b"V-00001,1,2,3\n"))
    done = alice.wait(job)
    assert (done["status"], done["retryable"]) == ("failed", False)
    assert done["error"]["type"] == "urn:fileproc:problem:ragged-row"
    assert done["error"]["row"] == 20_002
    assert alice.call("GET", f"/api/jobs/{job}/result").slug == "job-not-finished"
    assert alice.call("GET", f"/api/jobs/{job}/report").slug == "job-not-finished"
    assert alice.call("POST", f"/api/jobs/{job}/retry").slug == "job-not-retryable"
    assert alice.call("DELETE", f"/api/jobs/{job}").slug == "job-finished"


def test_the_same_key_and_request_are_one_job_however_often_they_come(dana: Client, invoices: str) -> None:
    def submit(key: str, **wanted: Any) -> Any:
        document = {"file": invoices, **wanted}
        return dana.call("POST", "/api/jobs", document=document, headers={"idempotency-key": key})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(submit, ["one"] * 8))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(dana.call("GET", "/api/jobs").json()["jobs"]) == 1
    other = submit("one", departments=["hr"])
    assert (other.status, other.slug) == (422, "idempotency-key-reused")
    assert submit("two").json()["id"] != answers[0].json()["id"]
    dana.wait(answers[0].json()["id"])
    assert submit("one").json()["status"] == "succeeded"
    assert submit("ü").slug == "invalid-idempotency-key"
    assert submit("x" * 256).slug == "invalid-idempotency-key"


def test_a_key_belongs_to_its_subject(stack: Stack, dana: Client, invoices: str) -> None:
    key = {"idempotency-key": "the same"}
    first = dana.call("POST", "/api/jobs", document={"file": invoices}, headers=key)
    other = Client(stack, ("finance",))
    file = other.upload(INVOICES)
    second = other.call("POST", "/api/jobs", document={"file": file}, headers=key)
    assert (first.status, second.status) == (202, 202)
    assert first.json()["id"] != second.json()["id"]


def test_a_key_of_a_deleted_job_can_be_used_again(alice: Client) -> None:
    key = {"idempotency-key": "again"}
    file = alice.upload(INVOICES)
    first = alice.call("POST", "/api/jobs", document={"file": file}, headers=key).json()["id"]
    alice.wait(first)
    alice.call("DELETE", f"/api/files/{file}")
    file = alice.upload(INVOICES)
    answer = alice.call("POST", "/api/jobs", document={"file": file}, headers=key)
    assert answer.status == 202
    assert answer.json()["id"] != first


def test_jobs_are_listed_newest_first_in_pages_and_only_ones_own(stack: Stack, alice: Client) -> None:
    file = alice.upload(INVOICES)
    jobs = [alice.submit(file) for _ in range(5)]
    assert [job["id"] for job in alice.call("GET", "/api/jobs").json()["jobs"]] == jobs[::-1]
    listed, cursor, pages = [], "", 0
    while cursor is not None:
        page = alice.call("GET", f"/api/jobs?limit=2{f'&cursor={cursor}' if cursor else ''}").json()
        listed += [job["id"] for job in page["jobs"]]
        cursor, pages = page["next"], pages + 1
    assert (listed, pages) == (jobs[::-1], 3)
    assert Client(stack, ("finance",)).call("GET", "/api/jobs").json() == {"jobs": [], "next": None}
    for bad in ("limit=0", "limit=101", "limit=x"):
        assert alice.call("GET", f"/api/jobs?{bad}").slug == "invalid-request"
    for bad in ("x", "Sk9CIzE=", "%00"):
        assert alice.call("GET", f"/api/jobs?cursor={bad}").slug == "invalid-cursor"


def test_an_expired_job_is_gone_whether_it_was_deleted_or_not(stack: Stack, alice: Client) -> None:
    job = alice.submit(alice.upload(INVOICES))
    alice.wait(job)
    stack.change(job, expires_at={"N": str(int(time.time()) - 1)})
    for path in ("", "/result", "/report", "/events"):
        assert alice.call("GET", f"/api/jobs/{job}{path}").slug == "job-not-found"
    assert alice.call("GET", "/api/jobs").json()["jobs"] == []


def test_anothers_job_is_the_same_as_none(stack: Stack, alice: Client) -> None:
    job = alice.submit(alice.upload(INVOICES))
    alice.wait(job)
    mallory = Client(stack, ("finance", "finance-leads"))
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/result"),
        ("HEAD", "/result"),
        ("GET", "/report"),
        ("GET", "/events"),
        ("POST", "/retry"),
    ):
        answers = [mallory.call(method, f"/api/jobs/{one}{path}") for one in (job, "0" * 32, "no-identifier")]
        assert {answer.status for answer in answers} == {404}
        assert len({answer.body for answer in answers}) == 1


def test_departments_are_listed_with_what_the_caller_may_see(alice: Client, dana: Client) -> None:
    (finance,) = alice.call("GET", "/api/departments").json()["departments"]
    assert (finance["name"], finance["display_name"], finance["available"]) == ("finance", "Finance", True)
    (vendors,) = finance["datasets"]
    assert vendors == {
        "name": "vendors",
        "key": "vendor_id",
        "aliases": ["vendor", "supplier_id"],
        "pattern": "^V-[0-9]{5}$",
        "columns": [{"name": name, "type": "string"} for name in ("vendor_id", "name", "country")],
        "rows": 20_000,
        "version": "v1",
    }
    names = [department["name"] for department in dana.call("GET", "/api/departments").json()["departments"]]
    assert names == ["finance", "hr", "legal"]
    assert Client(alice.stack, ()).call("GET", "/api/departments").json() == {"departments": []}


def test_a_dead_department_costs_its_own_columns_and_nobody_elses(
    dana: Client, invoices: str, finance: FakeDepartment
) -> None:
    finance.status = 503
    listed = dana.call("GET", "/api/departments").json()["departments"]
    assert [(one["name"], one["available"]) for one in listed] == [("finance", False), ("hr", True), ("legal", True)]
    assert "503" in listed[0]["error"]
    answer = dana.call("POST", "/api/jobs", document={"file": invoices})
    assert (answer.status, answer.slug) == (503, "department-unavailable")
    assert answer.json()["department"] == "finance"
    assert answer.headers["retry-after"]
    job = dana.submit(invoices, departments=["hr"])
    assert dana.wait(job)["status"] == "succeeded"
    finance.behave()
    wait_until(lambda: availability(dana) == {"finance": True, "hr": True, "legal": True})


def availability(client: Client) -> dict[str, bool]:
    listed = client.call("GET", "/api/departments").json()["departments"]
    return {department["name"]: department["available"] for department in listed}


def test_a_department_that_is_down_keeps_those_who_list_departments_waiting_once(
    dana: Client, alice: Client, finance: FakeDepartment
) -> None:
    finance.status = 503
    assert availability(dana) == {"finance": False, "hr": True, "legal": True}
    asked = finance.asked
    assert availability(dana) == {"finance": False, "hr": True, "legal": True}
    assert availability(alice) == {"finance": False}
    assert finance.asked == asked
    finance.behave()
    wait_until(lambda: availability(alice) == {"finance": True})


def test_a_department_that_refuses_one_caller_is_there_for_the_others(
    dana: Client, alice: Client, finance: FakeDepartment
) -> None:
    finance.status = 403
    assert availability(alice) == {"finance": False}
    finance.behave()
    assert availability(dana) == {"finance": True, "hr": True, "legal": True}


def test_a_department_without_data_is_no_obstacle_unless_it_is_asked_for(
    dana: Client, invoices: str, finance: FakeDepartment
) -> None:
    vendors = finance.datasets["vendors"]
    vendors.version = None
    try:
        job = dana.submit(invoices)
        for path in ("/api/jobs", "/api/preview"):
            answer = dana.call("POST", path, document={"file": invoices, "departments": ["finance"]})
            assert answer.slug == "department-unavailable"
            assert b"not been published" in answer.body
    finally:
        vendors.version = "v1"
    assert dana.wait(job)["departments"] == ["hr"]


def test_departments_are_called_with_a_token_for_them_and_on_behalf_of_the_caller(
    stack: Stack, dana: Client, invoices: str, finance: FakeDepartment
) -> None:
    dana.wait(dana.submit(invoices))
    assert {subject for _, _, subject in finance.calls} == {dana.subject}
    requests = stack.platform.cluster.token_requests
    assert {(one["account"], one["audiences"][0]) for one in requests} >= {
        ("application", "mcp-finance"),
        ("application-worker", "mcp-finance"),
        ("application-worker", "mcp-hr"),
    }


def test_a_mapping_that_no_item_of_the_table_could_hold_is_refused(dana: Client) -> None:
    # Under 200,000 characters, but 450,000 bytes: what counts are bytes.
    names = [f"{number:03}" + "\N{CJK UNIFIED IDEOGRAPH-8A9E}" * 1500 for number in range(100)]
    file = dana.upload(f"{','.join(names)}\n{','.join(['V-00001'] * 100)}\n".encode(), "wide.csv")
    answer = dana.call("POST", "/api/jobs", document={"file": file, "departments": ["finance"]})
    assert (answer.status, answer.slug) == (422, "mapping-too-large")

"""Options of a file over REST."""

from typing import Any

import pytest
from services.application.tests.support.client import Client

pytestmark = pytest.mark.slow


def test_options_are_shown_as_detected_used_by_the_job_and_bound_by_the_key(dana: Client) -> None:
    file = dana.upload("Bericht\n1|V-00007|ö\n2|V-99999|ü\n".encode("cp1252"), "x.csv")
    options = {"header_row": 2, "delimiter": "|", "encoding": "cp1252"}
    shown = dana.call("POST", "/api/preview", document={"file": file, "options": {"no_header": True}}).json()
    assert shown["columns"][0] == "column_1"
    detected = shown["detected"]
    assert (detected["format"], detected["encoding"]["value"], detected["header_row"]) == ("csv", "windows-1252", None)
    assert "delimiter" in detected["options"]
    assert "sheet" not in detected["options"]
    wanted = {"file": file, "options": options, "mapping": {"V-00007": ["finance.vendors"]}}
    shown = dana.call("POST", "/api/preview", document=wanted).json()
    assert shown["columns"][:3] == ["1", "V-00007", "ö"]
    assert shown["detected"]["header_row"] == {"value": 2, "reason": "you chose it"}
    key = {"idempotency-key": "options"}
    job = dana.call("POST", "/api/jobs", document=wanted, headers=key).json()
    assert {name: job["options"][name] for name in options} == {**options, "encoding": "windows-1252"}
    assert dana.call("POST", "/api/jobs", document=wanted, headers=key).json()["id"] == job["id"]
    other = {**wanted, "options": {**options, "raw": True}}
    assert dana.call("POST", "/api/jobs", document=other, headers=key).slug == "idempotency-key-reused"
    assert dana.wait(job["id"])["status"] == "succeeded"
    assert dana.result(job["id"]).decode("cp1252").splitlines()[::2] == ["Bericht", "2|V-99999|ü||"]


@pytest.mark.parametrize(
    ("options", "slug", "said"),
    [
        ({"header_row": 0}, "invalid-request", "0 is not valid; give the number of a row"),
        ({"encoding": "klingon"}, "invalid-request", "field 'options.encoding': 'klingon' is not valid"),
        ({"sheet": [1]}, "invalid-request", "field 'options.sheet': [1] is not valid; give the name of a sheet"),
        ({"sheet": "A"}, "option-not-for-format", "The option sheet is for XLSX; the file is CSV."),
    ],
)
def test_wrong_option_is_refused_for_job_and_preview_alike(
    dana: Client, options: dict[str, Any], slug: str, said: str
) -> None:
    invoices = dana.upload(b"vendor_id\nV-00007\n", "x.csv")
    for path in ("/api/jobs", "/api/preview"):
        answer = dana.call("POST", path, document={"file": invoices, "options": options})
        assert (answer.status, answer.slug) == (422, slug)
        assert said in answer.json()["detail"]

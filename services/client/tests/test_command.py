import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from services.client.tests.conftest import Command
from services.client.tests.fake_answers import PREVIEW
from services.client.tests.fake_service import FakeService, at_once, problem, serve
from starlette.responses import JSONResponse

from common.file_options import FileOptions
from fileproc.models import FILE_OPTIONS, Preview
from fileproc.tables import show_preview

ENRICHED = b"vendor_id,amount,ACME\nV-00001,10,ACME\nV-99999,20,ACME\n"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def test_enrich_saves_the_result_and_says_what_was_found(
    command: Command, service: FakeService, invoices: Path, out: Path
) -> None:
    service.streams = [[1000]]
    done = command("enrich", invoices, "-o", out)
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == ENRICHED
    assert done.stdout == ""
    assert "1,000 rows, 1,500 rows/s, 1:05 left" in done.stderr
    assert "vendor_id → finance.vendors: 2 of 3 found; different keys that are not there: 1" in done.stderr
    assert "fileproc review job-1" in done.stderr


def test_what_is_wished_for_reaches_the_service(
    command: Command, service: FakeService, invoices: Path, out: Path
) -> None:
    wishes = ["-d", "finance", "-d", "hr", "--map", "a=b=finance.vendors", "--map", "a=b=hr.employees"]
    done = command("enrich", invoices, "-o", out, *wishes, "--column", "finance.vendors=name=x")
    assert done.exit_code == 0, done.output
    assert service.wishes == [
        {
            "file": "file-1",
            "departments": ["finance", "hr"],
            "mapping": {"a=b": ["finance.vendors", "hr.employees"]},
            "columns": {"finance.vendors": ["name=x"]},
        }
    ]


def test_options_of_the_file_are_those_of_the_service(
    command: Command, service: FakeService, invoices: Path, out: Path
) -> None:
    values = {
        "sheet": "2", "header_row": 3, "delimiter": "tab", "quote": "none", "decimal": ",", "encoding": "utf-16",
        "add_only": ["finance.vendors.name", "vendor_id.finance.city"],
    }  # fmt: skip
    words = [
        word
        for name, value in values.items()
        for each in (value if isinstance(value, list) else [value])
        for word in (f"--{name.replace('_', '-')}", str(each))
    ]
    done = command("enrich", invoices, "-o", out, "--raw", *words)
    assert done.exit_code == 0, done.output
    assert command("enrich", invoices, "-o", out, "-f", "--no-header").exit_code == 0
    first, second = (wish["options"] for wish in service.wishes)
    assert (first, second) == ({**values, "raw": True}, {"no_header": True})
    assert {*first, *second} == set(FileOptions.model_fields) == set(FILE_OPTIONS)
    assert FileOptions(**first).given
    assert command("preview", invoices, "--header-row", "0").exit_code == 2


def test_enrich_for_machines_is_one_json_document(command: Command, invoices: Path, out: Path) -> None:
    done = command("enrich", invoices, "-o", out, "--json")
    document = json.loads(done.stdout)
    assert document["job"]["status"] == "succeeded"
    assert document["report"]["mappings"][0]["matched"] == 2
    assert (document["output"], document["size"]) == (str(out), len(ENRICHED))
    assert done.stderr == ""


def test_a_dash_is_standard_output_and_nothing_else_goes_there(command: Command, invoices: Path) -> None:
    done = command("enrich", invoices, "-o", "-")
    assert done.exit_code == 0
    assert done.stdout_bytes == ENRICHED


@pytest.mark.parametrize(("name", "start"), [("r.json", "{"), ("r.html", "Enrichment report as html"), ("r", "Enrich")])
def test_the_report_is_written_as_its_ending_says(
    command: Command, invoices: Path, out: Path, tmp_path: Path, name: str, start: str
) -> None:
    assert command("enrich", invoices, "-o", out, "--report", tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_text().startswith(start)


def test_out_is_never_overwritten_unless_forced_and_nothing_is_sent(
    command: Command, service: FakeService, invoices: Path, out: Path
) -> None:
    out.write_text("precious")
    done = command("enrich", invoices, "-o", out)
    assert done.exit_code == 2
    assert "is there already" in done.stderr
    assert "--force" in done.stderr
    assert (out.read_text(), service.requests) == ("precious", [])
    assert command("enrich", invoices, "-o", out, "--force").exit_code == 0
    assert out.read_bytes() == ENRICHED


@pytest.mark.parametrize(
    "wrong",
    [
        ["-o", "absent/out.csv"],
        ["-o", "."],
        ["-o", "/dev/null", "--force"],
        ["-o", "-", "--json"],
        ["-o", "out.csv", "--map", "vendor_id"],
        ["-o", "out.csv", "--map", "vendor_id=vendors"],
        ["-o", "out.csv", "--column", "finance.vendors"],
        ["-o", "out.csv", "--report", "out.csv"],
        [],
    ],
)
def test_wrong_usage_is_2_and_nothing_is_sent(
    command: Command, service: FakeService, invoices: Path, wrong: list[str]
) -> None:
    assert command("enrich", invoices, *wrong).exit_code == 2
    assert service.requests == []


@pytest.mark.parametrize("address", ["api.example.com", "https://", "https://api.example.com:port", "ftp://x"])
def test_an_address_that_is_none_is_wrong_usage(command: Command, address: str) -> None:
    done = command("jobs", env={"FILEPROC_URL": address})
    assert done.exit_code == 2
    assert "such as" in done.stderr


@pytest.mark.parametrize("token", ["two words", "line\nend", "naïve"])
def test_a_token_that_cannot_be_one_is_wrong_usage_and_not_shown(command: Command, token: str) -> None:
    done = command("jobs", env={"FILEPROC_TOKEN": token})
    assert done.exit_code == 2
    assert "FILEPROC_TOKEN" in done.stderr
    assert token not in done.output


def test_a_name_of_any_bytes_can_be_sent(command: Command, service: FakeService, invoices: Path, out: Path) -> None:
    odd = invoices.rename(invoices.with_name("r\udcffé\n.csv"))
    assert command("enrich", odd, "-o", out).exit_code == 0
    assert service.files["file-1"]
    assert service.names["file-1"] == "r\ufffdé\n.csv"


def test_a_token_that_has_ended_is_3(command: Command) -> None:
    done = command("jobs", env={"FILEPROC_TOKEN": "old"})
    assert done.exit_code == 3
    assert done.stderr == "error: The token has expired. Set FILEPROC_TOKEN to a new token.\n"


def test_a_missing_input_is_4(command: Command, out: Path) -> None:
    done = command("enrich", "absent.csv", "-o", out)
    assert done.exit_code == 4
    assert done.stderr == "error: absent.csv does not exist.\n"


def test_bad_input_is_4_with_the_place(command: Command, service: FakeService, invoices: Path, out: Path) -> None:
    service.fail("POST", "/api/jobs", lambda _: problem(422, "ragged-row", "It has 5 fields", row=17, expected="2"))
    done = command("enrich", invoices, "-o", out, "--json")
    assert done.exit_code == 4
    assert done.stderr == "error: Row 17: It has 5 fields. Expected: 2.\n"
    error = json.loads(done.stdout)["error"]
    assert (error["type"], error["row"]) == ("urn:fileproc:problem:ragged-row", 17)
    assert service.files == {}


def test_an_unclear_mapping_is_4_and_says_what_to_type(
    command: Command, service: FakeService, invoices: Path, out: Path
) -> None:
    question = {"column": "id", "candidates": ["finance.vendors", "hr.employees"], "detail": "Both fit."}
    service.fail("POST", "/api/jobs", lambda _: problem(422, "unclear-mapping", "Say which.", questions=[question]))
    done = command("enrich", invoices, "-o", out)
    assert done.exit_code == 4
    assert "--map 'id=hr.employees'" in done.stderr


@pytest.mark.parametrize(("retryable", "code"), [(True, 5), (False, 4)])
def test_a_failed_job_is_5_if_it_may_work_later_and_else_4(
    command: Command, service: FakeService, invoices: Path, out: Path, retryable: bool, code: int
) -> None:
    error = {"type": "urn:fileproc:problem:x", "title": "x", "detail": "Finance does not answer."}
    service.outcome = {"status": "failed", "retryable": retryable, "error": error}
    done = command("enrich", invoices, "-o", out, "--json")
    assert done.exit_code == code
    assert "Finance does not answer." in done.stderr
    assert json.loads(done.stdout)["error"]["job"] == "job-1"
    assert not out.exists()


def test_a_service_that_stays_away_is_6(command: Command, service: FakeService) -> None:
    service.fail("GET", "/api/departments", *[at_once(503)] * 10)
    done = command("departments")
    assert done.exit_code == 6
    assert done.stderr.count("Trying again") == 5


def test_a_disk_that_does_not_take_it_is_1(command: Command, invoices: Path) -> None:
    done = command("enrich", invoices, "-o", f"{'x' * 300}.csv")
    assert done.exit_code == 1
    assert "File name too long" in done.stderr


def test_a_result_that_could_not_be_written_is_still_there(command: Command, invoices: Path) -> None:
    # The name is as long as names may be; while the file is not whole, it has a longer one.
    done = command("enrich", invoices, "-o", f"{'x' * 251}.csv")
    assert done.exit_code == 1
    assert "fileproc result job-1 -o OUT" in done.stderr


def test_retry_takes_a_failed_job_up_again(command: Command, service: FakeService, invoices: Path, out: Path) -> None:
    service.outcome = {"status": "failed", "retryable": True}
    command("enrich", invoices, "-o", out)
    service.outcome = {"status": "succeeded"}
    assert command("retry", "job-1", "-o", out).exit_code == 0
    assert out.read_bytes() == ENRICHED
    again = command("retry", "job-1")
    assert again.exit_code == 4
    assert "nothing to try again" in again.stderr


def test_retry_without_out_does_not_wait(command: Command, service: FakeService, invoices: Path, out: Path) -> None:
    service.outcome = {"status": "failed", "retryable": True}
    command("enrich", invoices, "-o", out)
    done = command("retry", "job-1", "--json")
    assert json.loads(done.stdout)["status"] == "queued"
    assert not service.asked("GET", "/api/jobs/.*/events")[1:]


def test_result_fetches_what_was_made_before(command: Command, invoices: Path, out: Path, tmp_path: Path) -> None:
    command("enrich", invoices, "-o", out)
    assert command("result", "job-1", "-o", tmp_path / "again.csv").exit_code == 0
    assert (tmp_path / "again.csv").read_bytes() == ENRICHED


def test_jobs_lists_as_many_as_asked_for(command: Command, invoices: Path, service: FakeService) -> None:
    for number in range(3):
        command("enrich", invoices, "-o", invoices.with_name(f"{number}.csv"))
    one = command("jobs", "--limit", "1")
    assert "job-3" in one.stdout
    assert "2 of 3" in one.stdout
    assert "job-2" not in one.stdout
    assert "There are more" in one.stdout
    page = json.loads(command("jobs", "--json", "--limit", "100").stdout)
    assert [job["id"] for job in page["jobs"]] == ["job-3", "job-2", "job-1"]
    assert page["next"] is None


def test_files_lists_files_and_unfinished_uploads_and_delete_removes_both(
    command: Command, invoices: Path, service: FakeService, out: Path
) -> None:
    assert command("files").stdout == "You have no files.\n"
    assert command("enrich", invoices, "-o", out).exit_code == 0
    service.parts["upload-9"], service.names["upload-9"] = {}, "large.csv"
    shown = command("files").stdout
    for word in ("file-1", invoices.name, "stored", "upload-9", "large.csv", "uploading"):
        assert word in shown
    listed = json.loads(command("files", "--json").stdout)
    assert [each["id"] for each in listed["files"]] == ["file-1"]
    assert [each["id"] for each in listed["uploads"]] == ["upload-9"]
    assert json.loads(command("delete", "file-1", "upload-9", "--json").stdout) == {"deleted": ["file-1", "upload-9"]}
    assert (service.files, service.parts) == ({}, {})
    again = command("delete", "file-1")
    assert again.exit_code == 4
    assert "There is no such file" in again.stderr


def test_job_shows_what_became_of_it(command: Command, service: FakeService, invoices: Path, out: Path) -> None:
    error = {"type": "urn:fileproc:problem:x", "title": "x", "detail": "Finance does not answer."}
    service.outcome = {"status": "failed", "retryable": True, "error": error}
    command("enrich", invoices, "-o", out)
    shown = command("job", "job-1").stdout
    assert "Finance does not answer." in shown
    assert "fileproc retry job-1 -o OUT" in shown
    assert json.loads(command("job", "job-1", "--json").stdout)["error"]["detail"] == "Finance does not answer."
    assert command("job", "job-7").exit_code == 4


def test_cancel_stops_a_job_and_says_if_it_was_too_late(
    command: Command, service: FakeService, invoices: Path, out: Path
) -> None:
    service.outcome = {"status": "queued"}
    service.fail("GET", "/api/jobs/job-1", *[at_once(503)] * 6)
    left = command("enrich", invoices, "-o", out, "--json")
    assert left.exit_code == 6
    assert json.loads(left.stdout)["error"]["job"] == "job-1"
    assert json.loads(command("cancel", "job-1", "--json").stdout)["status"] == "cancelled"
    assert command("cancel", "job-1").exit_code == 4


def test_departments_shows_what_may_be_used(command: Command) -> None:
    shown = command("departments").stdout
    assert "finance.vendors" in shown
    assert "20,000" in shown
    assert "not available: no answer" in shown
    assert json.loads(command("departments", "--json").stdout)["departments"][0]["name"] == "finance"


def test_report_is_for_people_or_machines(command: Command, invoices: Path, out: Path) -> None:
    command("enrich", invoices, "-o", out)
    assert command("report", "job-1").stdout == "Enrichment report as text: 2 of 3\n"
    assert command("report", "job-1", "--format", "html").stdout.startswith("Enrichment report as html")
    assert json.loads(command("report", "job-1", "--json").stdout)["rows"] == 3


def test_preview_shows_evidence_and_rows_and_leaves_no_file(
    command: Command, service: FakeService, invoices: Path
) -> None:
    shown = command("preview", invoices).stdout
    assert "vendor_id → finance.vendors  1 of 2 found" in shown
    assert "because 2 of 2 values look like V-00000" in shown
    assert "not found: V-9, perhaps V-00009: --approve leading_zeros" in shown
    assert "Müller GmbH" in shown
    assert "Not keys: amount" in shown
    assert "--encoding windows-1252  a guess" in shown
    assert "The result is a new .xlsx file." in shown
    assert "--delimiter ;" in shown
    assert "--sheet 'Data'  gets columns, header in row 3" in shown
    assert service.files == {}
    assert json.loads(command("preview", invoices, "--json").stdout) == PREVIEW


def test_where_not_all_fits_each_key_shows_what_it_adds_first() -> None:
    columns = ["a", "b", "c", *(f"{key}.finance.{name}" for key in "ab" for name in ("x" * 15, "y" * 15))]
    mapping = [{**PREVIEW["mapping"][0], "column": key} for key in "ab"]
    wide = {**PREVIEW, "columns": columns, "rows": [["1"] * 7], "mapping": mapping}
    with StringIO() as file:
        show_preview(Console(file=file, width=70), Preview.model_validate(wide))
        shown = file.getvalue()
    assert re.search(r"a +b +a\.finance\.x+ +b\.finance\.x+ *\n", shown)
    assert "3 more columns do not fit" in shown


def test_a_cell_cannot_command_the_terminal(command: Command, service: FakeService, invoices: Path) -> None:
    evil = {**PREVIEW, "rows": [["V-00001", "\x1b]0;owned\x07[red]x[/red]", "a\r\nb"]]}
    service.fail("POST", "/api/preview", lambda _: JSONResponse(evil))
    shown = command("preview", invoices).stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "[red]x[/red]" in shown


def test_a_cut_download_does_not_show(command: Command, service: FakeService, invoices: Path, out: Path) -> None:
    service.fail("GET", "/api/jobs/.*/result", lambda request: serve(request, ENRICHED, cut=10))
    assert command("enrich", invoices, "-o", out).exit_code == 0
    assert out.read_bytes() == ENRICHED

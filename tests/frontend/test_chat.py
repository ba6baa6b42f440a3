"""The chat, Langflow's Playground with the flow "Enrich a file": attach, send, read, download."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.frontend.expected import MEMOS, SAMPLES, TABLES, gets_columns, is_right
from tests.frontend.gate import LONG_ROWS, long_file
from tests.frontend.person import ANSWER, COMPOSER, INPUT, People, Person
from tests.frontend.site import Site
from tests.helpers.data import DataSet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NOT_MINE = re.compile("data set that you may use. .*ask its owners", re.DOTALL)


@pytest.mark.parametrize("user", ["alice", "frank", "bob", "carol", "dana"])
def test_each_user_gets_samples_back_in_the_chat_cell_by_cell_or_a_polite_refusal(
    people: People, site_data: dict[str, DataSet], user: str
) -> None:
    """dana every sample; others one that is theirs and one that is not: they get every sample from the first page."""
    person = people(user)
    person.open_chat()
    own = [sample for sample in (*TABLES, *MEMOS) if gets_columns(sample, user, site_data)]
    others = [sample for sample in (*TABLES, *MEMOS) if sample not in own]
    for sample in own[: None if user == "dana" else 1]:
        is_right(sample, user, person.enrich_in_chat(SAMPLES / sample), site_data)
    for sample in others[:1]:
        person.attach(SAMPLES / sample)
        person.write()
        person.is_told(NOT_MINE)
    person.look("chat after the samples")


def test_the_chat_says_what_to_do(person: Person) -> None:
    shown = person.page.get_by_role("log").evaluate("log => getComputedStyle(log, '::before').content")
    assert "Attach a file with vendor, employee or contract numbers, and send it." in shown
    expect(person.page.locator(INPUT)).to_have_attribute("placeholder", re.compile("Attach a file"))
    button = person.page.get_by_test_id(COMPOSER).get_by_role("button", name=re.compile("^Attach a file"))
    for kind in ("CSV", "XLSX", "JSON Lines", "Parquet", "PDF", "DOCX"):
        expect(button).to_have_accessible_name(re.compile(rf"\b{kind}\b"))
    person.look("empty chat")
    person.write("hello")
    person.is_told("Attach a file to enrich.")
    person.look("without a file")


def test_the_chat_shows_the_first_rows_progress_and_the_report_as_tables(
    person: Person, site: Site, tmp_path: Path
) -> None:
    person.attach(long_file(tmp_path, "many.csv"))
    person.look("attached")
    page = person.page
    runs = person.requests("POST", "/api/v2/workflows")
    asked = person.requests("GET", "/api/v2/workflows/")
    with site.gate.shut():
        person.write()
        expect(page.get_by_text(re.compile("Working: [1-9][0-9]? %, [1-9][0-9,]+ rows so far"))).to_be_visible()
        expect(page.get_by_role("columnheader", name="vendor_id.finance.name")).to_be_visible()
        expect(page.get_by_role("link", name="Your files")).to_be_visible()
        person.look("at work")
    person.is_answered("many.csv")
    # All that happens comes in one answer: no other replica knows of the run.
    assert len(runs) == 1
    assert not [url for url in asked if "/events" in url]
    expect(page.get_by_text(f"Done: {LONG_ROWS:,} rows.")).to_be_visible()
    expect(page.get_by_text("Workflow warning")).to_have_count(0)
    expect(page.get_by_role("row", name=re.compile(r"vendor_id finance.vendors 74,000 4,001 2,000"))).to_be_visible()
    with page.expect_popup() as report:
        page.get_by_role("link", name="The whole report").click()
    expect(report.value.get_by_role("heading", name=re.compile("many.csv"))).to_be_visible()
    person.look("answer")


def test_who_may_use_no_department_is_told_whom_to_ask_in_the_chat(people: People) -> None:
    person = people("eve")
    person.open_chat()
    person.attach(SAMPLES / "invoices.csv")
    person.write()
    person.is_told("None of your groups has access to a department. Ask the department")
    person.look("no department")


def test_a_kind_of_file_that_nobody_can_enrich_is_refused_with_those_that_are_taken(
    person: Person, tmp_path: Path
) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n")
    person.page.get_by_test_id(COMPOSER).locator("input[type=file]").set_input_files(file)
    expect(person.page.get_by_text("This kind of file cannot be enriched.")).to_be_visible()
    expect(
        person.page.get_by_text("csv, tsv, xlsx, xls, xlsb, ods, json, jsonl, parquet, txt, md, pdf, docx")
    ).to_be_visible()
    person.look("a picture")


def test_a_broken_file_is_a_sentence_in_the_chat(person: Person, tmp_path: Path) -> None:
    file = tmp_path / "broken.parquet"
    file.write_bytes(b"PAR1 and no more")
    person.attach(file)
    person.write()
    person.is_told("The Parquet file is damaged or cut off")
    assert not re.search(r"Traceback|Exception|\{", person.page.get_by_test_id(ANSWER).last.inner_text())
    person.look("broken file")


def test_a_reload_of_the_chat_in_the_middle_leaves_the_work_going_on(
    people: People, site: Site, tmp_path: Path
) -> None:
    person = people("alice")
    person.open_chat()
    person.attach(long_file(tmp_path, "left.csv"))
    with site.gate.shut() as held:
        person.write()
        expect(person.page.get_by_text("the work goes on")).to_be_visible()
        held()
        person.page.reload()
        person.see_chat()
        person.look("after the reload")
        person.page.goto(person.url)
        entry = person.page.get_by_role("listitem").filter(has_text="left.csv").first
        expect(entry.get_by_role("progressbar")).to_be_visible()
    expect(entry.get_by_role("link", name="Download left.enriched.csv")).to_be_visible()


def test_two_users_chats_know_nothing_of_each_other(people: People) -> None:
    alice, bob = people("alice"), people("bob")
    for person, sample in ((alice, "invoices.csv"), (bob, "employees.jsonl")):
        person.open_chat()
        person.attach(SAMPLES / sample)
        person.write()
    alice.is_answered("invoices.csv")
    bob.is_answered("employees.jsonl")
    assert "employees.jsonl" not in alice.page.inner_text("body")
    assert "invoices.csv" not in bob.page.inner_text("body")
    flow = re.search(r"/flow/([0-9a-f-]+)", alice.page.url)
    assert flow
    assert bob.page.request.get(f"{bob.url}/api/v1/flows/{flow[1]}").status == 404
    assert flow[1] not in bob.page.request.get(f"{bob.url}/api/v1/flows/?get_all=true").text()
    assert not bob.page.request.get(f"{bob.url}/api/v1/monitor/messages?flow_id={flow[1]}").json()
    link = alice.page.get_by_role("link", name=re.compile("^Download invoices")).get_attribute("href")
    assert bob.page.request.get(f"{bob.url}{link}").status == 404


def test_the_time_from_click_to_enriched_file_in_the_chat_is_printed(
    person: Person, report_figure: Callable[[str], None]
) -> None:
    begin = time.monotonic()
    person.enrich_in_chat(SAMPLES / "invoices.csv")
    seconds = time.monotonic() - begin
    report_figure(f"from click to the enriched sample CSV on disk, in the chat: {seconds:.1f} s")
    assert seconds < 120

"""The first page, in a real browser: a file in, the enriched one back, for every demo user and every sample."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import expect
from tests.frontend.expected import MEMOS, SAMPLES, TABLES, gets_columns, is_right
from tests.frontend.gate import LONG_ROWS, long_file
from tests.frontend.person import People, Person
from tests.frontend.site import Site
from tests.helpers.data import DataSet
from tests.helpers.files import read_table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NOTHING_FITS = re.compile("fit a data set that you may use")


@pytest.mark.parametrize("user", ["alice", "frank", "bob", "carol", "dana"])
def test_each_user_gets_each_sample_back_cell_by_cell(people: People, site_data: dict[str, DataSet], user: str) -> None:
    person = people(user)
    for sample in (*TABLES, *MEMOS):
        if gets_columns(sample, user, site_data):
            is_right(sample, user, person.enrich(SAMPLES / sample), site_data)
        else:
            person.choose(SAMPLES / sample)
            expect(person.page.get_by_role("alert")).to_contain_text(NOTHING_FITS)
            person.forget_refusals()
    person.look("after all samples")


def test_the_time_from_click_to_enriched_file_is_printed(people: People, report_figure: Callable[[str], None]) -> None:
    person = people("alice")
    begin = time.monotonic()
    person.enrich(SAMPLES / "invoices.csv")
    seconds = time.monotonic() - begin
    report_figure(f"from click to the enriched sample CSV on disk: {seconds:.1f} s")
    assert seconds < 120


def test_it_says_what_to_do_and_what_one_may_use(people: People) -> None:
    person = people("dana")
    expect(person.page).to_have_title("File Processing")
    expect(person.page.get_by_role("heading", level=1)).to_contain_text("Add department data")
    for name in ("Finance", "Human Resources", "Legal"):
        expect(person.page.get_by_text(name, exact=True)).to_be_visible()
    expect(person.page.get_by_text("dana@example.com")).to_be_visible()
    person.look("first page")


def test_progress_preview_and_report_are_shown(people: People, site: Site, tmp_path: Path) -> None:
    person = people("alice")
    with site.gate.shut():
        person.choose(long_file(tmp_path, "many.csv"))
        expect(person.page.get_by_role("progressbar", name="Enriching many.csv")).to_be_visible()
        expect(person.page.get_by_text(re.compile("Enriching many.csv: [1-9][0-9,]+ rows so far"))).to_be_visible()
        expect(person.page.get_by_role("region", name=re.compile("The first rows"))).to_be_visible()
        entry = person.page.get_by_role("listitem").filter(has_text="many.csv").first
        expect(entry.get_by_text(re.compile("Processing: [1-9][0-9,]+ rows"))).to_be_visible()
        person.look("at work")
    expect(person.page.get_by_role("heading", name="many.csv is ready")).to_be_visible()
    found = person.page.get_by_role("region", name="What was found")
    expect(found.get_by_role("row", name=re.compile(r"vendor_id finance.vendors 74,000 4,001"))).to_be_visible()
    person.look("ready")


def test_files_are_deleted_and_unfinished_uploads_aborted_from_the_list(people: People, site: Site) -> None:
    with httpx2.Client(base_url=site.api, headers={"Authorization": f"Bearer {site.token('frank')}"}) as frank:
        for file in frank.get("/api/files?limit=100").json()["files"]:
            frank.delete(f"/api/files/{file['id']}").raise_for_status()
        frank.post("/api/uploads", json={"name": "large.csv", "size": 20 << 30}).raise_for_status()
        person = people("frank")
        person.enrich(SAMPLES / "invoices.csv")
        delete_and_abort(person)
        for kind in ("files", "uploads", "jobs"):
            assert frank.get(f"/api/{kind}").json()[kind] == []


def delete_and_abort(person: Person) -> None:
    """Everything in the list of somebody who has enriched invoices.csv, and has begun to upload large.csv."""
    items = person.page.get_by_role("listitem")
    expect(items.filter(has_text="large.csv")).to_contain_text("upload not complete")
    person.page.on("dialog", lambda dialog: dialog.accept())
    person.page.get_by_role("button", name="Abort large.csv").click()
    expect(items.filter(has_text="large.csv")).to_have_count(0)
    person.page.get_by_role("button", name="Delete invoices.csv").first.click()
    expect(items.filter(has_text="invoices.csv")).to_have_count(0)


def test_a_user_of_another_department_is_refused_politely(people: People) -> None:
    person = people("carol")
    person.choose(SAMPLES / "employees.jsonl")
    expect(person.page.get_by_role("alert")).to_contain_text(NOTHING_FITS)
    person.look("another department")
    person.forget_refusals()


def test_a_user_without_any_department_is_told_whom_to_ask(people: People) -> None:
    person = people("eve")
    expect(person.page.get_by_text("You have no access to a department yet")).to_be_visible()
    expect(person.page.get_by_label("Choose a file")).to_be_disabled()
    person.look("no department")


def test_a_broken_file_is_explained_in_a_sentence(people: People, tmp_path: Path) -> None:
    person = people("alice")
    file = tmp_path / "broken.xlsx"
    file.write_bytes((SAMPLES / "invoices.xlsx").read_bytes()[:3000])
    person.choose(file)
    alert = person.page.get_by_role("alert")
    expect(alert).to_contain_text("broken.xlsx")
    assert not re.search(r"Traceback|Exception|\{", alert.inner_text())
    person.look("broken file")
    person.forget_refusals()


def test_a_reload_in_the_middle_of_a_job_loses_nothing(people: People, site: Site, tmp_path: Path) -> None:
    person = people("alice")
    entry = person.page.get_by_role("listitem").filter(has_text="reloaded.csv").first
    with site.gate.shut() as held:
        person.choose(long_file(tmp_path, "reloaded.csv"))
        expect(person.page.get_by_role("progressbar", name="Enriching reloaded.csv")).to_be_visible()
        expect(entry).to_be_visible()
        held()
        person.page.reload()
        expect(entry.get_by_role("progressbar")).to_be_visible()
        expect(entry.get_by_text(re.compile("Processing: [1-9][0-9,]+ rows"))).to_be_visible()
        person.look("after the reload")
    expect(entry.get_by_role("link", name="Download reloaded.enriched.csv")).to_be_visible()
    assert len(read_table("csv", person.download("Download reloaded.enriched.csv").read_bytes())) == LONG_ROWS


def test_two_users_at_once_never_see_each_others_files(people: People, site_data: dict[str, DataSet]) -> None:
    alice, bob = people("alice"), people("bob")
    alice.choose(SAMPLES / "invoices.csv")
    bob.choose(SAMPLES / "employees.jsonl")
    expect(alice.page.get_by_role("heading", name="invoices.csv is ready")).to_be_visible()
    expect(bob.page.get_by_role("heading", name="employees.jsonl is ready")).to_be_visible()
    link = alice.page.get_by_role("link", name=re.compile("^Download invoices")).first.get_attribute("href")
    expect(bob.page.get_by_role("listitem").filter(has_text="employees.jsonl").first).to_be_visible()
    assert bob.page.request.get(f"{bob.url}{link}").status == 404
    is_right("invoices.csv", "alice", alice.download(re.compile("^Download invoices")), site_data)
    is_right("employees.jsonl", "bob", bob.download(re.compile("^Download employees")), site_data)

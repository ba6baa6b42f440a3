"""Keys that were not found, on the first page: a cause is approved or a key written, and the file comes back."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.frontend.person import People, Person
from tests.helpers.data import DataSet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KEYS = ("V-00001", "V-00002", "V-00003", "V-00004", "V-5", "v-00006", "nobody")
USED = ("", "", "", "", "V-00005 (leading zeros lost)", "V-00006 (capital and small letters)", "")


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """A table of which three keys are not written as Finance writes them."""
    file = tmp_path / "messy.csv"
    file.write_text("\n".join(["vendor_id", *KEYS, ""]))
    return file


def ready(person: Person, file: Path) -> None:
    person.choose(file)
    expect(person.page.get_by_role("heading", name=f"{file.name} is ready")).to_be_focused()


def repaired(person: Person, file: Path) -> list[dict[str, str]]:
    """The rows of the file once all of it was approved."""
    cells = person.page.get_by_role("row", name=re.compile("finance.vendors 6 1"))
    expect(cells).to_be_visible()
    with person.download(re.compile(f"^Download {file.stem}")).open(newline="") as content:
        return list(csv.DictReader(content))


def is_right(rows: list[dict[str, str]], vendors: DataSet) -> None:
    assert [row["vendor_id"] for row in rows] == list(KEYS)
    assert [row["vendor_id.finance.matched_key"] for row in rows] == list(USED)
    names = [row["vendor_id.finance.name"] for row in rows]
    assert names == [*(str(vendors.rows[f"V-{number:05}"]["name"]) for number in range(1, 7)), ""]


def test_causes_are_approved_by_mouse(people: People, messy: Path, site_data: dict[str, DataSet]) -> None:
    person = people("alice")
    ready(person, messy)
    page = person.page
    expect(page.get_by_role("heading", name="3 keys were not found")).to_be_visible()
    boxes = page.get_by_role("checkbox")
    assert [box.is_checked() for box in boxes.all()] == [False, False], "nothing is applied unasked"
    page.get_by_role("button", name="Enrich with these keys").click()
    expect(page.get_by_role("alert")).to_contain_text("Tick a cause")
    page.get_by_label("Leading zeros lost: 1, such as V-5 for V-00005").check()
    page.get_by_label("Capital and small letters: 1, such as v-00006 for V-00006").check()
    person.look("review")
    page.get_by_role("button", name="Enrich with these keys").click()
    is_right(repaired(person, messy), site_data["finance.vendors"])
    expect(page.get_by_role("heading", name="1 key was not found")).to_be_visible()


def test_a_key_is_written_by_keyboard(people: People, messy: Path, site_data: dict[str, DataSet]) -> None:
    person = people("alice")
    ready(person, messy)
    page = person.page
    page.get_by_text("Key by key").press("Enter")
    page.get_by_label("Key to use for V-5").press_sequentially("V-00005")
    page.keyboard.press("Tab")
    page.keyboard.type("V-00006")
    page.keyboard.press("Enter")
    rows = repaired(person, messy)
    used = [row["vendor_id.finance.matched_key"] for row in rows]
    assert used == ["", "", "", "", "V-00005 (given by hand)", "V-00006 (given by hand)", ""]


def test_a_job_of_before_is_reviewed_from_the_list(people: People, messy: Path) -> None:
    person = people("alice")
    ready(person, messy)
    person.page.reload()
    person.page.get_by_role("button", name="Review messy.csv").first.click()
    heading = person.page.get_by_role("heading", name="3 keys were not found")
    expect(heading).to_be_visible()
    job = person.page.locator("[data-job]").first.get_attribute("data-job")
    person.page.goto(f"{person.url}/?review={job}")
    expect(heading).to_be_visible()


def test_10_000_keys_are_shown_a_hundred_at_a_time(people: People, tmp_path: Path) -> None:
    person = people("alice")
    file = tmp_path / "many.csv"
    known = [f"V-{number:05}" for number in range(1, 100)]
    file.write_text("\n".join(["vendor_id", *known, *(f"V-{number}" for number in range(60_000, 70_000)), ""]))
    ready(person, file)
    page = person.page
    expect(page.get_by_role("heading", name="10,000 keys were not found")).to_be_visible()
    page.get_by_text("Key by key").click()
    rows = page.locator(".review tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="Show 100 more of 9,900").click()
    expect(rows).to_have_count(200)
    expect(page.get_by_label("Key to use for V-60100")).to_be_focused()

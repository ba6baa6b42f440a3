"""Several files at once on the first page: each says how it is doing, and what needs a person waits for one."""

from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.frontend.person import People

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_several_files_are_enriched_each_with_its_state(people: People, tmp_path: Path) -> None:
    person = people("alice")
    page = person.page
    contents = {
        "one.csv": "vendor_id\nV-00001\nnobody\n",
        "empty.csv": "",
        "unclear.csv": "x\nV-00001\nV-00002\na\nb\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    page.get_by_label("Choose a file").set_input_files([tmp_path / name for name in contents])
    expect(page.get_by_role("heading", name="3 files")).to_be_visible()
    batch = page.locator(".batch li")
    expect(batch.filter(has_text="one.csv")).to_contain_text("Done: 1 of 2 found")
    expect(page.locator("#files li").filter(has_text="one.csv")).to_contain_text("Done: 1 of 2 found")
    expect(batch.filter(has_text="empty.csv").locator(".failed")).to_contain_text("The file has no content.")
    person.look("three files")
    page.get_by_role("button", name="Decide about unclear.csv").click()
    expect(page.get_by_role("heading", name="What do these columns hold?")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="unclear.csv is ready")).to_be_focused()
    person.forget_refusals()

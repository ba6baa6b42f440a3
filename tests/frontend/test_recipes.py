"""Recipes on the first page: choices are kept after a job, chosen before the next file, and said not to fit."""

from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.frontend.person import People
from tests.frontend.test_accessibility import serious

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_reviewed_job_is_kept_as_a_recipe_and_used_for_the_next_file(people: People, tmp_path: Path) -> None:
    person = people("alice")
    page = person.page
    march, april, other = (tmp_path / f"{name}.csv" for name in ("march", "april", "other"))
    march.write_text("vendor_id\nV-00001\nV-5\n")
    april.write_text("vendor_id\nV-00002\nV-6\n")
    other.write_text("supplier\nV-00003\n")
    recipe = page.get_by_label("Recipe", exact=True)
    person.choose(march)
    page.get_by_label("Leading zeros lost").check()
    page.get_by_role("button", name="Enrich with these keys").click()
    expect(page.get_by_role("row", name="vendor_id finance.vendors 2 0")).to_be_visible()
    page.get_by_label("Keep these choices as a recipe").fill("month-end")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Recipe month-end is kept, as version 1.")).to_be_visible()

    recipe.select_option("month-end")
    rows = person.enrich(april).read_text().splitlines()
    assert "V-00006 (leading zeros lost)" in rows[2]

    person.choose(other)
    expect(page.get_by_role("heading", name="The recipe does not fit this file")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("The file has no column 'vendor_id'.")
    assert not serious(page)
    person.look("does not fit")
    page.get_by_role("button", name="Continue without the recipe").click()
    expect(page.get_by_role("heading", name="other.csv is ready")).to_be_visible()
    expect(recipe).to_have_value("")
    person.forget_refusals()

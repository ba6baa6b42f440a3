"""With a keyboard alone, and by axe: our pages have no serious finding."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from tests.frontend.expected import SAMPLES
from tests.frontend.person import ANSWER, COMPOSER, INPUT, People

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


def serious(page: Page, part: str = "html") -> list[dict[str, Any]]:
    """What axe finds that keeps somebody from using a part of the page (a CSS selector)."""
    found = Axe().run(page, context=part, options=RULES).response["violations"]
    return [
        {"rule": each["id"], "where": [node["html"][:200] for node in each["nodes"]]}
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def tab_to(page: Page, condition: str, most: int = 30) -> None:
    """Press Tab until the focus is where `condition` says."""
    for _ in range(most):
        if page.evaluate(condition):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} times Tab do not lead to where {condition}")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_state_of_the_first_page_has_a_serious_finding(people: People, colours: str) -> None:
    person = people("alice", sign_in=False)
    person.page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
    person.page.goto(person.url)
    assert not serious(person.page), "the login"
    person.sign_in()
    assert not serious(person.page), "the first page"
    person.enrich(SAMPLES / "invoices.csv")
    assert not serious(person.page), "a file that is ready"
    person.page.get_by_text("Key by key").click()
    assert not serious(person.page), "keys that were not found"
    person.look("ready")
    person.choose(SAMPLES / "memo.pdf")
    expect(person.page.get_by_role("heading", name="memo.pdf is ready")).to_be_visible()
    assert not serious(person.page), "a document"


def test_no_finding_on_a_small_screen(people: People) -> None:
    person = people("dana")
    person.page.set_viewport_size({"width": 390, "height": 844})
    person.enrich(SAMPLES / "invoices.csv")
    assert not serious(person.page)
    width = person.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "nothing is wider than the screen"
    person.look("small screen")


def test_the_refusals_have_no_finding(people: People) -> None:
    person = people("eve")
    expect(person.page.get_by_text("You have no access to a department yet")).to_be_visible()
    assert not serious(person.page)


def test_a_file_is_enriched_and_downloaded_by_keyboard_alone(people: People) -> None:
    person = people("alice")
    page = person.page
    page.locator("body").press("Tab")
    # What opens before it is expected is not seen: the browser is told to hand it over, which takes a moment.
    with page.expect_file_chooser() as chooser:
        tab_to(page, "document.activeElement.id === 'file'")
        page.keyboard.press("Enter")
    chooser.value.set_files(SAMPLES / "invoices.csv")
    heading = page.get_by_role("heading", name="invoices.csv is ready")
    expect(heading).to_be_focused()
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "invoices.enriched.csv"


def test_a_file_is_enriched_in_the_chat_by_keyboard_alone(people: People) -> None:
    person = people("alice")
    page = person.page
    tab_to(page, "document.activeElement.textContent === 'Chat'")
    page.keyboard.press("Enter")
    person.see_chat()
    page.wait_for_load_state("networkidle")  # while its parts arrive, the page takes the focus again
    expect(page.locator(INPUT)).to_be_focused()
    with page.expect_file_chooser() as chooser:
        tab_to(page, "document.activeElement.ariaLabel?.startsWith('Attach a file')")
        page.keyboard.press("Enter")
    chooser.value.set_files(SAMPLES / "memo.pdf")
    person.sees_attached("memo.pdf")
    tab_to(page, "document.activeElement.ariaLabel === 'Send'")
    page.keyboard.press("Enter")
    person.is_answered("memo.pdf")
    for part in (ANSWER, COMPOSER):
        assert not serious(page, f"[data-testid={part}]"), "what we put into Langflow's page"
    tab_to(page, "document.activeElement.textContent === 'Download memo.enriched.pdf'", most=60)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "memo.enriched.pdf"

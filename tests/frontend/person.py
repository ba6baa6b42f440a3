"""Somebody in front of a browser: does what a person does, by what a person sees."""

import re
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from local import names

SECONDS = 1000
PATIENCE = 60 * SECONDS
INPUT = '[data-testid="input-chat-playground"]'
REFUSAL = re.compile(r"status of 4[0-9][0-9] .*/gateway/api/")


class Person:
    """A demo user, their browser's page, and what its console complained of."""

    def __init__(self, user: str, url: str, page: Page, screenshots: Path) -> None:
        self.user, self.url, self.page = user, url, page
        self.errors: list[str] = []
        self._screenshots = screenshots
        page.set_default_timeout(PATIENCE)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(f"{user}: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{self.user}: {message.text} ({message.location.get('url')})")

    def sign_in(self) -> None:
        """Open the page, and sign in where it leads to."""
        self.page.goto(self.url)
        self.page.get_by_label("Username").fill(self.user)
        self.page.get_by_label("Password").fill(names.PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_label("Choose a file")).to_be_visible(timeout=PATIENCE)
        self.page.wait_for_load_state("networkidle")

    def forget_refusals(self) -> None:
        """A browser logs each answer that is a refusal; here the service was meant to refuse something, and did."""
        others = [error for error in self.errors if not REFUSAL.search(error)]
        assert len(others) < len(self.errors)
        self.errors = others

    def look(self, name: str) -> None:
        """Keep a picture of what is on the screen."""
        self._screenshots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._screenshots / f"{name}.png", full_page=True)

    def choose(self, file: Path) -> None:
        """Choose a file on the first page."""
        self.page.get_by_label("Choose a file").set_input_files(file)

    def enrich(self, file: Path) -> Path:
        """Give a file on the first page, and download what comes back."""
        self.choose(file)
        expect(self.page.get_by_role("heading", name=f"{file.name} is ready")).to_be_visible(timeout=PATIENCE)
        return self.download(re.compile(f"^Download {re.escape(file.stem)}"))

    def download(self, name: str | re.Pattern[str]) -> Path:
        """Click a link, and get the file behind it."""
        with self.page.expect_download() as download:
            self.page.get_by_role("link", name=name).first.click()
        return Path(download.value.path())


class People:
    """Demo users, each in front of a screen of their own."""

    def __init__(self, url: str, browser: Browser, screenshots: Path) -> None:
        self._url, self._browser, self._screenshots = url, browser, screenshots
        self._opened: list[Person] = []

    def __call__(self, user: str, *, sign_in: bool = True) -> Person:
        """Somebody, signed in, on the first page."""
        context = self._browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
        person = Person(user, self._url, context.new_page(), self._screenshots)
        self._opened.append(person)
        if sign_in:
            person.sign_in()
        return person

    def close(self) -> None:
        """Close the browsers; see that nothing went wrong unseen."""
        for person in self._opened:
            person.page.context.close()
        errors = [error for person in self._opened for error in person.errors]
        assert not errors, errors

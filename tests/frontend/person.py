"""Somebody in front of a browser: does what a person does, by what a person sees.

For any page, of one replica or of several: it is told an address and a browser, and nothing of what is behind.

    people = People(stack.app, Desks(browser), folder_of_screenshots)
    dana = people("dana")                      # signed in, on the first page
    result = dana.enrich(file)                 # there: a file in, the enriched one on disk
    dana.open_chat()                           # Langflow's Playground with the flow "Enrich a file", a new chat
    result = dana.enrich_in_chat(file)         # the same there
    people.close()                             # fails where anybody's console had an error

What a step waits for is on the screen: a name, a heading, a sentence. Nothing waits for a time.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from local import names

SECONDS = 1000
PATIENCE = 120 * SECONDS
"""What takes a second takes a minute where other tests have all processors. No state that is waited for is short."""
INPUT = '[data-testid="input-chat-playground"]'
COMPOSER = "input-wrapper"
"""What one writes, attaches and sends by (a test ID)."""
ANSWER = "div-chat-message"
"""What the service says in the chat (a test ID)."""
STORED = "local_storage,indexeddb,cache_storage,service_workers"
"""What a site stores in a browser, in the terms of its protocol (Storage.clearDataForOrigin)."""
REFUSAL = re.compile(r"status of 4[0-9][0-9] .*/gateway/api/")


class Person:
    """A demo user, their browser's page, and what its console complained of."""

    def __init__(self, user: str, url: str, page: Page, screenshots: Path) -> None:
        self.user, self.url, self.page = user, url, page
        self.errors: list[str] = []
        self.screenshots = screenshots
        page.set_default_timeout(PATIENCE)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(f"{user}: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{self.user}: {message.text} ({message.location.get('url')})")

    def requests(self, method: str, part: str) -> list[str]:
        """The addresses with `part` in them that are asked from now on, by this method."""
        asked: list[str] = []

        def note(request: Request) -> None:
            if request.method == method and part in request.url:
                asked.append(request.url)

        self.page.on("request", note)
        return asked

    def sign_in(self) -> None:
        """Open the first page, and sign in where it leads to."""
        self.page.goto(self.url)
        self.fill_in_login()
        expect(self.page.get_by_label("Choose a file")).to_be_visible()
        self.page.wait_for_load_state("networkidle")

    def fill_in_login(self) -> None:
        """Sign in on the login page."""
        self.page.get_by_label("Username").fill(self.user)
        self.page.get_by_label("Password").fill(names.PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()

    def forget_refusals(self) -> None:
        """A browser logs each answer that is a refusal; here the service was meant to refuse something, and did."""
        others = [error for error in self.errors if not REFUSAL.search(error)]
        assert len(others) < len(self.errors)
        self.errors = others

    def look(self, name: str) -> None:
        """Keep a picture of what is on the screen."""
        self.screenshots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.screenshots / f"{name}.png", full_page=True)

    def choose(self, file: Path) -> None:
        """Choose a file on the first page."""
        self.page.get_by_label("Choose a file").set_input_files(file)

    def enrich(self, file: Path) -> Path:
        """Give a file on the first page, and download what comes back."""
        self.choose(file)
        expect(self.page.get_by_role("heading", name=f"{file.name} is ready")).to_be_visible()
        return self.download(re.compile(f"^Download {re.escape(file.stem)}"))

    def open_chat(self) -> None:
        """Go to the chat by the link of the first page, and begin a new one there."""
        self.page.get_by_role("link", name="Chat", exact=True).click()
        self.see_chat()
        self.new_chat()

    def new_chat(self) -> None:
        """Begin a new conversation in the chat."""
        self.page.get_by_role("button", name="New Chat").click()
        expect(self.page.get_by_test_id(ANSWER)).to_have_count(0)

    def see_chat(self) -> None:
        """Wait until the chat is there: Langflow's page is 10 MB of script."""
        expect(self.page.locator(INPUT)).to_be_visible()

    def attach(self, file: Path, *, seconds: float = PATIENCE / SECONDS) -> None:
        """Attach a file in the chat, and see it arrive."""
        self.page.get_by_test_id(COMPOSER).locator("input[type=file]").set_input_files(file)
        self.sees_attached(file.name, seconds=seconds)

    def sees_attached(self, file: str, *, seconds: float = PATIENCE / SECONDS) -> None:
        """Wait in the chat until a file has arrived: before, it says that it is being sent."""
        named = self.page.get_by_test_id(COMPOSER).get_by_text(file, exact=True)
        expect(named).to_be_visible(timeout=seconds * SECONDS)

    def write(self, text: str = "") -> None:
        """Send a message in the chat, with what is attached."""
        self.page.locator(INPUT).fill(text)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def is_answered(self, file: str, *, seconds: float = PATIENCE / SECONDS) -> None:
        """Wait in the chat until a file is enriched."""
        heading = self.page.get_by_role("heading", name=f"{file} is enriched")
        expect(heading).to_be_visible(timeout=seconds * SECONDS)

    def is_told(self, text: str | re.Pattern[str]) -> None:
        """Wait until the chat's last answer says something."""
        expect(self.page.get_by_test_id(ANSWER).last).to_contain_text(text)

    def enrich_in_chat(self, file: Path) -> Path:
        """Give a file in the chat, and download what comes back."""
        self.attach(file)
        self.write()
        self.is_answered(file.name)
        return self.download(f"Download {file.stem}.enriched{file.suffix}")

    def download(self, name: str | re.Pattern[str]) -> Path:
        """Click a link, and get the file behind it."""
        with self.page.expect_download() as download:
            self.page.get_by_role("link", name=name).first.click()
        return Path(download.value.path())


class Desks:
    """A browser's contexts, of which each is somebody's own: no cookie and nothing stored is shared.

    A context that is returned keeps its HTTP cache, as a browser does, and no cookies or storage of the person before.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser, self._free = browser, list[BrowserContext]()

    def take(self) -> BrowserContext:
        """A context without cookies, stored values or pages."""
        if self._free:
            return self._free.pop()
        return self._browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)

    def give_back(self, context: BrowserContext, origin: str) -> None:
        """Close the pages of a context; forget who was signed in, and what a site has stored."""
        session = context.new_cdp_session(context.pages[0])
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": STORED})
        for page in context.pages:
            page.close()
        context.clear_cookies()
        self._free.append(context)


class People:
    """Demo users, each in front of a screen of their own."""

    def __init__(self, url: str, desks: Desks, screenshots: Path) -> None:
        self._url, self._desks, self._screenshots = url, desks, screenshots
        self._opened: list[Person] = []

    def __call__(self, user: str, *, sign_in: bool = True) -> Person:
        """Somebody, signed in, on the first page."""
        person = Person(user, self._url, self._desks.take().new_page(), self._screenshots)
        self._opened.append(person)
        if sign_in:
            person.sign_in()
        return person

    def close(self) -> None:
        """Leave the browsers; see that nothing went wrong unseen."""
        for person in self._opened:
            self._desks.give_back(person.page.context, self._url)
        errors = [error for person in self._opened for error in person.errors]
        assert not errors, errors


@contextmanager
def in_chat(user: str, url: str, desks: Desks, screenshots: Path) -> Iterator[Person]:
    """Somebody who has opened the chat; at the end nobody's console had an error."""
    people = People(url, desks, screenshots)
    person = people(user)
    person.open_chat()
    yield person
    people.close()

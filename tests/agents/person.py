#!/usr/bin/env python3
"""The person and their browser, as the program that `BROWSER` names: opens an address, agrees, logs in, and comes back.

Runs with any Python and nothing installed, because other people's programs start it.
"""

import os
import sys
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin

SECONDS = 60


class Form(HTMLParser):
    """The one form of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.action = given.get("action") or ""
        name = given.get("name")
        if name and (tag == "input" or (tag == "button" and name not in self.fields)):
            self.fields[name] = given.get("value") or ""


def visit(address: str) -> None:
    """Fill in forms until a page has none: that is the program's own."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    known = {"username": os.environ["PERSON"], "password": os.environ["PERSON_PASSWORD"]}
    data = None
    while True:
        with browser.open(address, data, SECONDS) as page:
            form = Form(page.read().decode("utf-8", "replace"))
            at = page.url
        if form.action is None:
            return
        data = urlencode({name: known.get(name, value) for name, value in form.fields.items()}).encode()
        address = urljoin(at, form.action)


def visit_patiently(address: str) -> None:
    """Some programs listen only after they have opened the browser."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            visit(address)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__" and os.fork() == 0:
    # In the background: a program that waits for its browser to end would not listen meanwhile.
    visit_patiently(sys.argv[1])

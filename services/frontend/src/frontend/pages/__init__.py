"""Our own pages: the first one, and what is put into Langflow's."""

from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from fastapi import HTTPException
from fastapi.responses import HTMLResponse, Response

ASSETS: Final = {
    "start.css": "text/css",
    "start.js": "text/javascript",
    "batch.js": "text/javascript",
    "elements.js": "text/javascript",
    "recipes.js": "text/javascript",
    "review.js": "text/javascript",
    "service.js": "text/javascript",
    "inside.css": "text/css",
    "inside.js": "text/javascript",
    "logo.svg": "image/svg+xml",
}


def start(username: str, *, can_sign_out: bool) -> HTMLResponse:
    """The first page."""
    logout = '<a href="/fileproc/sign-out">Sign out</a>' if can_sign_out else ""
    text = Template(_read("start.html")).substitute(username=escape(username), logout=logout)
    return HTMLResponse(text, headers={"cache-control": "no-store"})


def asset(name: str) -> Response:
    """A file of the pages."""
    if name not in ASSETS:
        raise HTTPException(404, "There is no such file.")
    return Response(_read(name), media_type=ASSETS[name], headers={"cache-control": "no-cache"})


@cache
def _read(name: str) -> str:
    return files("frontend.pages").joinpath(name).read_text(encoding="utf-8")

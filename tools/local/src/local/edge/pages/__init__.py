"""The edge's own pages."""

from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=PackageLoader("local.edge.pages", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_ASSETS = {"style.css": "text/css", "home.js": "text/javascript"}


def page(template: str, *, status: int = 200, **values: Any) -> web.Response:
    """A page, filled in."""
    text = _TEMPLATES.get_template(template).render(values)
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)


def asset(name: str) -> web.Response:
    """A style sheet or a script of the pages.

    Raises:
        web.HTTPNotFound: There is none of that name.
    """
    if name not in _ASSETS:
        raise web.HTTPNotFound
    source = files("local.edge.pages").joinpath(name).read_text()
    return web.Response(text=source, content_type=_ASSETS[name], headers={"cache-control": "no-cache"})

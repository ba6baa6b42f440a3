"""The two pages that a person sees on the way to the user pool's login."""

from html import escape
from string import Template

from starlette.responses import Response

_HEADERS = {
    "cache-control": "no-store",
    # Beside the policy of every answer (`server.SECURITY_HEADERS`), which has frame-ancestors 'none'. There is no
    # form-action: browsers apply it to the redirects that follow a form, and these end at the client.
    "x-frame-options": "DENY",
}
_PAGE = Template(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>$title</title>'
    '<meta name="viewport" content="width=device-width"><style>body{font:18px/1.5 system-ui,sans-serif;'
    "margin:3rem auto;max-width:34rem;padding:0 1rem}button{font:inherit;padding:.4rem 1.2rem;margin-right:1rem}"
    "</style></head><body><main><h1>$title</h1>$body</main></body></html>"
)
_CONSENT = Template(
    "<p>A program that calls itself <strong>$name</strong> asks to use the Internal File Processing System "
    "as you: your files, your jobs, and the data of your departments.</p>"
    "<p>After the login you return to <strong>$destination</strong>.</p>"
    "<p>Continue only if you started this login in that program just now. Otherwise cancel.</p>"
    '<form method="post" action="$action"><input type="hidden" name="login" value="$login">'
    '<button name="decision" value="continue">Continue</button>'
    '<button name="decision" value="cancel">Cancel</button></form>'
)


def consent(name: str, destination: str, *, action: str, login: str) -> Response:
    """Ask whether the program may log in; `name` is what it says of itself."""
    body = _CONSENT.substitute(
        name=escape(name or "(no name)"), destination=escape(destination), action=escape(action), login=escape(login)
    )
    return _page("Allow this program to log in as you?", body, 200)


def refused(reason: str) -> Response:
    """Say why the browser is not sent anywhere."""
    return _page("This login cannot continue", f"<p>{escape(reason)}</p>", 400)


def _page(title: str, body: str, status: int) -> Response:
    text = _PAGE.substitute(title=title, body=body)
    return Response(text, status, _HEADERS, media_type="text/html")

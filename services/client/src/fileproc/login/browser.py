"""Login in the browser: authorization code with PKCE (RFC 7636), and a redirect to this machine (RFC 8252)."""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from fileproc.errors import Refused
from fileproc.login.discovery import AuthorizationServer, register
from fileproc.login.store import Login
from fileproc.login.tokens import redeem
from fileproc.transport import Transport

LOGIN_SECONDS = 300

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>fileproc</title>
<body style="font:18px/1.5 system-ui,sans-serif;margin:4rem auto;max-width:32rem"><h1>{title}</h1><p>{text}</p></body>
</html>
"""


class _Callback(BaseHTTPRequestHandler):
    """Takes the one redirect that carries our `state`; whatever else arrives changes nothing."""

    server: CallbackServer
    timeout = 5

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        answer = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path != "/callback" or not secrets.compare_digest(answer.get("state", ""), self.server.state):
            self._page(404, "Nothing here", "This is not the address that the login leads to.")
            return
        self.server.answer = answer
        if "code" in answer:
            self._page(200, "You are logged in", "Close this window and go back to the terminal.")
        else:
            text = answer.get("error_description") or answer.get("error") or "No code was sent."
            self._page(400, "Not logged in", text)

    def _page(self, status: int, title: str, text: str) -> None:
        body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent: the path has the code in it."""


class CallbackServer(TCPServer):
    """Waits on this machine for the browser to come back."""

    allow_reuse_address = False
    timeout = 0.5

    def __init__(self) -> None:
        self.state = secrets.token_urlsafe(32)
        self.answer: dict[str, str] | None = None
        super().__init__(("127.0.0.1", 0), _Callback)  # any port (RFC 8252, section 7.3)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def redirect_uri(self) -> str:
        """Where the browser is sent after the login."""
        return f"http://127.0.0.1:{self.port}/callback"

    def wait(self, seconds: float) -> dict[str, str]:
        """The parameters that the browser brought. Raises `Refused` where it did not come in time."""
        deadline = time.monotonic() + seconds
        while self.answer is None:
            if time.monotonic() > deadline:
                raise Refused(f"Nobody logged in within {seconds / 60:.0f} minutes.")
            self.handle_request()
        return self.answer


def log_in(
    http: Transport, server: AuthorizationServer, show: Callable[[str, int], None], seconds: float = LOGIN_SECONDS
) -> Login:
    """Have somebody log in with their browser.

    Args:
        http: For the token endpoint.
        server: Who logs them in.
        show: Is given the address to open, and the port that the browser has to reach afterwards.
        seconds: How long to wait for them.

    Raises:
        Refused: They did not, or were not let in.
    """
    verifier = secrets.token_urlsafe(64)
    digest = hashlib.sha256(verifier.encode()).digest()
    with CallbackServer() as callback:
        client_id = register(http, server, callback.redirect_uri)
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": callback.redirect_uri,
            "scope": " ".join(server.scopes) or "openid",
            "state": callback.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        show(f"{server.authorization_endpoint}?{urlencode(query)}", callback.port)
        answer = callback.wait(seconds)
    # RFC 9207, section 2.4
    expected = server.issuer if server.authorization_response_iss_parameter_supported else answer.get("iss")
    if answer.get("iss") != expected or expected not in (None, server.issuer):
        raise Refused(f"Not logged in: the answer came from {answer.get('iss', 'nobody')}, not from {server.issuer}.")
    if "code" not in answer:
        raise Refused(f"Not logged in: {answer.get('error_description') or answer.get('error') or 'no code came'}.")
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": callback.redirect_uri,
        "client_id": client_id,
        "code_verifier": verifier,
    }
    token = redeem(http, server.token_endpoint, form)
    return Login(
        method="browser",
        access_token=token.access_token,
        expires_at=token.expires_at,
        refresh_token=token.refresh_token,
        client_id=client_id,
        token_endpoint=server.token_endpoint,
        revocation_endpoint=server.revocation_endpoint,
    )

"""`login` and `logout`."""

from __future__ import annotations

import base64
import json
import os
import sys
import webbrowser
from contextlib import closing, suppress
from datetime import UTC, datetime
from getpass import getpass
from threading import Thread
from typing import Annotated

import typer

from fileproc import options
from fileproc.errors import FileprocError
from fileproc.interface import Interface, interface
from fileproc.login import browser, password, tokens
from fileproc.login.discovery import AuthorizationServer, discover, require_private
from fileproc.login.store import Login
from fileproc.transport import Transport


def login(
    ctx: typer.Context,
    *,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", metavar="NAME", help="By password, asked for or from FILEPROC_PASSWORD."),
    ] = None,
    with_iam: Annotated[bool, typer.Option("--iam", help="By the AWS credentials of this environment.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address; open nothing.")] = False,
    as_json: options.Json = False,
) -> None:
    """Log in with your browser, with AWS credentials, or by name and password."""
    ui = interface(ctx, as_json=as_json)
    if with_iam and user is not None:
        raise typer.BadParameter("Either --iam or --user, not both.")
    url = ui.url
    require_private(url)
    secret = _password(user) if user is not None else ""
    with closing(Transport()) as http:
        server = discover(http, url)
        if with_iam:
            from fileproc.login import iam  # botocore takes longer to load than most commands to run

            done = iam.log_in(http, server, url)
        elif user is not None:
            done = password.log_in(http, server, user, secret)
        else:
            done = _by_browser(ui, http, server, no_browser=no_browser)
    ui.store.save(url, done)
    name = _name(done.access_token)
    until = datetime.fromtimestamp(done.expires_at, UTC)
    if ui.json:
        ui.emit({"url": url, "user": name, "method": done.method, "expires_at": until.isoformat(timespec="seconds")})
    else:
        ui.say(f"You are logged in to {url}{f' as {name}' if name else ''}.")


def logout(ctx: typer.Context, *, as_json: options.Json = False) -> None:
    """Forget the login, and make it worthless."""
    ui = interface(ctx, as_json=as_json)
    url = ui.url
    found = ui.store.load(url)
    ui.store.remove(url)
    if found is not None:
        with closing(Transport()) as http, suppress(FileprocError):  # it ends by itself, if not now
            tokens.revoke(http, found)
    if ui.json:
        ui.emit({"url": url, "was_logged_in": found is not None})
    else:
        ui.say(f"You are logged out of {url}." if found else f"You were not logged in to {url}.")


def _password(user: str) -> str:
    if secret := os.environ.get("FILEPROC_PASSWORD"):
        return secret
    if not sys.stdin.isatty():
        raise typer.BadParameter("Without a terminal to ask at, set FILEPROC_PASSWORD.", param_hint="--user")
    return getpass(f"Password of {user}: ")


def _by_browser(ui: Interface, http: Transport, server: AuthorizationServer, *, no_browser: bool) -> Login:
    def show(address: str, port: int) -> None:
        ui.err.print("Open this address in a browser on this machine:" if no_browser else "Log in in your browser, at:")
        ui.err.print(address, soft_wrap=True, markup=False)
        if no_browser:
            hint = f"If the browser is on another machine, first there: ssh -L {port}:localhost:{port} <this machine>"
            ui.err.print(hint, style="dim", soft_wrap=True)
        else:  # in a thread, since some browsers come back only when they are closed
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    return browser.log_in(http, server, show)


def _name(token: str) -> str | None:
    """Whom the token names; for the eye alone, so its signature does not matter."""
    with suppress(ValueError, IndexError, AttributeError):
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        name = claims.get("username") or claims.get("sub")
        return name if isinstance(name, str) else None
    return None

"""What every command shares: whom it talks to, and how it talks to people and to machines.

Results go to standard output, all else to standard error. With `--json` standard output has one JSON document: the
result, or `{"error": …}`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from fileproc.client import Client
from fileproc.errors import FileprocError, OutputExists, UnclearMapping
from fileproc.login.session import Session
from fileproc.login.store import LoginStore
from fileproc.models import Question

_WIDE = 100_000  # no terminal, so no line to break


class Interface:
    """The terminal, or the program, that the command was started from."""

    def __init__(self, url: str | None) -> None:
        self.json = False
        self.out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
        self.err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _WIDE)
        self.store = LoginStore()
        self._url = url

    @property
    def url(self) -> str:
        """The gateway: what was given, else the only one that somebody is logged in to."""
        url = self._url
        if not url:
            known = self.store.urls()
            if len(known) != 1:
                also = f" You are logged in to: {', '.join(known)}." if known else ""
                raise typer.BadParameter(f"Set FILEPROC_URL to the address of the gateway.{also}")
            url = known[0]
        try:
            parts = httpx2.URL(url)
        except httpx2.InvalidURL:
            parts = httpx2.URL()
        if parts.scheme not in {"http", "https"} or not parts.host:
            raise typer.BadParameter(f"FILEPROC_URL is {url!r}; an address such as https://api.example.com is needed.")
        return url.rstrip("/")

    @property
    def token(self) -> str | None:
        """The token that a script gave."""
        token = os.environ.get("FILEPROC_TOKEN", "").strip()
        if not re.fullmatch(r"[\x21-\x7e]*", token):
            raise typer.BadParameter("FILEPROC_TOKEN is no access token: it has a space, a line end or an odd letter.")
        return token or None

    @contextmanager
    def client(self) -> Iterator[Client]:
        """The service, as whoever `FILEPROC_TOKEN` or the login says."""
        with Client(self.url, self.token or Session(self.store, self.url), on_retry=self._tell_retry) as client:
            yield client

    def say(self, text: str) -> None:
        """One line for whoever watches; nothing with `--json`."""
        if not self.json:
            self.err.print(clean(text), markup=False, soft_wrap=True)

    def emit(self, result: BaseModel | Mapping[str, Any]) -> None:
        """The result, for a machine."""
        document = result.model_dump(mode="json") if isinstance(result, BaseModel) else result
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()

    def fail(self, error: FileprocError) -> None:
        """The error, for people and, with `--json`, for a machine too."""
        text = str(error)
        if str(error.problem.get("type")).endswith(":unauthenticated"):
            text += " Set FILEPROC_TOKEN to a new token." if self.token else " Log in: fileproc login"
        if isinstance(error, OutputExists):
            text += " With --force it is overwritten."
        if str(error.problem.get("type")).endswith(":recipe-does-not-fit"):
            text += " To use the recipe all the same: --anyway"
        if isinstance(error, UnclearMapping) and error.questions:
            self._ask(error.questions)
        else:
            self.complain(text)
        if self.json:
            self.emit({"error": {"title": type(error).__name__, **error.problem, "detail": text}})

    def _ask(self, questions: Sequence[Question]) -> None:
        self.complain("It is not clear which columns are keys. Say it, for those that are:")
        for question in questions:
            self._explain(f"  {question.detail}")
            for candidate in question.candidates:
                self._explain(f"    --map '{question.column}={candidate}'", "cyan")

    def _explain(self, text: str, style: str = "") -> None:
        self.err.print(clean(text), style=style, markup=False, soft_wrap=True)

    def complain(self, text: str) -> None:
        """One line that says what went wrong."""
        self.err.print(Text.assemble(("error: ", "bold red"), clean(text)), soft_wrap=True)

    def _tell_retry(self, error: FileprocError, delay: float) -> None:
        self.say(f"{error} Trying again{f' in {delay:.0f} s' if delay >= 1 else ''}.")


def interface(ctx: typer.Context, *, as_json: bool = False) -> Interface:
    """The interface of the running command."""
    found = ctx.find_object(Interface)
    if found is None:
        raise RuntimeError("the command was not started by fileproc.main")
    found.json = as_json
    return found


def clean(text: str) -> str:
    """Without control characters, which a terminal would obey: names and cells come from anywhere."""
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text.replace("\t", " ")
    )

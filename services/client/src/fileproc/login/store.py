"""Logins, one file for each gateway, readable by their owner alone."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

# A token that is about to end could end while the request is on its way.
_EARLY_SECONDS = 60


class Login(BaseModel):
    """A token, and what is needed to get the next one; `expires_at` is in seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    method: Literal["browser", "password", "iam"]
    access_token: str
    expires_at: float
    refresh_token: str | None = None
    client_id: str | None = None
    token_endpoint: str | None = None
    revocation_endpoint: str | None = None
    cognito_endpoint: str | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the token will last for at least another minute."""
        return time.time() < self.expires_at - _EARLY_SECONDS


class LoginStore:
    """The logins of this user of this machine."""

    def __init__(self, folder: Path | None = None) -> None:
        """Without a folder, the one that the platform has for a program's data."""
        self._folder = folder or platformdirs.user_data_path("fileproc") / "logins"

    def load(self, url: str) -> Login | None:
        """The login at the gateway `url`; one that cannot be read counts as none."""
        try:
            return Login.model_validate_json(self._file(url).read_text())
        except (OSError, ValidationError, UnicodeDecodeError):
            return None

    def save(self, url: str, login: Login) -> None:
        """Remember `login`; at no moment can another user read it, or somebody read half of it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(url)
        new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
                handle.write(login.model_dump_json(exclude_none=True))
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)

    def remove(self, url: str) -> None:
        """Forget the login, if there is one."""
        self._file(url).unlink(missing_ok=True)

    def urls(self) -> list[str]:
        """The gateways that somebody is logged in to."""
        return sorted(unquote(file.stem) for file in self._folder.glob("*.json") if not file.name.startswith("."))

    def _file(self, url: str) -> Path:
        parts = urlsplit(url)
        return self._folder / f"{quote(f'{parts.scheme}://{parts.netloc}', safe='')}.json"

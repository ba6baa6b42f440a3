"""The login that is remembered, as a source of tokens that renews itself."""

from __future__ import annotations

from threading import Lock

from fileproc.errors import Refused
from fileproc.login import password, tokens
from fileproc.login.store import Login, LoginStore
from fileproc.transport import Transport


class Session:
    """Tokens for the gateway `url`; see `fileproc.transport.TokenSource`."""

    def __init__(self, store: LoginStore, url: str) -> None:
        self._store = store
        self._url = url
        self._lock = Lock()

    def token(self) -> str:
        """The token, renewed where it is about to end.

        Raises:
            Refused: Nobody is logged in, or the login has ended.
        """
        with self._lock:
            login = self._load()
            return (login if login.is_fresh else self._refresh(login)).access_token

    def renew(self, rejected: str) -> str:
        """A newer token than the one that was rejected; somebody else may have got it meanwhile."""
        with self._lock:
            login = self._load()
            return (login if login.access_token != rejected else self._refresh(login)).access_token

    def _load(self) -> Login:
        if (login := self._store.load(self._url)) is None:
            raise Refused(f"You are not logged in to {self._url}. Log in: fileproc login, or set FILEPROC_TOKEN")
        return login

    def _refresh(self, login: Login) -> Login:
        http = Transport()
        try:
            if login.method == "iam":
                from fileproc.login import iam  # botocore takes longer to load than most commands to run

                renewed = iam.refresh(http, self._url)
            elif login.method == "password":
                renewed = password.refresh(http, login)
            else:
                renewed = tokens.refresh(http, login)
        except Refused as error:
            how = {"browser": "", "password": " --user NAME", "iam": " --iam"}[login.method]
            raise Refused(f"Your login has ended. {error} Log in again: fileproc login{how}") from error
        finally:
            http.close()
        self._store.save(self._url, renewed)
        return renewed

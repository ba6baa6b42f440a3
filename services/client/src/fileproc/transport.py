"""HTTP: time limits, who asks, what is tried again and for how long, and answers as models or errors."""

from __future__ import annotations

import email.utils
import random
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Protocol, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from fileproc.errors import FileprocError, Unavailable, Unintelligible, from_problem

# Reading: the longest silence is a preview of a large spreadsheet. Writing and connecting show a dead peer sooner.
TIMEOUT = httpx2.Timeout(30.0, connect=10.0, read=120.0)

# The request was not acted upon: it never left, or was turned away at the door.
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_TURNED_AWAY = frozenset({429, 503})

_trusted = cache(httpx2.create_ssl_context)  # reading the authorities takes longer than many a request

AnswerType = TypeVar("AnswerType", bound=BaseModel)


@dataclass(frozen=True)
class Retry:
    """How often, and for how long, the same request is sent again; times are in seconds.

    Attributes:
        attempts: Requests in all.
        first_delay: Before the second attempt; doubles from then on, and up to half of it is left out at random.
        longest_delay: A server that asks (`Retry-After`) for a longer pause is not waited for.
        statuses: Answers after which a request that is harmless to repeat is sent again.
    """

    attempts: int = 6
    first_delay: float = 0.4
    longest_delay: float = 20.0
    statuses: frozenset[int] = frozenset({429, 502, 503, 504})

    def delay(self, attempt: int, asked: float | None) -> float:
        """Seconds to wait after failed attempt number `attempt`; what the server asked for comes first."""
        if asked is not None:
            return asked
        doubled = min(self.first_delay * float(2 ** (attempt - 1)), self.longest_delay)
        return doubled * random.uniform(0.5, 1)  # noqa: S311 - spreads callers over time, and hides nothing


class TokenSource(Protocol):
    """Where the access token of each request comes from."""

    def token(self) -> str:
        """A token that is believed to be valid. Raises `Refused` where there is none."""
        ...

    def renew(self, rejected: str) -> str | None:
        """A newer token, since the service refused `rejected`; `None` where there cannot be one."""
        ...


class BearerAuth(httpx2.Auth):
    """Sends the token with each request, and once more with a new one where it was refused."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """See `httpx2.Auth`."""
        token = self._tokens.token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and (renewed := self._tokens.renew(token)):
            request.headers["Authorization"] = f"Bearer {renewed}"
            yield request


class Transport:
    """Requests to one server. Can be shared between threads."""

    def __init__(
        self,
        base_url: str = "",
        *,
        auth: httpx2.Auth | None = None,
        retry: Retry | None = None,
        on_retry: Callable[[FileprocError, float], None] | None = None,
    ) -> None:
        """`on_retry` is told the error and the seconds until the next attempt."""
        self._http = httpx2.Client(base_url=base_url, auth=auth, timeout=TIMEOUT, verify=_trusted())
        self._retry = retry or Retry()
        self._on_retry = on_retry

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, url: str, *, harmless: bool = True, **options: Any) -> httpx2.Response:
        """Send a request and read the whole answer.

        Args:
            method: The HTTP method.
            url: A path of the server, or a whole address.
            harmless: Whether it does no harm to carry it out twice.
            options: As `httpx2.Client.build_request` takes them.

        Raises:
            FileprocError: The answer is an error, or there was none.
        """
        return self._send(method, url, harmless=harmless, stream=False, **options)

    @contextmanager
    def stream(self, url: str, *, persistent: bool = True, **options: Any) -> Iterator[httpx2.Response]:
        """Get what the caller reads piece by piece; raises the same until the body begins.

        Args:
            url: A path of the server.
            persistent: Whether to try again; not where the caller does.
            options: As `httpx2.Client.build_request` takes them.
        """
        response = self._send("GET", url, harmless=True, stream=True, persistent=persistent, **options)
        try:
            yield response
        finally:
            response.close()

    def _send(
        self, method: str, url: str, *, harmless: bool, stream: bool, persistent: bool = True, **options: Any
    ) -> httpx2.Response:
        attempts = self._retry.attempts if persistent else 1
        for attempt in count(1):
            asked = None
            try:
                response = self._http.send(self._http.build_request(method, url, **options), stream=stream)
            except httpx2.TransportError as error:
                failure: FileprocError = unreachable(error)
                again = harmless or isinstance(error, _NEVER_SENT)
            else:
                if response.is_success:
                    return response
                failure, asked = read_error(response), retry_after(response)
                again = response.status_code in (self._retry.statuses if harmless else _TURNED_AWAY)
            if not again or attempt == attempts or (asked or 0) > self._retry.longest_delay:
                raise failure
            delay = self._retry.delay(attempt, asked)
            if self._on_retry:
                self._on_retry(failure, delay)
            time.sleep(delay)
        raise AssertionError  # count() does not end


def unreachable(error: httpx2.TransportError) -> Unavailable:
    """Says which server gave no answer, and why."""
    where = error.request.url.netloc.decode()
    if isinstance(error, httpx2.TimeoutException):
        why = "did not answer in time"
    elif isinstance(error, httpx2.ConnectError):
        why = f"cannot be reached ({re.sub(r'^.Errno -?[0-9]+. ', '', str(error)) or 'no connection'})"
    else:
        why = "closed the connection before its answer was complete"
    return Unavailable(f"{where} {why}.")


def read_error(response: httpx2.Response) -> FileprocError:
    """The error that an answer of status >= 300 tells, read to its end."""
    try:
        response.read()
        problem = response.json()
    except (httpx2.TransportError, httpx2.DecodingError, ValueError):
        problem = None
    if isinstance(problem, dict):
        # RFC 9457 here; RFC 6749, section 5.2, from a token endpoint; AWS has its own.
        for member in ("detail", "title", "error_description", "error", "message"):
            if isinstance(text := problem.get(member), str) and text:
                return from_problem(response.status_code, {"status": response.status_code, **problem, "detail": text})
    url = response.request.url
    text = f"{url.netloc.decode()} answered {response.status_code} {response.reason_phrase} to {url.path}"
    if response.is_redirect or (response.status_code == 404 and url.path.startswith("/api/")):
        return Unintelligible(f"{text}; this is not the address of a file processing gateway.")
    return from_problem(response.status_code, {"detail": text, "status": response.status_code})


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds that the server asks to wait for (RFC 9110, section 10.2.3: seconds, or a date)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def parse(response: httpx2.Response, model: type[AnswerType]) -> AnswerType:
    """The answer as `model`. Raises `Unintelligible`."""
    return parse_text(response.text, model, response.request.url.path)


def parse_text(text: str, model: type[AnswerType], source: str) -> AnswerType:
    """JSON that came from `source`, as `model`. Raises `Unintelligible`."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole answer"
        raise Unintelligible(
            f"{source} answered something that this version does not understand ({where}: {first['msg']})."
        ) from None

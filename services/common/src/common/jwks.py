"""A cached JSON Web Key Set (RFC 7517) that follows the issuer's key rotation."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import Any

import aiohttp
import structlog

log = structlog.get_logger()

JwksFetch = Callable[[], Awaitable[dict[str, Any]]]
MAX_DOCUMENT_BYTES = 1 << 20


class JwksUnavailable(Exception):
    """No key set could be had, so no token of this issuer can be verified now."""


def fetch_jwks(
    session: aiohttp.ClientSession,
    url: str,
    headers: Callable[[], dict[str, str]] = dict,
    *,
    ssl: SSLContext | bool = True,
) -> JwksFetch:
    """A fetch of the key set at `url`, of at most 1 MiB, in at most 5 s."""

    async def fetch() -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=5)
        async with session.get(url, headers=headers(), ssl=ssl, timeout=timeout, allow_redirects=False) as response:
            response.raise_for_status()
            if (response.content_length or 0) > MAX_DOCUMENT_BYTES:
                raise ValueError("the key set is larger than 1 MiB")
            document = await response.json(content_type=None)
        if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
            raise ValueError("the answer is not a JSON Web Key Set")
        return document

    return fetch


class JwksCache:
    """Keys by `kid`.

    An unknown `kid` causes one fetch, at most one in `min_refresh_seconds` however many tokens ask; a failed fetch
    keeps the last good keys.
    """

    def __init__(self, fetch: JwksFetch, *, min_refresh_seconds: float = 10) -> None:
        self._fetch = fetch
        self._min_refresh_seconds = min_refresh_seconds
        self._keys: dict[str, dict[str, Any]] = {}
        self._next_refresh = 0.0
        self._lock = asyncio.Lock()

    @property
    def loaded(self) -> bool:
        """Whether any key is known."""
        return bool(self._keys)

    async def key(self, kid: str) -> dict[str, Any] | None:
        """The key of that identifier, or None where the issuer has none.

        Raises:
            JwksUnavailable: No key set was ever had.
        """
        if (known := self._keys.get(kid)) is not None:
            return known
        await self.refresh()
        if not self._keys:
            raise JwksUnavailable("the issuer's key set is not reachable")
        return self._keys.get(kid)

    async def refresh(self) -> None:
        """Fetch the key set now, unless that was done a moment ago."""
        async with self._lock:
            if time.monotonic() < self._next_refresh:
                return
            try:
                document = await self._fetch()
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                # Without any key the wait is short: the issuer may be starting at this moment.
                self._next_refresh = time.monotonic() + (self._min_refresh_seconds if self._keys else 0.5)
                log.warning("jwks.refresh_failed", error=str(error) or type(error).__name__)
                return
            self._next_refresh = time.monotonic() + self._min_refresh_seconds
            self._keys = {
                key["kid"]: key for key in document["keys"] if isinstance(key, dict) and isinstance(key.get("kid"), str)
            }

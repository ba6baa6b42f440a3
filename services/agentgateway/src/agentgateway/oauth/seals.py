"""What the gateway gives away and takes back during a login: sealed, so that no replica has to remember it.

Every replica derives the same keys from the KMS key that signs the gateway's tokens, so there is no secret to store.
"""

import base64
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ValidationError

Sealed = TypeVar("Sealed", bound=BaseModel)


class InvalidSeal(Exception):
    """The text was not sealed here, for another purpose, or too long ago."""


class Purpose(StrEnum):
    """What a sealed text is for; each has a key of its own, so that none passes as another."""

    CLIENT = "client"
    CONSENT = "consent"
    LOGIN = "login"
    CODE = "code"
    REFRESH = "refresh"


class Seals:
    """Encrypts and authenticates (Fernet: AES-128-CBC, HMAC-SHA-256, and the time)."""

    def __init__(self, secret: Callable[[], Awaitable[bytes]]) -> None:
        """`secret` is the same at every replica."""
        self._secret = secret

    async def seal(self, purpose: Purpose, document: BaseModel) -> str:
        """`document` as text of a URL's safe characters.

        Raises:
            ServiceUnavailable: KMS did not answer.
        """
        return _fernet(await self._secret(), purpose).encrypt(document.model_dump_json().encode()).decode()

    async def open(self, purpose: Purpose, text: str, kind: type[Sealed], seconds: int | None = None) -> Sealed:
        """What `text` was sealed from, at most `seconds` ago.

        Raises:
            InvalidSeal: It was not, or for another purpose.
            ServiceUnavailable: KMS did not answer.
        """
        try:
            opened = _fernet(await self._secret(), purpose).decrypt(text.encode(), ttl=seconds)
            return kind.model_validate_json(opened)
        except (InvalidToken, ValidationError, UnicodeError) as error:
            raise InvalidSeal from error


@lru_cache(maxsize=2 * len(Purpose))
def _fernet(secret: bytes, purpose: Purpose) -> Fernet:
    key = HKDF(SHA256(), length=32, salt=None, info=f"agentgateway oauth {purpose}".encode()).derive(secret)
    return Fernet(base64.urlsafe_b64encode(key))

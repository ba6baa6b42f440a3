"""Proof key for code exchange, S256 alone (RFC 7636)."""

import base64
import hashlib
import re
import secrets

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def challenge_of(verifier: str) -> str:
    """The code challenge of a verifier (section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def is_challenge(text: str) -> bool:
    """Whether `text` can be one: base64url of 32 bytes."""
    return _CHALLENGE.fullmatch(text) is not None


def proves(verifier: str, challenge: str) -> bool:
    """Whether `verifier` is that of `challenge` (section 4.6)."""
    return _VERIFIER.fullmatch(verifier) is not None and secrets.compare_digest(challenge_of(verifier), challenge)

"""The verified identity of a user, as it travels between services in one header.

The header is believed only from an authenticated service: see `common.service_tokens`.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Literal, cast, get_args

import orjson

CALLER_HEADER = "x-caller"

Method = Literal["cognito", "iam"]


class InvalidCaller(ValueError):
    """The caller header is not what `Caller.to_header` writes."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: verified once, at the gateway, and never changed afterwards.

    Attributes:
        subject: The stable identifier that owns files and jobs (Cognito's `sub`, or an IAM role's ARN).
        username: For people to read; never decides anything.
        groups: What access is decided by.
        method: How the identity was proven.
    """

    subject: str
    username: str
    groups: frozenset[str]
    method: Method

    def to_header(self) -> str:
        """The header's value: unpadded base64url of a JSON object, so that any user name survives HTTP."""
        document = {
            "sub": self.subject,
            "username": self.username,
            "groups": sorted(self.groups),
            "method": self.method,
        }
        return base64.urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()

    @classmethod
    def from_header(cls, value: str) -> "Caller":
        """Read what `to_header` wrote.

        Raises:
            InvalidCaller: The value is not base64url, not JSON, or lacks a field.
        """
        try:
            padded = value + "=" * (-len(value) % 4)
            document = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError) as error:
            raise InvalidCaller("the caller header is not base64url JSON") from error
        if not isinstance(document, dict):
            raise InvalidCaller("the caller header is not a JSON object")
        subject, username = document.get("sub"), document.get("username")
        groups, method = document.get("groups"), document.get("method")
        if not (isinstance(subject, str) and subject and isinstance(username, str)):
            raise InvalidCaller("the caller header lacks a subject or a user name")
        if not (isinstance(groups, list) and all(isinstance(group, str) for group in groups)):
            raise InvalidCaller("the caller header's groups are not a list of strings")
        if method not in get_args(Method):
            raise InvalidCaller("the caller header's method is unknown")
        return cls(subject, username, frozenset(groups), cast("Method", method))

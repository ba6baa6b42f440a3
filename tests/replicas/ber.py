"""As much of BER (X.690) as an LDAP bind needs: definite lengths, tags of one byte."""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Protocol


class Stream(Protocol):
    """What can be read from."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at the end."""


@dataclass(frozen=True)
class Value:
    """A tag and what it holds."""

    tag: int
    content: bytes

    @cached_property
    def children(self) -> list["Value"]:
        """What a constructed value holds."""
        stream, found = BytesIO(self.content), []
        while (child := decode(stream)) is not None:
            found.append(child)
        return found


def decode(stream: Stream) -> Value | None:
    """The next value of a stream; None at its end."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    length = head[1]
    if length & 0x80:
        length = int.from_bytes(stream.read(length & 0x7F), "big")
    return Value(head[0], stream.read(length))


def encode(tag: int, content: bytes = b"") -> bytes:
    """A value of fewer than 128 bytes."""
    assert len(content) < 0x80
    return bytes([tag, len(content)]) + content

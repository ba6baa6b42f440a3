"""What kind of file this is: its name says it, its first bytes must agree."""

from __future__ import annotations

from application.engine.model import Format


def detect_format(name: str, head: bytes) -> Format:
    """The format of a file called ``name`` that starts with ``head``. Raises ``InputError`` where they disagree."""
    raise NotImplementedError

"""Rows as JSON, kept because many callers look up the same ones; the least recently used ones go first."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final

import orjson

ENTRY_BYTES: Final = 250
"""What an entry takes besides its JSON."""


class EncodedRows:
    """Values by key, for each choice of columns of a table."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._choices: dict[Hashable, dict[str, orjson.Fragment]] = {}
        self._sizes: dict[Hashable, int] = {}

    def of(self, choice: Hashable) -> Mapping[str, orjson.Fragment]:
        """What is kept of a choice, which is the most recently used one now."""
        self._choices[choice] = known = self._choices.pop(choice, {})
        return known

    def add(self, choice: Hashable, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, orjson.Fragment]:
        """Keep more rows of a choice, and return them as JSON."""
        # Copied, because the bytes that orjson returns take four kilobytes each, whatever their length.
        encoded = {key: bytes(memoryview(orjson.dumps(row))) for key, row in rows}
        fragments = {key: orjson.Fragment(row) for key, row in encoded.items()}
        self._choices.setdefault(choice, {}).update(fragments)
        self._sizes[choice] = self._sizes.get(choice, 0) + sum(ENTRY_BYTES + len(row) for row in encoded.values())
        while sum(self._sizes.values()) > self._most_bytes:
            oldest = next(iter(self._choices))
            del self._choices[oldest]
            self._sizes.pop(oldest, None)
        return fragments

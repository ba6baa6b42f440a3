"""Server-sent events, cut into whole events so that what is passed on is never half of one."""

import re

from agentgateway.mcp.answers import outcome_of

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
LONGEST_LINE_BREAK = 4


class EventSplitter:
    """Collects bytes of a stream and gives out whole events, with their separators, as they become complete."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes."""
        self._rest += chunk
        events: list[bytes] = []
        start = 0
        while match := _END.search(self._rest, max(start, self._searched)):
            events.append(bytes(self._rest[start : match.end()]))
            start = match.end()
        del self._rest[:start]
        # What was searched in vain is not searched again, but for a separator that the next chunk may complete.
        self._searched = max(0, len(self._rest) - LONGEST_LINE_BREAK + 1)
        return events

    @property
    def held(self) -> int:
        """Bytes of the event that is not complete yet."""
        return len(self._rest)


def event_of(message: bytes) -> bytes:
    """`message` (JSON on one line) as an event."""
    return b"event: message\r\ndata: " + message + b"\r\n\r\n"


def data_of(event: bytes) -> bytes:
    """The data of `event`; empty for a comment."""
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)


def outcome_in(event: bytes) -> str | None:
    """The outcome of the JSON-RPC response that `event` carries; None for anything else."""
    data = data_of(event)
    if not data:
        return None
    try:
        return outcome_of(data)
    except ValueError:
        return None

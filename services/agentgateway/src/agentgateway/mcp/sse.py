"""Server-sent events, cut into whole events so that what is passed on is never half of one."""

import re
from typing import Any

import orjson

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
LONGEST_LINE_BREAK = 4


class EventSplitter:
    """Collects bytes of a stream and gives out whole events, with their separators, as they become complete."""

    def __init__(self) -> None:
        """Nothing is held."""
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


def response_in(event: bytes) -> dict[str, Any] | None:
    """The JSON-RPC response that `event` carries; None for a notification, a comment, or what is not JSON."""
    data = data_of(event)
    if not data:
        return None
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return message if is_response(message) else None


def is_response(message: Any) -> bool:
    """Whether `message` is a JSON-RPC response, with a result or an error."""
    return (
        isinstance(message, dict)
        and message.get("jsonrpc") == "2.0"
        and (isinstance(message.get("result"), dict) or isinstance(message.get("error"), dict))
    )


def outcome_of(response: dict[str, Any]) -> str:
    """The word for a response in audit records and metrics."""
    result = response.get("result")
    if result is None:
        return "error"
    return "tool_error" if result.get("isError") is True else "ok"

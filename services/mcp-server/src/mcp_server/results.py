"""A tool's answer as the protocol carries it: structured content, and the same as text while it is short."""

from typing import Any

import orjson
from mcp_types import CallToolResult, TextContent

MAX_TEXT_BYTES = 64 << 10
"""A longer answer is not said twice: the text only says what the structured content holds."""


def answered(answer: dict[str, Any]) -> CallToolResult:
    """The result of a call that went well."""
    encoded = orjson.dumps(answer)
    text = encoded.decode() if len(encoded) <= MAX_TEXT_BYTES else _sentence(answer)
    return CallToolResult(content=[TextContent(text=text)], structured_content=answer)


def failed(message: str) -> CallToolResult:
    """The result of a call that the tool could not answer."""
    return CallToolResult(content=[TextContent(text=message)], is_error=True)


def _sentence(answer: dict[str, Any]) -> str:
    lists = [f"{len(value)} {name}" for name, value in answer.items() if isinstance(value, list)]
    return f"The structured content holds {' and '.join(lists)}; as text it would be too long."

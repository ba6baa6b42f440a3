"""One MCP request as it arrives: its headers, its body, and whether the two agree."""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    InboundLadderRejection,
    classify_inbound_request,
    decode_header_value,
    find_duplicated_routing_header,
)
from mcp_types import HEADER_MISMATCH, INVALID_REQUEST, PARSE_ERROR, PROTOCOL_VERSION_META_KEY
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import Receive

from agentgateway.http.errors import ClientGone
from agentgateway.mcp.errors import RpcError, http_refusal

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Message:
    """A well-formed JSON-RPC request of either era.

    Attributes:
        body: The bytes as they came, to be passed on unchanged.
        modern: Whether it is of the stateless era (2026-07-28).
    """

    id: int | str
    method: str
    params: dict[str, Any]
    body: bytes
    modern: bool


def clean_headers(raw: RawHeaders) -> RawHeaders:
    """Field values without surrounding white space (RFC 9110, section 5.5), which the HTTP parser leaves in place."""
    return [(name, value.strip()) for name, value in raw]


def text_headers(raw: RawHeaders) -> dict[str, str]:
    """The headers as text; of one that came twice, the first."""
    return {name.decode("latin-1"): value.decode("latin-1").strip() for name, value in reversed(raw)}


async def read_body(
    receive: Receive, headers: Mapping[str, str], limit: int, seconds: float, grown: Callable[[int], None]
) -> bytes:
    """The request's body; `grown` is told its size so far, and may refuse more.

    Raises:
        RpcError: Larger than `limit` (413; no more than `limit` is ever held), or not all there after `seconds` (408).
        ClientGone: The client closed the connection first.
    """
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _oversized(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise ClientGone
                chunk: bytes = event.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _oversized(limit)
                grown(size)
                chunks.append(chunk)
                if not event.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        sentence = f"The request did not arrive within {seconds:g} s."
        raise http_refusal(408, sentence, {"connection": "close"}) from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body`, which has been read, once more."""
    events = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> MutableMapping[str, Any]:
        return events.pop() if events else await receive()

    return again


def parse(body: bytes) -> Any:
    """The JSON value of `body`.

    Raises:
        RpcError: Not JSON (400, -32700).
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RpcError(400, PARSE_ERROR, f"The body is not JSON: {error}.") from None


def request_id_of(document: Any) -> int | str | None:
    """The request's `id`, where it has one that an answer can carry."""
    request_id = document.get("id") if isinstance(document, dict) else None
    return request_id if isinstance(request_id, int | str) and not isinstance(request_id, bool) else None


def as_request(document: Any, body: bytes, headers: Mapping[str, str], raw: RawHeaders) -> Message | None:
    """The JSON-RPC request in `document`, or None for what is not one (a notification, a batch, a malformed object).

    Raises:
        RpcError: The `id` is neither a string nor an integer (-32600), body and headers disagree (-32020), or the
            version is not served (-32022).
    """
    if not isinstance(document, dict):
        return None
    request_id, method = request_id_of(document), document.get("method")
    if request_id is None and "id" in document:
        # Without this it would pass for a notification: accepted (202), and never answered.
        raise RpcError(400, INVALID_REQUEST, "The id of a request must be a string or an integer.")
    params = document.get("params", {})
    if request_id is None or not isinstance(method, str) or not isinstance(params, dict):
        return None
    modern = _is_modern(params, headers)
    rejection = _check_modern(document, headers, raw) if modern else _check_legacy(method, params, headers)
    if rejection is not None:
        status = ERROR_CODE_HTTP_STATUS.get(rejection.code, 400)
        raise RpcError(status, rejection.code, rejection.message, rejection.data)
    return Message(request_id, method, params, body, modern)


def _is_modern(params: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    # The body counts as much as the header: a modern body under no header, or an older one, would otherwise be
    # served with its routing headers unchecked.
    version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
    if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return True
    meta = params.get("_meta")
    return isinstance(meta, dict) and PROTOCOL_VERSION_META_KEY in meta


def _check_modern(
    document: Mapping[str, Any], headers: Mapping[str, str], raw: RawHeaders
) -> InboundLadderRejection | None:
    if len(headers) < len(raw):
        lines = ((name.decode("latin-1"), "") for name, _ in raw)
        if (twice := find_duplicated_routing_header(lines)) is not None:
            return InboundLadderRejection(HEADER_MISMATCH, f"{twice} header appears more than once")
    verdict = classify_inbound_request(document, headers=headers)
    return verdict if isinstance(verdict, InboundLadderRejection) else None


def _check_legacy(method: str, params: Mapping[str, Any], headers: Mapping[str, str]) -> InboundLadderRejection | None:
    # Before 2026-07-28 these headers mean nothing, but who sends them must not mislead what routes by them.
    if headers.get(MCP_METHOD_HEADER, method) != method:
        return InboundLadderRejection(HEADER_MISMATCH, f"{MCP_METHOD_HEADER} header does not match the body's method")
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != params.get(NAME_BEARING_METHODS.get(method, "")):
        return InboundLadderRejection(HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the body")
    return None


def _oversized(limit: int) -> RpcError:
    return http_refusal(413, f"The request is larger than {limit} bytes. Upload a file instead of sending it inline.")

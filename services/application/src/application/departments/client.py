"""Calls of the departments' tools over MCP (protocol 2026-07-28), by one plain POST each.

The protocol's stateless era makes a call one JSON-RPC request with three headers; the official client costs three to
six times the processor time for the same.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
from opentelemetry.trace import SpanKind

from application import metrics
from application.engine import DepartmentUnavailable
from application.errors import DepartmentRefused
from common.caller import CALLER_HEADER, Caller
from common.departments import Department, Departments
from common.service_tokens import ServiceTokenSource, ServiceTokenUnavailable
from common.telemetry import span, trace_headers

MAX_ANSWER_BYTES = 32 << 20
_CONNECTIONS = 32
PROTOCOL_VERSION = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": PROTOCOL_VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "application", "version": "1"},
}
_NOT_OFFERED = {-32601, -32602}


def new_session() -> aiohttp.ClientSession:
    """A pool of connections for all departments and the API server."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, limit_per_host=_CONNECTIONS))


class DepartmentClient:
    """One try per call; whether to try again is the caller's decision."""

    def __init__(self, directory: Departments, tokens: ServiceTokenSource, session: aiohttp.ClientSession) -> None:
        self._directory = directory
        self._tokens = tokens
        self._session = session
        self._ids = itertools.count(1)

    async def call(
        self, department: str, tool: str, arguments: Mapping[str, Any], caller: Caller, seconds: float
    ) -> bytes:
        """The answer to a call of a tool, named without the department's prefix, as it came.

        Raises:
            DepartmentRefused: The department does not let this caller in.
            DepartmentUnavailable: No usable answer within so many seconds.
        """
        known = self._directory.current.get(department)
        if known is None:
            raise DepartmentUnavailable(department, "it is not registered at the moment")
        started = time.monotonic()
        outcome = "unavailable"
        try:
            with span("department.call", SpanKind.CLIENT, department=department, tool=tool):
                answer = await self._post(known, f"{known.tool_prefix}{tool}", arguments, caller, seconds)
            outcome = "answered"
        except DepartmentRefused:
            outcome = "refused"
            raise
        except TimeoutError as error:
            outcome = "timeout"
            raise DepartmentUnavailable(department, f"it did not answer within {seconds:.1f} s") from error
        except ServiceTokenUnavailable as error:
            raise DepartmentUnavailable(department, "the cluster gave no token to call it with") from error
        except (aiohttp.ClientError, OSError) as error:
            raise DepartmentUnavailable(department, "it cannot be reached") from error
        finally:
            metrics.DEPARTMENT_CALLS.labels(department, outcome).observe(time.monotonic() - started)
        return answer

    async def _post(
        self, department: Department, tool: str, arguments: Mapping[str, Any], caller: Caller, seconds: float
    ) -> bytes:
        body = orjson.dumps(
            {
                "jsonrpc": "2.0",
                "id": next(self._ids),
                "method": "tools/call",
                "params": {"name": tool, "arguments": arguments, "_meta": _META},
            }
        )
        timeout = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, 5))
        headers = {
            "authorization": f"Bearer {await self._tokens.token(department.audience)}",
            CALLER_HEADER: caller.to_header(),
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": PROTOCOL_VERSION,
            "mcp-method": "tools/call",
            "mcp-name": tool,
            **trace_headers(),
        }
        async with self._session.post(
            department.endpoint, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            if response.status == 403:
                raise DepartmentRefused(department.name, "it does not let you in")
            answer = await _bounded(response, department.name)
            if response.status != 200:
                _raise_if_not_offered(_json(answer), department.name)
                raise DepartmentUnavailable(department.name, f"it answered with HTTP status {response.status}")
            if response.content_type != "application/json":
                raise DepartmentUnavailable(department.name, f"it answered with {response.content_type[:60]}, not JSON")
            return answer


async def _bounded(response: aiohttp.ClientResponse, department: str) -> bytes:
    chunks = bytearray()
    async for chunk in response.content.iter_any():
        chunks += chunk
        if len(chunks) > MAX_ANSWER_BYTES:
            response.close()
            raise DepartmentUnavailable(department, f"its answer is longer than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(chunks)


def structured_content(answer: bytes, department: str) -> dict[str, Any]:
    """The structured content of a tool's answer.

    Raises:
        DepartmentRefused: The department has no such tool for this caller.
        DepartmentUnavailable: The tool failed, or the answer is not what the protocol says.
    """
    document = _json(answer)
    _raise_if_not_offered(document, department)
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        raise DepartmentUnavailable(department, "it answered with an error of the protocol")
    result = document.get("result") if isinstance(document, dict) else None
    if isinstance(result, dict) and result.get("isError") is True:
        raise DepartmentUnavailable(department, f"it could not answer: {_sentence(result)}")
    content = result.get("structuredContent") if isinstance(result, dict) else None
    if not isinstance(content, dict):
        raise DepartmentUnavailable(department, "its answer is not one of the protocol")
    return content


def _raise_if_not_offered(document: Any, department: str) -> None:
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict) and error.get("code") in _NOT_OFFERED:
        raise DepartmentRefused(department, "it does not offer you this data (any more)")


def _json(answer: bytes) -> Any:
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


def _sentence(result: Mapping[str, Any]) -> str:
    """The tool's own words, as far as they are for people to read."""
    content = result.get("content")
    first = content[0] if isinstance(content, list) and content else None
    text = first.get("text") if isinstance(first, dict) else None
    return "".join(char for char in text if char.isprintable())[:300] if isinstance(text, str) else "no reason given"

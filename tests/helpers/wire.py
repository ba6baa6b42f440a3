"""MCP as it is on the wire, in both eras: no client between a test and the bytes."""

import io
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
from tests.helpers.rest import Answer

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
Era = Literal["modern", "legacy"]
ERAS: tuple[Era, ...] = ("modern", "legacy")

# From a million on: a smaller number could be taken for the size of a data set, which nobody else may know.
_numbers = itertools.count(1_000_000)


@dataclass
class Wire:
    """One caller at one MCP endpoint."""

    session: aiohttp.ClientSession
    url: str
    headers: Mapping[str, str]
    era: Era = "modern"

    async def call(self, method: str, **params: Any) -> Answer:
        """One request as its era has it, and all that was answered."""
        body, headers = request(self.era, method, params)
        async with self.session.post(
            self.url, data=io.BytesIO(body), headers={**headers, **self.headers}, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers.copy(), await response.read())

    async def tool(self, tool: str, /, **arguments: Any) -> Answer:
        """One call of a tool."""
        return await self.call("tools/call", name=tool, arguments=arguments)


def request(era: Era, method: str, params: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a request."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if era == "modern":
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        }
        params = {**params, "_meta": meta}
        headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if (name := params.get("name") or params.get("uri")) is not None:
            headers["Mcp-Name"] = str(name)
    else:
        headers["MCP-Protocol-Version"] = LEGACY
    document = {"jsonrpc": "2.0", "id": next(_numbers), "method": method, "params": params}
    return json.dumps(document).encode(), headers


def message(answer: Answer) -> dict[str, Any]:
    """The JSON-RPC response in an answer, whether it came as JSON or as an event."""
    if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
        data = [line[5:].strip() for line in answer.body.decode().splitlines() if line.startswith("data:")]
        return dict(json.loads(data[-1]))
    return dict(json.loads(answer.body))


def result(answer: Answer) -> dict[str, Any]:
    """The result of a request that must succeed."""
    document = message(answer)
    assert "result" in document, document
    return dict(document["result"])


def structured(answer: Answer) -> dict[str, Any]:
    """What a tool that must succeed answers."""
    content = result(answer)
    assert not content.get("isError"), content
    return dict(content["structuredContent"])


def refused(answer: Answer) -> bool:
    """Whether a request was not fulfilled, in whichever way its protocol says so."""
    if answer.status >= 400:
        return True
    document = message(answer)
    return "error" in document or bool(document["result"].get("isError"))

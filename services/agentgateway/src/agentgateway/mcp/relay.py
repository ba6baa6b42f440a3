"""Passes one request on to a department's server, and its answer back, byte for byte."""

import asyncio
from collections.abc import Mapping

import structlog
from starlette.types import Message as StreamEvent

from agentgateway.mcp.access import CallerAccess
from agentgateway.mcp.answers import outcome_of
from agentgateway.mcp.backends import Backend
from agentgateway.mcp.client import Client, ClientConnected
from agentgateway.mcp.connection import Response
from agentgateway.mcp.errors import RpcError, faulty, unavailable
from agentgateway.mcp.message import Message
from agentgateway.mcp.sse import EventSplitter, event_of, outcome_in

log = structlog.get_logger()

FORWARDED = ("mcp-protocol-version", "mcp-method", "mcp-name")
PARAMETER_PREFIX = "mcp-param-"
RELAYED_STATUSES = frozenset({200, 400, 404})
FORBIDDEN = 403
NOT_SERVED = 503
USUAL_WAIT_SECONDS = 5
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the client's that the protocol gives a meaning beyond this hop; never its token."""
    forwarded = {name: headers[name] for name in FORWARDED if name in headers}
    forwarded.update((name, value) for name, value in headers.items() if name.startswith(PARAMETER_PREFIX))
    return forwarded


def retry_after(response: Response) -> int:
    """Seconds that the department wants to be left alone."""
    value = response.headers.get("retry-after", "")
    return int(value) if value.isdecimal() else USUAL_WAIT_SECONDS


class AccessWithdrawn(Exception):
    """The department's server knows that the caller may not use it, before the gateway's directory does."""


class Relay:
    """One request on its way through the gateway."""

    def __init__(self, backend: Backend, message: Message, headers: Mapping[str, str], client: Client) -> None:
        """Nothing is sent yet; `headers` are those of the client."""
        self._backend = backend
        self._message = message
        self._headers = forwarded_headers(headers)
        self._client = client
        name = message.params.get("name")
        self._tool = name if message.method == "tools/call" and isinstance(name, str) else message.method

    async def run(self, access: CallerAccess, seconds: float) -> str:
        """Answer the client within `seconds`, and tell the outcome in one word.

        Raises:
            RpcError: The department's server did not do its part; nothing has been sent to the client.
            AccessWithdrawn: The department's server refuses the caller; nothing has been sent to the client.
            ClientGone: The client did not wait; the department's server has been told by a closed connection.
        """
        try:
            async with (
                ClientConnected(self._client),
                self._backend.post(access, self._message.body, self._headers, seconds, self._tool) as (
                    response,
                    deadline,
                ),
            ):
                streamed = response.status == 200 and response.content_type == "text/event-stream"
                last, outcome = await (self._stream(response, deadline) if streamed else self._read(response))
        except RpcError as error:
            if not self._client.status:
                raise
            # There is no other status once the first event is out, so the error becomes the stream's last event.
            last, outcome = event_of(error.body(self._message.id)), error.outcome
        if self._client.status:
            await self._client.send({"type": "http.response.body", "body": last})
        else:
            await self._client.respond(response.status, last)
        return outcome

    async def _read(self, response: Response) -> tuple[bytes, str]:
        name = self._backend.name
        if response.status == FORBIDDEN:
            raise AccessWithdrawn
        if response.status == NOT_SERVED:
            raise unavailable(name, retry_after(response))
        if response.status not in RELAYED_STATUSES:
            log.warning("department.refused", department=name, status=response.status)
            raise faulty(name, f"it answered HTTP {response.status}")
        body = await self._backend.read(response)
        try:
            outcome = outcome_of(body)
        except ValueError:
            raise faulty(name, "it is not JSON") from None
        if outcome is None:
            raise faulty(name, "it is not a JSON-RPC response")
        return body, outcome

    async def _stream(self, response: Response, deadline: asyncio.Timeout) -> tuple[bytes, str]:
        """Pass events on as they come, but for the response itself, which is returned with its outcome."""
        await self._send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS}, deadline)
        splitter = EventSplitter()
        async for chunk in response.chunks():
            for event in splitter.feed(chunk):
                if (outcome := outcome_in(event)) is not None:
                    return event, outcome
                await self._send({"type": "http.response.body", "body": event, "more_body": True}, deadline)
            self._backend.check_size(splitter.held)
        raise faulty(self._backend.name, "the stream ended without a response")

    async def _send(self, event: StreamEvent, deadline: asyncio.Timeout) -> None:
        """Send a part of the stream; the time that the client takes for it is not the department's."""
        loop = asyncio.get_running_loop()
        due, started = deadline.when(), loop.time()
        deadline.reschedule(None)
        await self._client.send(event)
        if due is not None:
            deadline.reschedule(due + loop.time() - started)

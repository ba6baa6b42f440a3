"""Each in a process of its own: OpenTelemetry's provider is set once for a process."""

import asyncio
import subprocess
import sys
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

SERVICE = """
import asyncio, sys
import httpx2
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from common.settings import ServiceSettings
from common.telemetry import instrument, name_request, span, trace_headers

async def work(request):
    name_request("GET /{thing}")
    return JSONResponse(trace_headers())

async def fail(request):
    with span("enrich"):
        raise ValueError("the bank account of Secret Ltd")

async def main():
    app = Starlette(routes=[Route("/work", work), Route("/fail", fail), Route("/healthz", work)])
    traced = instrument(app, "tested", ServiceSettings(), public="public" in sys.argv)
    if traced is app:
        print("untraced")
    transport = httpx2.ASGITransport(traced, raise_app_exceptions=False)
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://service", headers=headers) as client:
        await client.get("/healthz")
        print((await client.get("/work?name=secret.csv")).json().get("traceparent", ""))
        await client.get("/fail")

asyncio.run(main())
"""


async def run_service(environment: dict[str, str], *arguments: str) -> list[str]:
    command = [sys.executable, "-c", SERVICE, *arguments]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


async def run_traced(*arguments: str) -> tuple[list[Span], str]:
    """The spans that a service sends, and what it tells the next service."""
    received: list[bytes] = []

    async def collect(request: web.Request) -> web.Response:
        received.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    async with TestServer(app) as collector:
        endpoint = str(collector.make_url("")).rstrip("/")
        (told,) = await run_service({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, *arguments)
    (body,) = received
    assert b"ecret" not in body
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    attributes = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert attributes["service.name"] == "tested"
    return [span for scope in resource.scope_spans for span in scope.spans], told


async def test_traces_are_off_unless_an_endpoint_is_set() -> None:
    assert await run_service({}) == ["untraced", ""]


async def test_a_request_goes_on_with_the_trace_of_another_service() -> None:
    spans, told = await run_traced()
    assert [span.name for span in spans] == ["GET /{thing}", "enrich", "GET"]
    answered, failed, request = spans
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert [span.parent_span_id.hex() for span in (answered, request)] == [CALLER, CALLER]
    assert failed.parent_span_id == request.span_id
    assert told == f"00-{TRACE}-{answered.span_id.hex()}-01"
    assert [span.status.code for span in spans] == [Status.STATUS_CODE_UNSET, *[Status.STATUS_CODE_ERROR] * 2]


async def test_a_trace_from_outside_is_linked_and_not_gone_on_with() -> None:
    spans, _ = await run_traced("public")
    answered, _, request = spans
    assert len({span.trace_id.hex() for span in spans} | {TRACE}) == 3
    for span in (answered, request):
        assert not span.parent_span_id
        assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [(TRACE, CALLER)]


async def test_metrics_are_served_on_a_port_of_their_own(unused_tcp_port: int, tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(
        "import sys\nfrom common.settings import ServiceSettings\nfrom common.telemetry import metrics_server\n"
        "with metrics_server(ServiceSettings()):\n    print('up', flush=True)\n    sys.stdin.read()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"METRICS_PORT": str(unused_tcp_port), "HOST": "127.0.0.1"},
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{unused_tcp_port}/") as response:
        assert "process_resident_memory_bytes" in await response.text()
    await process.communicate(b"")
    assert process.returncode == 0

"""Each in a process of its own: OpenTelemetry's provider is set once for a process."""

import asyncio
import subprocess
import sys
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SERVICE = """
import asyncio, sys
import httpx2
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from common.settings import ServiceSettings
from common.telemetry import instrument, trace_headers

async def answer(request):
    return JSONResponse(trace_headers())

async def main():
    app = Starlette(routes=[Route(path, answer) for path in ("/work", "/healthz")])
    traced = instrument(app, "tested", ServiceSettings())
    if traced is app:
        print("untraced")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(traced), base_url="http://service") as client:
        await client.get("/healthz")
        print((await client.get("/work")).json().get("traceparent", ""))

asyncio.run(main())
provider = trace.get_tracer_provider()
getattr(provider, "shutdown", lambda: None)()
"""


async def run_service(environment: dict[str, str]) -> list[str]:
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", SERVICE], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


async def test_traces_are_off_unless_an_endpoint_is_set() -> None:
    assert await run_service({}) == ["untraced", ""]


async def test_a_request_is_exported_as_a_span_and_carried_on_to_the_next_service() -> None:
    received: list[ExportTraceServiceRequest] = []

    async def collect(request: web.Request) -> web.Response:
        received.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    async with TestServer(app) as collector:
        endpoint = str(collector.make_url("")).rstrip("/")
        (traceparent,) = await run_service({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})

    (resource,) = received[0].resource_spans
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    attributes = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert attributes["service.name"] == "tested"
    assert any(span.name == "GET /work" for span in spans)
    assert not any("healthz" in span.name for span in spans)
    assert traceparent.split("-")[1] == spans[0].trace_id.hex()


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

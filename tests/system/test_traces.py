"""Traces as an OpenTelemetry collector gets them: one for each request, through every service that took part."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.helpers.rest import Rest, bearer
from tests.helpers.stack import Stack, free_port, wait_for
from tests.helpers.wire import Wire, structured

from local.kubernetes.tools import tool

pytestmark = pytest.mark.slow

SERVICES = ("gateway", "application", "worker", "mcp-finance")
OUTSIDE, OUTSIDE_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{OUTSIDE}-{OUTSIDE_SPAN}-01"
SERVER, CLIENT, CONSUMER = 2, 3, 5


@dataclass(frozen=True)
class Collector:
    """A collector that takes spans by OTLP/HTTP and writes them to a file."""

    endpoint: str
    file: Path

    @property
    def spans(self) -> list[tuple[str, dict[str, Any]]]:
        """Every span that came, with its service."""
        found = []
        for line in self.file.read_text().rpartition("\n")[0].splitlines():  # the last may not be all there
            for resource in json.loads(line)["resourceSpans"]:
                told = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
                found += [
                    (told["service.name"]["stringValue"], span)
                    for scope in resource["scopeSpans"]
                    for span in scope["spans"]
                ]
        return found

    def chain(self, name: str) -> list[tuple[str, str, int]]:
        """Service, name and kind of the first span of this name by a department, and of all above it to the root."""
        spans = {span["spanId"]: (service, span) for service, span in self.spans}
        below = (span for service, span in spans.values() if service.startswith("mcp-") and span["name"] == name)
        span, found = next(below, None), []
        while span is not None and span["spanId"] in spans:
            found.append((spans[span["spanId"]][0], span["name"], span["kind"]))
            _, parent = spans.get(span.get("parentSpanId", ""), ("", None))
            span = parent
        return found[::-1]


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder, address = tmp_path_factory.mktemp("collector"), f"127.0.0.1:{free_port()}"
    file = folder / "spans.json"
    configuration = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": address}}}},
        "exporters": {"file": {"path": str(file), "flush_interval": "100ms"}},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    (folder / "config.yaml").write_text(json.dumps(configuration))
    with (folder / "log").open("w") as log:
        command = [str(tool("otelcol")), f"--config={folder / 'config.yaml'}"]
        with subprocess.Popen(command, stdout=log, stderr=log) as process:
            wait_for("the collector is ready", lambda: "Everything is ready" in (folder / "log").read_text())
            yield Collector(f"http://{address}", file)
            process.terminate()


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    folder = tmp_path_factory.mktemp("traced")
    with Stack(folder, settings=dict.fromkeys(SERVICES, settings)) as running:
        yield running


async def test_a_job_and_a_call_are_each_one_trace_from_the_gateway_to_the_department(
    collector: Collector, traced: Stack, session: aiohttp.ClientSession
) -> None:
    headers = {**bearer(traced.tokens["alice"]), "traceparent": TRACEPARENT}
    await Rest(session, traced.gateway, headers).enrich("payroll.csv", b"vendor_id\nV-10001\n")
    wire = Wire(session, f"{traced.gateway}/mcp", headers, "legacy")
    answer = await wire.call(
        "tools/call",
        name="finance_search_vendors",
        arguments={"query": "confidential"},
        _meta={"traceparent": TRACEPARENT},
    )
    assert "rows" in structured(answer)

    # The worker's span is the last to end.
    wait_for("the job's spans", lambda: len(collector.chain("tools/call finance_lookup_vendors")) == 5)
    assert collector.chain("tools/call finance_lookup_vendors") == [
        ("agentgateway", "POST /api/jobs", SERVER),
        ("application", "POST /api/jobs", SERVER),
        ("application-worker", "job", CONSUMER),
        ("application-worker", "department.call", CLIENT),
        ("mcp-finance", "tools/call finance_lookup_vendors", SERVER),
    ]
    call = [
        ("agentgateway", "tools/call", SERVER),
        ("agentgateway", "department.call", CLIENT),
        ("mcp-finance", "tools/call finance_search_vendors", SERVER),
    ]
    wait_for("the call's spans", lambda: collector.chain("tools/call finance_search_vendors") == call)

    spans = collector.spans
    assert OUTSIDE not in {span["traceId"] for _, span in spans}
    for service, span in spans:
        links = [(link["traceId"], link["spanId"]) for link in span.get("links", [])]
        outside = (OUTSIDE, OUTSIDE_SPAN)
        # By the header, and by `_meta`.
        expected = 2 if span["name"] == "tools/call" else 1 if "parentSpanId" not in span else 0
        assert (service, links) == (service, [outside] * expected)
    assert all(word not in collector.file.read_text() for word in ("payroll", "V-10001", "confidential", "alice"))

    job = next(span for _, span in spans if span["name"] == "job")
    lines = map(json.loads, traced.log("worker").read_text().splitlines())
    assert {line["trace_id"] for line in lines if line["event"] in {"job.started", "job.ended"}} == {job["traceId"]}

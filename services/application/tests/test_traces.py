"""What a job tells those who run the service: its spans, and whether its result was there in time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import urllib3
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.stack import Platform, Stack, free_port, running_stack, wait_until

from application.records import CALLER_SECONDS, Job

pytestmark = pytest.mark.slow

METRICS_PORT = free_port()
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
OTHER = "11111111111111111111111111111111"


@dataclass
class Collector:
    """Takes spans by OTLP/HTTP."""

    url: str = ""
    spans: list[tuple[str, Span]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            service = next(one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response()

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/traces", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def named(self, service: str, name: str, trace: str = TRACE) -> list[Span]:
        return [span for by, span in self.spans if (by, span.name, span.trace_id.hex()) == (service, name, trace)]

    def spans_of(self, service: str) -> set[bytes]:
        return {span.span_id for by, span in self.spans if (by, span.trace_id.hex()) == (service, TRACE)}


@pytest.fixture(scope="module")
def collector(platform: Platform) -> Iterator[Collector]:
    collecting = Collector()
    runner = platform.background.run(collecting.start())
    yield collecting
    platform.background.run(runner.cleanup())


@pytest.fixture(scope="module")
def stack(platform: Platform, collector: Collector) -> Iterator[Stack]:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with running_stack(platform, "traces", **settings) as running:
        running.start_worker(METRICS_PORT=str(METRICS_PORT))
        yield running


def attributes(span: Span) -> dict[str, str | int]:
    return {
        one.key: one.value.string_value if one.value.HasField("string_value") else one.value.int_value
        for one in span.attributes
    }


def headers(trace: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{PARENT}-01"}


def test_a_job_is_part_of_the_trace_of_its_submission_and_so_are_its_calls_of_departments(
    collector: Collector, alice: Client, finance: FakeDepartment
) -> None:
    file = alice.upload(b"vendor_id\nV-00001\nV-00002\n")
    finance.traces.clear()
    answer = alice.call("POST", "/api/jobs", document={"file": file}, headers=headers(TRACE))
    job = answer.json()["id"]
    alice.wait(job, "succeeded")

    (run,) = wait_until(lambda: collector.named("application-worker", "job"))
    told = attributes(run)
    assert (told["job"], told["attempt"], told["outcome"]) == (job, 1, "succeeded")
    wait_until(lambda: run.parent_span_id in collector.spans_of("application"))

    (enriched,) = wait_until(lambda: collector.named("application-worker", "enrich"))
    (published,) = wait_until(lambda: collector.named("application-worker", "publish"))
    assert {enriched.parent_span_id, published.parent_span_id} == {run.span_id}
    assert attributes(published)["rows"] == 2
    (lookup,) = collector.named("application-worker", "department.call")
    assert lookup.parent_span_id == run.span_id
    assert attributes(lookup) == {"department": "finance", "tool": "lookup_vendors"}
    (described,) = wait_until(lambda: collector.named("application", "department.call"))
    sent = {f"00-{TRACE}-{span.span_id.hex()}-01" for span in (lookup, described)}
    assert finance.traces == sent
    wait_until(lambda: described.parent_span_id in collector.spans_of("application"))


def test_a_retry_is_part_of_its_own_requests_trace(
    collector: Collector, alice: Client, finance: FakeDepartment
) -> None:
    file = alice.upload(b"vendor_id\nV-00001\n")
    finance.misbehave = lambda _: setattr(finance, "status", 403)
    answer = alice.call("POST", "/api/jobs", document={"file": file}, headers=headers(OTHER))
    job = answer.json()["id"]
    alice.wait(job, "failed")
    finance.behave()
    again = "2" * 32
    assert alice.call("POST", f"/api/jobs/{job}/retry", headers=headers(again)).status == 202
    alice.wait(job, "succeeded")
    (failed,) = wait_until(lambda: collector.named("application-worker", "job", OTHER))
    assert attributes(failed)["outcome"] == "failed"
    (retried,) = wait_until(lambda: collector.named("application-worker", "job", again))
    assert (attributes(retried)["job"], attributes(retried)["outcome"]) == (job, "succeeded")


def results() -> tuple[float, float]:
    """How many results of finance were counted, and how many of them as late."""
    text = urllib3.request("GET", f"http://127.0.0.1:{METRICS_PORT}/metrics").data.decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    names = ("application_results_total", "application_results_late_total")
    return tuple(float(values.get(f'{name}{{department="finance"}}', 0)) for name in names)  # type: ignore[return-value]


def test_a_result_that_a_department_prevents_is_late_and_one_without_the_right_to_it_is_none(
    alice: Client, finance: FakeDepartment
) -> None:
    file = alice.upload(b"vendor_id\nV-00001\n")
    before = results()
    finance.misbehave = lambda _: setattr(finance, "status", 403)
    alice.wait(alice.submit(file), "failed")
    finance.behave()
    alice.wait(alice.submit(file), "succeeded")
    wait_until(lambda: results() == (before[0] + 1, before[1]))
    finance.misbehave = lambda _: setattr(finance, "status", 503)
    alice.wait(alice.submit(file), "failed")
    wait_until(lambda: results() == (before[0] + 2, before[1] + 1))


@pytest.mark.parametrize(
    ("mebibytes", "seconds", "late"), [(0, 55, False), (0, 61, True), (40, 95, False), (40, 101, True)]
)
def test_a_job_may_take_a_minute_and_a_second_for_each_mebibyte(mebibytes: int, seconds: int, late: bool) -> None:
    job: dict[str, Any] = {"caller_until": time.time() - seconds + CALLER_SECONDS, "file_size": mebibytes << 20}
    assert Job.model_construct(**job).is_late is late

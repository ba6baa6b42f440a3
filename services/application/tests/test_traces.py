"""A job's spans belong to the trace of the request that submitted it, and go on in the departments."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from services.application.tests.support.client import Client
from services.application.tests.support.departments import FakeDepartment
from services.application.tests.support.stack import Platform, Stack, running_stack, wait_until

pytestmark = pytest.mark.slow

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
        running.start_worker()
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

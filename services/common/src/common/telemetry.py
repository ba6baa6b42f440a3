"""Traces by OpenTelemetry (off unless an endpoint is set) and Prometheus metrics on a port of their own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import prometheus_client
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind
from starlette.types import ASGIApp

from common.settings import ServiceSettings


def instrument(app: ASGIApp, service: str, settings: ServiceSettings) -> ASGIApp:
    """Trace each request of `app`, where an OTLP endpoint is set; otherwise `app` itself, at no cost."""
    if _provide(service, settings) is None:
        return app
    return OpenTelemetryMiddleware(app, excluded_urls="healthz,readyz")


@contextmanager
def traced(service: str, settings: ServiceSettings) -> Iterator[None]:
    """Send the spans of a process that serves no requests, where an OTLP endpoint is set; the last ones at the end."""
    provider = _provide(service, settings)
    try:
        yield
    finally:
        if provider is not None:
            provider.shutdown()


def _provide(service: str, settings: ServiceSettings) -> TracerProvider | None:
    if settings.otel_exporter_otlp_endpoint is None:
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, parent: Mapping[str, str] | None = None, **attributes: str | int
) -> Iterator[Span]:
    """A span of what is done in the context, which costs next to nothing where traces are off.

    Args:
        name: What is done, the same for all of its kind.
        kind: Which side of a call it is, if it is one.
        parent: Headers, as of `trace_headers`, of what it goes on from; without them it is part of the present span.
        attributes: What was different this time.
    """
    context = propagate.extract(parent) if parent else None
    with trace.get_tracer("common").start_as_current_span(name, context, kind, attributes) as started:
        yield started


def trace_headers() -> dict[str, str]:
    """Headers (W3C Trace Context) that make another service's span a child of the present one; empty without one."""
    carrier: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        propagate.inject(carrier)
    return carrier


@contextmanager
def metrics_server(settings: ServiceSettings) -> Iterator[None]:
    """Serve this process's metrics on `METRICS_PORT` for as long as the context lasts."""
    server, thread = prometheus_client.start_http_server(settings.metrics_port, settings.host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

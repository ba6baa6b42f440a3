"""Traces by OpenTelemetry (off unless an endpoint is set) and Prometheus metrics on a port of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.types import ASGIApp

from common.settings import ServiceSettings


def instrument(app: ASGIApp, service: str, settings: ServiceSettings) -> ASGIApp:
    """Trace each request of `app`, where an OTLP endpoint is set; otherwise `app` itself, at no cost."""
    if settings.otel_exporter_otlp_endpoint is None:
        return app
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return OpenTelemetryMiddleware(app, excluded_urls="healthz,readyz")


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

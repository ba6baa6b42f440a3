"""Traces by OpenTelemetry (off unless an endpoint is set) and Prometheus metrics on a port of their own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import prometheus_client
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.settings import ServiceSettings

SERVER_ERROR = 500

_PROBES = frozenset({"/healthz", "/readyz"})
_W3C = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("common")


def instrument(app: ASGIApp, service: str, settings: ServiceSettings, *, public: bool = False) -> ASGIApp:
    """Trace each request of `app`, where an OTLP endpoint is set; otherwise `app` itself, at no cost.

    Args:
        app: What answers the requests.
        service: Its name in traces.
        settings: Where spans are sent.
        public: Whether anybody may call. A caller's trace is then linked, never continued: that could make us
            record what we would not, hang its spans into another caller's trace, or make one trace of all of its calls.
    """
    if _provide(service, settings) is None:
        return app
    return _Traced(app, public=public)


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
    sampler = ParentBasedTraceIdRatio(settings.otel_traces_sampler_arg)
    provider = TracerProvider(sampler, Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


class _Traced:
    """An ASGI application each of whose requests is a span.

    OpenTelemetry's own keeps the path, the query, and the client's address and program as they came. A caller can write
    anything there; here a span has its method, its status, and the name that `name_request` gives it.
    """

    def __init__(self, app: ASGIApp, *, public: bool) -> None:
        self._app = app
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; probes leave no span."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
        parent = Context() if self._public else _context(sent)
        with _span(scope["method"], SpanKind.SERVER, parent, {"http.request.method": scope["method"]}) as started:
            if self._public:
                link_caller(sent)

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    started.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= SERVER_ERROR:
                        started.set_status(StatusCode.ERROR)
                await send(message)

            await self._app(scope, receive, answer)


def name_request(name: str) -> None:
    """Call the span of the present request what it turned out to be for: a route, or a tool that exists."""
    trace.get_current_span().update_name(name)


def link_caller(traceparent: object) -> None:
    """Link the present span to the trace that a caller from outside says it is in, if it is one."""
    current = trace.get_current_span()
    if current.is_recording() and isinstance(traceparent, str):
        told = trace.get_current_span(_context(traceparent)).get_span_context()
        if told.is_valid:
            current.add_link(told)


@contextmanager
def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, traceparent: str | None = None, **attributes: str | int
) -> Iterator[Span]:
    """A span of what is done in the context, which costs next to nothing where traces are off.

    Args:
        name: What is done, the same for all of its kind.
        kind: Which side of a call it is, if it is one.
        traceparent: The span that it goes on from, as of `trace_headers`; without it, it is part of the present one.
        attributes: What was different this time: nothing of a file or of a department's data.
    """
    with _span(name, kind, _context(traceparent) if traceparent else None, attributes) as started:
        yield started


@contextmanager
def _span(name: str, kind: SpanKind, parent: Context | None, attributes: Mapping[str, str | int]) -> Iterator[Span]:
    with _TRACER.start_as_current_span(
        name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as started:
        try:
            yield started
        except Exception as error:
            # Its kind only: what it says may be of a file or of a department's data.
            started.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def _context(traceparent: str | None) -> Context:
    return _W3C.extract({"traceparent": traceparent} if traceparent else {}, Context())


def trace_headers() -> dict[str, str]:
    """Headers (W3C Trace Context) that make another service's span a child of the present one; empty without one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
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

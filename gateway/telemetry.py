"""
Traces: spans of our own around HTTP and messages, the OpenTelemetry SDK set up once beside the command line.

One trace goes from the POST to the partner's acknowledgement: its context travels in the outbox, the bus and the delivery.
A span holds the route's pattern, never the address itself, and no identifier of a person.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.settings import Settings

_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("trait-dunion")


def set_up(settings: Settings) -> TracerProvider | None:
    """Install the SDK with the exporter of the settings; None when telemetry is off. Call it once per process."""
    processors: dict[str, SpanProcessor] = {}
    if settings.otel_exporter == "console":
        processors["console"] = SimpleSpanProcessor(ConsoleSpanExporter())
    elif settings.otel_exporter == "otlp":
        processors["otlp"] = BatchSpanProcessor(OTLPSpanExporter())
    if not processors:
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": "trait-dunion"}))
    for processor in processors.values():
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, to be kept beside what it started; None without telemetry."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(
    name: str, kind: SpanKind, *, parent: str | None = None, attributes: Mapping[str, str | int] | None = None
) -> Iterator[Span]:
    """Open a span under a kept `parent` traceparent, or under the current span; an error is named by its type only."""
    context: Context | None = _propagator.extract({"traceparent": parent}) if parent else None
    with _tracer.start_as_current_span(
        name, context, kind, attributes=dict(attributes or {}), record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield opened
        except Exception as error:
            opened.set_status(StatusCode.ERROR, type(error).__name__)
            raise


class TraceMiddleware:
    """
    The span of each HTTP request, and its correlation id: pure ASGI, named by method and route pattern.

    The correlation id is the `instance` of problems and the header `X-Correlation-Id`; it is ours, never the client's.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request inside its span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation = str(uuid.uuid4())
        scope["correlation_id"] = correlation
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name == b"traceparent"
        }
        with span(scope["method"], SpanKind.SERVER, parent=headers.get("traceparent")) as opened:

            async def tell(message: Message) -> None:
                if message["type"] == "http.response.start":
                    opened.set_attribute("http.response.status_code", message["status"])
                    message.setdefault("headers", []).append((b"x-correlation-id", correlation.encode()))
                await send(message)

            try:
                await self._app(scope, receive, tell)
            finally:
                route = getattr(scope.get("route"), "path", "(no route)")
                opened.update_name(f"{scope['method']} {route}")
                opened.set_attribute("http.route", route)

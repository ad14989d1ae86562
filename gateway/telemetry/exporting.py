"""
The OpenTelemetry SDK and its exporters. Read only where telemetry is on: off, the default, they would be a tenth of what starting a
relay costs.
"""

from __future__ import annotations

import os
import uuid
from importlib.metadata import version

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor


def provider_to(exporter: str) -> TracerProvider:
    """Make what records spans and sends them to the `console`, or else by OTLP over HTTP."""
    own = {"service.version": version("trait-dunion"), "service.instance.id": str(uuid.uuid4())}
    if not os.environ.get(OTEL_SERVICE_NAME):
        own["service.name"] = "trait-dunion"
    provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
    to_console = exporter == "console"
    provider.add_span_processor(
        SimpleSpanProcessor(ConsoleSpanExporter()) if to_console else BatchSpanProcessor(OTLPSpanExporter())
    )
    return provider

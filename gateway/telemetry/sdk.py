"""
The OpenTelemetry SDK, set up once beside the command line: where spans go.
"""

from __future__ import annotations

import os
import uuid
from importlib.metadata import version
from threading import Thread
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

from gateway.settings import Settings
from gateway.telemetry.spans import record_with

_PATIENCE: Final = 5.0
"""Seconds given to the last spans: a collector that is away must not hold a process that stops."""

_providers: list[TracerProvider] = []


def set_up(settings: Settings) -> TracerProvider | None:
    """
    Record spans with the exporter of the settings; None when telemetry is off. Call it once per process.

    The standard variables hold for the rest: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`.
    """
    if settings.otel_exporter == "none":
        return None
    processor: SpanProcessor
    if settings.otel_exporter == "console":
        processor = SimpleSpanProcessor(ConsoleSpanExporter())
    else:
        processor = BatchSpanProcessor(OTLPSpanExporter())
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    record_with(provider.get_tracer("trait-dunion", version("trait-dunion")))
    _providers.append(provider)
    return provider


def close() -> None:
    """Stop recording and send what is left, for a few seconds at most; nothing to do when telemetry is off."""
    record_with(None)
    while _providers:
        # The SDK waits for its exporter as long as that tries; the server re-raises the signal that stops it right after us.
        ending = Thread(target=_providers.pop().shutdown, daemon=True)
        ending.start()
        ending.join(_PATIENCE)


def _resource() -> Resource:
    own = {"service.version": version("trait-dunion"), "service.instance.id": str(uuid.uuid4())}
    if not os.environ.get(OTEL_SERVICE_NAME):
        own["service.name"] = "trait-dunion"
    return Resource.create(own)

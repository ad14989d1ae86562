"""
The OpenTelemetry SDK, set up once beside the command line: where spans go.
"""

from __future__ import annotations

from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING, Final

from gateway.settings import Settings
from gateway.telemetry.spans import record_with

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

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
    from gateway.telemetry.exporting import provider_to  # noqa: PLC0415 - off, the default, nobody loads the SDK

    provider = provider_to(settings.otel_exporter)
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

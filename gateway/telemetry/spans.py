"""
Spans of our own, through the OpenTelemetry API; when nothing records them they cost next to nothing.

What may stand in one: names fixed in the code, route patterns, counts, error types, ids of exchanges and deliveries. Texts pass
the same guard as the logs. The state of other vendors (`tracestate`, `baggage`) is not carried on: it could hold anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.logs import redacted

MOST_PARTS: Final = 128
"""Traces of which one operation tells, and links of its span: the SDK's own limit of links. The others are counted."""

Attributes = Mapping[str, str | int]

_propagator = TraceContextTextMapPropagator()


@dataclass(slots=True)
class _Recorder:
    tracer: Tracer | None = None


_recorder = _Recorder()


def record_with(tracer: Tracer | None) -> None:
    """Record spans with the tracer of an SDK from now on; None: record nothing."""
    _recorder.tracer = tracer


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, to be kept beside what it started; None without telemetry."""
    if _recorder.tracer is None:
        return None
    return _traceparent(trace.get_current_span())


def note(attributes: Attributes) -> None:
    """Add attributes to the current span."""
    if _recorder.tracer is not None:
        trace.get_current_span().set_attributes(_guarded(attributes))


@contextmanager
def span(
    name: str, kind: SpanKind, *, parent: str | None = None, attributes: Attributes | None = None
) -> Iterator[Span]:
    """Open a span under a kept `parent` traceparent, or under the current span; an error is named by its type only."""
    tracer = _recorder.tracer
    if tracer is None:
        yield INVALID_SPAN
        return
    context = _context(parent) if parent else None
    with tracer.start_as_current_span(
        name, context, kind, _guarded(attributes or {}), record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield opened
        except BaseException as error:
            _fail(opened, type(error).__name__)
            raise


class Carried(Protocol):
    """What a batch holds one of: the traceparent it was kept with, and its identifiers."""

    @property
    def trace(self) -> str | None:
        """The traceparent of what started it; None: nothing recorded it."""

    @property
    def exchange_id(self) -> str:
        """The id of its exchange."""

    @property
    def delivery_id(self) -> str:
        """The id of its delivery."""


class Parts:
    """
    One operation on a batch, as each of the traces that the batch comes from sees it; false when nothing is recorded.
    """

    def __init__(self, spans: Mapping[str, Span]) -> None:
        """`spans`: the traceparent that was carried, and the span opened under it."""
        self._spans = spans

    def __bool__(self) -> bool:
        return bool(self._spans)

    def under(self, carried: str | None) -> str | None:
        """The traceparent to carry on with: that of the operation, under the one that was carried so far."""
        opened = self._spans.get(carried or "")
        return carried if opened is None else _traceparent(opened) or carried

    def fail(self, why: str, carried: Collection[str | None] | None = None) -> None:
        """Say that the operation failed, for some traces or (None) for all; `why` is a type or a code."""
        for traceparent, opened in self._spans.items():
            if carried is None or traceparent in carried:
                _fail(opened, why)

    def end(self) -> None:
        """End every span."""
        for opened in self._spans.values():
            opened.end()


_NOTHING = Parts({})


@contextmanager
def parts(
    name: str, kind: SpanKind, batch: Iterable[Carried], attributes: Attributes, *, began: int | None = None
) -> Iterator[Parts]:
    """
    Tell of an operation on a batch in the trace of each exchange: one short span per trace, linked with the current span.

    A batch of one file is one trace, whatever the number of its documents: the spans are as many as the traces, and at most
    `MOST_PARTS`. `began`: when the operation began, in nanoseconds since the epoch, if it was before this call.
    """
    tracer = _recorder.tracer
    if tracer is None:
        yield _NOTHING
        return
    opened = _opened(tracer, name, kind, batch, _guarded(attributes), began)
    try:
        yield opened
    except BaseException as error:
        opened.fail(type(error).__name__)
        raise
    finally:
        opened.end()


def told(name: str, batch: Iterable[Carried], attributes: Attributes, began: int) -> None:
    """Tell afterwards of an operation on a batch that went well, as `parts` does."""
    with parts(name, SpanKind.INTERNAL, batch, attributes, began=began):
        return


def messaging(operation: str, kind: str, *, system: str, destination: str) -> dict[str, str | int]:
    """The attributes of an operation on messages (OpenTelemetry semantic conventions for messaging)."""
    return {
        "messaging.system": system,
        "messaging.destination.name": destination,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
    }


def bus_system(bus_url: str) -> str:
    """Name the system that carries messages; one of our own has our own name."""
    return "rabbitmq" if bus_url else "trait-dunion"


def _opened(
    tracer: Tracer, name: str, kind: SpanKind, batch: Iterable[Carried], attributes: Attributes, began: int | None
) -> Parts:
    traces: dict[str, list[Carried]] = {}
    for item in batch:
        if item.trace:
            traces.setdefault(item.trace, []).append(item)
    here = trace.get_current_span()
    links = [Link(here.get_span_context())] if here.is_recording() else []
    spans = {}
    for traceparent, items in islice(traces.items(), MOST_PARTS):
        held = {**attributes, **_identity(items)}
        spans[traceparent] = part = tracer.start_span(name, _context(traceparent), kind, held, links, began)
        if links:
            here.add_link(part.get_span_context())
    if len(traces) > MOST_PARTS:
        here.set_attribute("tdu.traces_left_out", len(traces) - MOST_PARTS)
    return Parts(spans)


def _identity(items: list[Carried]) -> Attributes:
    if len(items) > 1:
        return {"messaging.batch.message_count": len(items)}
    return {"tdu.exchange.id": items[0].exchange_id, "tdu.delivery.id": items[0].delivery_id}


def _context(traceparent: str) -> Context:
    # From an empty context: an unreadable traceparent starts a trace, and never joins the current one by accident.
    return _propagator.extract({"traceparent": traceparent}, Context())


def _traceparent(opened: Span) -> str | None:
    at = opened.get_span_context()
    if not at.is_valid:
        return None
    return f"00-{trace.format_trace_id(at.trace_id)}-{trace.format_span_id(at.span_id)}-{at.trace_flags & 1:02x}"


def _fail(opened: Span, why: str) -> None:
    opened.set_attribute("error.type", why)
    opened.set_status(StatusCode.ERROR, why)


def _guarded(attributes: Attributes) -> dict[str, str | int]:
    return {name: redacted(value) if isinstance(value, str) else value for name, value in attributes.items()}

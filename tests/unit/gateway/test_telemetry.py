"""
Spans of our own: one trace per exchange whatever the batches, nothing personal in it, next to nothing when nobody records.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import consent.tables
import gateway.store.tables
from gateway import telemetry
from gateway.bus import outbox
from gateway.bus.base import DELIVERIES, Message
from gateway.bus.cloudevent import delivery_ready
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.outbox import InTrace
from gateway.bus.relay import Relay
from gateway.metrics import Measures
from gateway.settings import Settings
from gateway.store.database import Database
from gateway.telemetry.spans import MOST_PARTS, record_with

NIR = "285053999900142"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)

pytestmark = pytest.mark.anyio


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    """Every span that ends during the test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    record_with(provider.get_tracer("test"))
    yield exporter
    record_with(None)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database with every table."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'spans.sqlite'}")
    async with database.write() as tx:
        for metadata in (consent.tables.metadata, gateway.store.tables.metadata):
            await tx.run_sync(metadata.create_all)
    yield database
    await database.close()


def traceparent() -> str:
    return f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"


def carried(*traces: str | None) -> list[InTrace]:
    return [InTrace(trace, f"exchange-{rank}", f"delivery-{rank}") for rank, trace in enumerate(traces)]


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    return f"00-{span.parent.trace_id:032x}-{span.parent.span_id:016x}-01"


def test_without_an_exporter_nothing_is_recorded_and_nothing_changes() -> None:
    """Telemetry that is off gives no trace to keep, and leaves a message as it was carried."""
    kept = traceparent()
    assert telemetry.set_up(Settings()) is None
    with telemetry.span("work", SpanKind.SERVER, parent=kept) as opened:
        assert not opened.is_recording()
        assert telemetry.current_traceparent() is None
        with telemetry.parts("part", SpanKind.PRODUCER, carried(kept), {}) as parts:
            assert not parts
            assert kept == parts.under(kept)
    telemetry.close()


def test_what_was_kept_from_a_request_continues_its_trace(recorded: InMemorySpanExporter) -> None:
    """The traceparent that a request leaves behind is the parent of what is done for it later."""
    with telemetry.span("POST", SpanKind.SERVER):
        kept = telemetry.current_traceparent()
    assert kept is not None
    telemetry.told("later", carried(kept), {}, began=1)
    post, later = recorded.get_finished_spans()
    assert kept == parent_of(later)
    assert trace_of(post) == trace_of(later)
    assert later.start_time == 1


def test_a_file_of_many_documents_is_told_once_with_their_number(recorded: InMemorySpanExporter) -> None:
    """Two hundred deliveries of one POST are one trace, so one span; a single one gives its ids."""
    file, single = traceparent(), traceparent()
    telemetry.told("hand over", carried(*[file] * 200, single, None), {"fixed": 1}, began=1)
    of_file, of_single = recorded.get_finished_spans()
    assert {"fixed": 1, "messaging.batch.message_count": 200} == of_file.attributes
    ids = {"fixed": 1, "tdu.exchange.id": "exchange-200", "tdu.delivery.id": "delivery-200"}
    assert ids == of_single.attributes
    assert [file, single] == [parent_of(of_file), parent_of(of_single)]


def test_a_batch_and_its_parts_are_linked_both_ways(recorded: InMemorySpanExporter) -> None:
    """From one's exchange one finds the pull that served it, and from the pull every exchange it served."""
    with telemetry.span("pull", SpanKind.SERVER) as batch:
        telemetry.told("hand over", carried(traceparent(), traceparent()), {}, began=1)
    *parts, pull = recorded.get_finished_spans()
    assert [batch.get_span_context()] * 2 == [link.context for part in parts for link in part.links]
    assert [part.context for part in parts] == [link.context for link in pull.links]


def test_a_huge_batch_tells_of_a_limited_number_of_traces(recorded: InMemorySpanExporter) -> None:
    """What is beyond the limit is counted, and its messages carry on with the trace they had."""
    batch = carried(*[traceparent() for _ in range(MOST_PARTS + 5)])
    with telemetry.span("pull", SpanKind.SERVER), telemetry.parts("part", SpanKind.PRODUCER, batch, {}) as parts:
        assert batch[0].trace != parts.under(batch[0].trace)
        assert batch[-1].trace == parts.under(batch[-1].trace)
    *told, pull = recorded.get_finished_spans()
    assert MOST_PARTS == len(told) == len(pull.links)
    assert pull.attributes is not None
    assert 5 == pull.attributes["tdu.traces_left_out"]


def test_a_failure_is_told_by_its_type_and_never_by_its_text(recorded: InMemorySpanExporter) -> None:
    """The text of an exception may hold a value of the document: no event, no description keeps it."""
    with (
        pytest.raises(ValueError, match=NIR),
        telemetry.span("work", SpanKind.SERVER),
        telemetry.parts("part", SpanKind.CONSUMER, carried(traceparent()), {}),
    ):
        raise ValueError(NIR)
    for span in recorded.get_finished_spans():
        assert (StatusCode.ERROR, "ValueError") == (span.status.status_code, span.status.description)
        assert () == span.events
        assert NIR not in span.to_json()


def test_what_looks_like_a_nir_is_hidden_wherever_it_comes_from(recorded: InMemorySpanExporter) -> None:
    """A guard stands behind the rule that no such attribute is written in the first place."""
    with telemetry.span("work", SpanKind.SERVER, attributes={"first": NIR}):
        telemetry.note({"second": "2 85 05 39 999 001 42"})
        telemetry.told("part", carried(traceparent()), {"third": NIR}, began=1)
    assert [{"[masqué]"}] * 2 == [
        {value for name, value in (span.attributes or {}).items() if "." not in name}
        for span in recorded.get_finished_spans()
    ]


@pytest.mark.parametrize("unreadable", [NIR, "00-" + "0" * 32 + "-" + "0" * 16 + "-01", ""])
async def test_a_traceparent_that_is_none_starts_a_trace(unreadable: str, recorded: InMemorySpanExporter) -> None:
    """A partner's header cannot break its request, nor be kept when it is something else."""
    async with client() as http:
        await http.get("/v1/exchanges/1", headers={"traceparent": unreadable})
    [span] = recorded.get_finished_spans()
    assert span.parent is None
    assert NIR not in span.to_json()


def client() -> httpx.AsyncClient:
    """A client of a small application: one route with a parameter, one that crashes, one that answers 503, a probe."""
    measures = Measures(NoOpMeterProvider().get_meter("test"))
    app = FastAPI()

    async def crash() -> None:
        raise RuntimeError(NIR)

    app.add_api_route("/v1/exchanges/{exchange_id}", lambda exchange_id: {"kept": telemetry.current_traceparent()})
    app.add_api_route("/crash", crash)
    app.add_api_route("/busy", lambda: {}, status_code=503)
    app.add_api_route("/healthz", lambda: {})
    app.add_middleware(telemetry.TraceMiddleware, measures=measures)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="https://passerelle.example")


async def test_a_request_is_named_by_method_and_route_pattern(recorded: InMemorySpanExporter) -> None:
    """Not by its address, which may hold anything: neither path, nor query, nor headers are kept."""
    headers = {"traceparent": (given := traceparent()), "tracestate": f"x={NIR}", "User-Agent": NIR}
    async with client() as http:
        response = await http.get(f"/v1/exchanges/{NIR}?nir={NIR}", headers=headers)
    [span] = recorded.get_finished_spans()
    assert ("GET /v1/exchanges/{exchange_id}", SpanKind.SERVER, given) == (span.name, span.kind, parent_of(span))
    assert {
        "http.request.method": "GET",
        "url.scheme": "https",
        "http.route": "/v1/exchanges/{exchange_id}",
        "http.response.status_code": 200,
    } == span.attributes
    assert NIR not in span.to_json()
    assert response.json()["kept"].split("-")[1] == trace_of(span)
    assert uuid.UUID(response.headers["x-correlation-id"])


@pytest.mark.parametrize(
    ("method", "path", "name", "status", "failed"),
    [
        (NIR, f"/{NIR}", "HTTP", 404, False),
        ("GET", f"/{NIR}", "GET", 404, False),
        ("GET", "/crash", "GET /crash", 500, True),
        ("GET", "/busy", "GET /busy", 503, True),
    ],
)
async def test_a_request_that_fails_is_told_without_what_was_sent(
    method: str, path: str, name: str, status: int, failed: bool, recorded: InMemorySpanExporter
) -> None:
    """An unknown method or address has no name of its own; only a fault of the server is an error."""
    async with client() as http:
        await http.request(method, path)
    [span] = recorded.get_finished_spans()
    assert span.attributes is not None
    assert (name, status) == (span.name, span.attributes["http.response.status_code"])
    assert failed is (span.status.status_code is StatusCode.ERROR)
    assert failed is ("error.type" in span.attributes)
    assert NIR not in span.to_json()


async def test_probes_are_not_traced(recorded: InMemorySpanExporter) -> None:
    """A machine that asks every few seconds whether the process lives would hide the rest."""
    async with client() as http:
        assert 200 == (await http.get("/healthz")).status_code
    assert () == recorded.get_finished_spans()


def message(trace: str | None) -> Message:
    data = {"delivery_id": "d", "exchange_id": "e", "kind": "referral", "recipient": "99900002900010"}
    event_id = str(uuid.uuid4())
    event = delivery_ready(event_id, source="https://passerelle.example", now=NOON, data=data, trace=trace)
    return Message(event_id, DELIVERIES, event)


async def test_the_relay_carries_the_trace_on_in_the_message(
    database: Database, recorded: InMemorySpanExporter
) -> None:
    """What the courier receives continues the publication, which continues the request; one without trace has none."""
    kept = traceparent()
    for one in (message(kept), message(None)):
        await outbox.schedule(database, one, NOON)
    await Relay(database, EmbeddedBus(database), system="trait-dunion").once()
    [span] = recorded.get_finished_spans()
    assert ("publish deliveries", SpanKind.PRODUCER, kept) == (span.name, span.kind, parent_of(span))
    assert span.context is not None
    on = f"00-{trace_of(span)}-{span.context.span_id:016x}-01"
    async with database.read() as tx:
        events = (await tx.execute(sa.select(gateway.store.tables.bus_messages.c.event))).scalars().all()
    assert {on, None} == {event.get("traceparent") for event in events}


async def test_a_publication_that_was_not_confirmed_is_an_error_in_its_trace_only(
    database: Database, recorded: InMemorySpanExporter
) -> None:
    """The row keeps the trace of its request, so that each attempt is a span of its own beside the others."""

    class Deaf(EmbeddedBus):
        async def publish(self, messages: Sequence[Message]) -> frozenset[str]:
            return frozenset(one.id for one in messages if one.id == heard.id)

    kept = [traceparent(), traceparent()]
    heard, unheard = message(kept[0]), message(kept[1])
    for one in (heard, unheard):
        await outbox.schedule(database, one, NOON)
    await Relay(database, Deaf(database)).once()
    told = {parent_of(span): span.status.description for span in recorded.get_finished_spans()}
    assert {kept[0]: None, kept[1]: "unconfirmed"} == told
    async with database.read() as tx:
        left = (await tx.execute(sa.select(gateway.store.tables.outbox.c.event))).scalar_one()
    assert kept[1] == left["traceparent"]

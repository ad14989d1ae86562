"""One trace from a partner's POST to the other partner's acknowledgement, over the processes it goes through, and nothing personal."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.store.database import Database
from gateway.store.tables import deliveries
from ops.demo.gateway_process import GatewayProcess, started
from ops.demo.partner import Partner
from schemas.identity import nir_key

CAF, DEPARTEMENT = "99900001100018", "99900002900010"
NIR = "285053999900142"[:13]
PLANTED = {
    "nir": NIR + nir_key(NIR),
    "birth_name": "Tartempion-Zyx",
    "given_name": "Philomène-Aube",
    "birth_date": "1985-05-17",
    "email": "philomene@tartempion.example",
    "phone": "+33612345678",
    "reference": "MATRICULE-7788991",
}
DOCUMENTS_OF_THE_FILE = 3


@dataclass(frozen=True, slots=True)
class Told:
    """One span, and the process that told of it."""

    span: Span
    process: str

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()

    @property
    def attributes(self) -> dict[str, Any]:
        return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in self.span.attributes}


@dataclass(slots=True)
class Sink:
    """A collector of ten lines: everything the gateway's processes export, as OTLP over HTTP."""

    address: str = ""
    spans: list[Told] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            process = {item.key: item.value.string_value for item in resource.resource.attributes}[
                "service.instance.id"
            ]
            self.spans += [Told(span, process) for scope in resource.scope_spans for span in scope.spans]


@contextmanager
def listening() -> Iterator[Sink]:
    """Serve a sink for as long as the block lasts."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sink.address = f"http://127.0.0.1:{server.server_address[1]}"
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield sink
        finally:
            server.shutdown()
            serving.join()


def referral(number: int) -> dict[str, Any]:
    """A referral about somebody whose every detail can be recognised; only the first has the planted NIR."""
    subject: dict[str, Any] = {
        "birth_name": PLANTED["birth_name"] + "abcd"[:number],
        "given_names": [PLANTED["given_name"]],
        "birth_date": PLANTED["birth_date"],
        "sex": "female",
        "emails": [PLANTED["email"]],
        "phones": [PLANTED["phone"]],
    }
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sender": {"siret": CAF},
        "purpose": "inform_about_rights",
        "reference": PLANTED["reference"],
        "subject": subject if number else subject | {"nir": PLANTED["nir"]},
        "rights": [{"right": "rsa", "state": "to_request"}],
    }


async def journey(gateway: GatewayProcess, traceparent: str) -> tuple[str, str, str]:
    """
    Send one referral and a file of three, ask for impossible things, pull everything at once, acknowledge it.

    Gives the id of the exchange and of the delivery of the first, and the metrics at the end.
    """
    async with httpx.AsyncClient() as http:
        caf = await Partner.registered(gateway, http, CAF, "CAF de Valombre", "caf-valombre", "shared-json")
        departement = await Partner.registered(gateway, http, DEPARTEMENT, "Département", "dep-valombre", "shared-json")
        convention = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
        await caf.propose(convention)
        for partner in (caf, departement):
            await partner.sign(convention)
        caf.token = None
        headers = {"traceparent": traceparent, "tracestate": f"x={PLANTED['nir']}", "baggage": f"nir={PLANTED['nir']}"}
        answer = await caf.call("POST", "/v1/referrals", json=referral(0), headers=headers)
        exchange = answer.json()["exchanges"][0]
        flow = b"\n".join(json.dumps(referral(number)).encode() for number in range(1, DOCUMENTS_OF_THE_FILE + 1))
        await caf.call(
            "POST", "/v1/inbound/shared-json", content=flow, headers={"Content-Type": "application/x-ndjson"}
        )
        await caf.call("GET", f"/v1/exchanges/{PLANTED['nir']}?cursor={PLANTED['email']}", expect=(404,))
        strange = {"User-Agent": PLANTED["birth_name"], "X-Correlation-Id": PLANTED["nir"]}
        await http.request("PROPFIND", f"{gateway.address}/{PLANTED['reference']}", headers=strange)
        await _all_available(gateway)
        pulled = (await departement.call("GET", "/v1/mailbox?limit=50")).json()
        assert DOCUMENTS_OF_THE_FILE + 1 == len(pulled["deliveries"])
        await departement.call("POST", f"/v1/mailbox/{pulled['lease']}/ack")
        metrics = (await http.get(f"{gateway.address}/metrics")).text
    return exchange["exchange"], exchange["recipients"][0]["delivery"], metrics


async def _all_available(gateway: GatewayProcess) -> None:
    """Wait until every delivery is in the mailbox, so that one pull serves several traces."""
    database = Database(gateway.database)
    waiting = sa.select(sa.func.count()).where(deliveries.c.state == "available")
    deadline = time.monotonic() + 30
    count = 0
    while count < DOCUMENTS_OF_THE_FILE + 1 and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        async with database.read() as tx:
            count = (await tx.execute(waiting)).scalar_one()
    await database.close()
    assert DOCUMENTS_OF_THE_FILE + 1 == count


@pytest.mark.parametrize("mode", ["embedded", "production"])
def test_a_trace_goes_from_the_post_to_the_acknowledgement(
    mode: str, tmp_path: Path, new_postgres: Callable[[], str], amqp_url: str
) -> None:
    """Whatever processes the flow goes through, the spans of one exchange are one tree, and hold nothing of the person."""
    trace, parent = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    # Nothing is exported before the processes stop: what they still hold then must not be lost.
    settings, roles = {"TDU_OTEL_EXPORTER": "otlp", "OTEL_BSP_SCHEDULE_DELAY": "600000"}, ["all"]
    if mode == "production":
        settings |= {"TDU_DATABASE_URL": new_postgres(), "TDU_BUS_URL": amqp_url}
        settings |= {"TDU_BUS_PREFIX": f"trace-{uuid.uuid4().hex[:8]}"}
        roles = ["api", "relay", "courier"]
    with listening() as sink:
        settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = sink.address
        with started(tmp_path, settings, roles) as gateway:
            exchange, delivery, metrics = asyncio.run(journey(gateway, f"00-{trace}-{parent}-01"))
    _check_tree(sink, trace, parent, exchange, delivery, processes=1 if mode == "embedded" else 3)
    _check_batch(sink, trace)
    _check_nothing_personal(sink, metrics)
    _check_counts(metrics)


def _check_tree(sink: Sink, trace: str, parent: str, exchange: str, delivery: str, processes: int) -> None:
    names = {
        "POST /v1/referrals",
        "publish deliveries",
        "process deliveries",
        "hand over mailbox",
        "acknowledge mailbox",
    }
    told = {one.span.name: one for one in sink.spans if one.trace == trace}
    assert names == set(told)
    post = told["POST /v1/referrals"].span
    assert parent == post.parent_span_id.hex()
    parents = {name: one.span.parent_span_id for name, one in told.items()}
    assert post.span_id == parents["publish deliveries"]
    assert told["publish deliveries"].span.span_id == parents["process deliveries"]
    assert post.span_id == parents["hand over mailbox"] == parents["acknowledge mailbox"]
    assert processes == len({one.process for one in told.values()})
    for name in names - {"POST /v1/referrals"}:
        attributes = told[name].attributes
        assert (exchange, delivery) == (attributes["tdu.exchange.id"], attributes["tdu.delivery.id"]), name
    assert exchange == told["POST /v1/referrals"].attributes["tdu.exchange.id"]
    assert "deliveries" == told["publish deliveries"].attributes["messaging.destination.name"]
    assert (Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER) == (
        told["publish deliveries"].span.kind,
        told["process deliveries"].span.kind,
    )


def _check_batch(sink: Sink, trace: str) -> None:
    """The pull and the acknowledgement served two traces: each has a span there, and links both ways."""
    [file] = [told for told in sink.spans if told.span.name == "POST /v1/inbound/{adapter_name}"]
    for request, part in (
        ("GET /v1/mailbox", "hand over mailbox"),
        ("POST /v1/mailbox/{delivery}/ack", "acknowledge mailbox"),
    ):
        [batch] = [told for told in sink.spans if told.span.name == request]
        parts = [told for told in sink.spans if told.span.name == part]
        assert {trace, file.trace} == {told.trace for told in parts}
        assert {told.span.span_id for told in parts} == {link.span_id for link in batch.span.links}
        assert {batch.span.span_id} == {link.span_id for told in parts for link in told.span.links}
        [of_file] = [told for told in parts if told.trace == file.trace]
        assert DOCUMENTS_OF_THE_FILE == of_file.attributes["messaging.batch.message_count"]


def _check_nothing_personal(sink: Sink, metrics: str) -> None:
    """Not in a name, an attribute, an event, a status or a state of any span, nor in a label."""
    names = {told.span.name for told in sink.spans}
    assert {"GET /v1/exchanges/{exchange_id}", "HTTP"} <= names
    everything = b"\n".join(sink.raw) + metrics.encode()
    assert [] == [what for what, value in PLANTED.items() if value.encode() in everything]
    assert [] == [what for what in ("nir", "birth_name") if PLANTED[what][:10].encode() in everything]


def _check_counts(metrics: str) -> None:
    sent = DOCUMENTS_OF_THE_FILE + 1
    for line in (
        f'tdu_exchanges_received_total{{kind="referral",outcome="accepted"}} {sent}.0',
        f'tdu_disclosures_total{{kind="referral"}} {sent}.0',
        f'tdu_acknowledgements_total{{kind="referral",outcome="acknowledged"}} {sent}.0',
        'http_server_request_duration_seconds_count{http_request_method="POST",http_route="/v1/referrals",status_class="2xx"} 1.0',
        'http_server_request_duration_seconds_count{http_request_method="_OTHER",http_route="(no route)",status_class="4xx"} 1.0',
    ):
        assert line in metrics.splitlines()

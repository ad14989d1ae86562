"""
What Prometheus reads: what waits, what happened, what died; and what the alerts and the dashboard ask for exists.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import yaml
from prometheus_client.parser import text_string_to_metric_families

from consent.conventions import Conventions
from consent.gate import Request, decide
from consent.ledger.event import EventType
from consent.ledger.sequencer import Sequencer
from gateway.app import create_app
from gateway.bus import outbox
from gateway.bus.base import DELIVERIES, Message
from gateway.composition import Role, assemble
from gateway.crossing import Crossing, Ruling
from gateway.keys import Keys, generate
from gateway.metrics import Publication
from gateway.metrics.readings import read
from gateway.records import record_of
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.store import tables
from gateway.store.database import Database, instant
from gateway.taken import Taken
from ops.migrations import migrate
from schemas import Kind

ROOT = Path(__file__).parents[3]
CAF, DEPARTEMENT = "99900001100018", "99900002900010"
LABELS = {
    "kind",
    "outcome",
    "reason",
    "state",
    "loop",
    "le",
    "http_request_method",
    "http_route",
    "status_class",
}

pytestmark = pytest.mark.anyio


def runtime_of(directory: Path, **settings: Any) -> Runtime:
    chosen = Settings(data_dir=directory, issuer="http://127.0.0.1:8080", **settings)
    generate(chosen)
    return assemble(chosen, Keys.load(chosen))


@asynccontextmanager
async def serving(runtime: Runtime, role: Role) -> AsyncIterator[httpx.AsyncClient]:
    """The application of a process, with its loops."""
    app = create_app(runtime, role)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http,
    ):
        yield http


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def wait_for(http: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    for _ in range(200):
        response = await http.get(path)
        if status == response.status_code:
            return response
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} never answered {status}")


def delivery_rows(states: list[str], at: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    both = {"kind": "referral", "sender": CAF, "subject_id": str(uuid.uuid4()), "updated_at": at}
    exchanges, deliveries = [], []
    for state in states:
        of_exchange = {"id": str(uuid.uuid4()), "batch": "b", "document_id": str(uuid.uuid4()), "purpose": "follow_up"}
        exchanges.append(both | of_exchange | {"client_id": "caf", "event_id": "e", "received_at": at})
        of_delivery = {"id": str(uuid.uuid4()), "exchange_id": of_exchange["id"], "recipient": DEPARTEMENT}
        deliveries.append(both | of_delivery | {"state": state, "decision": {}, "created_at": at})
    return exchanges, deliveries


async def test_the_readings_tell_what_waits_and_for_how_long(database_url: str, tmp_path: Path) -> None:
    """Open deliveries by state, the oldest unsent row, the size of the log and the events it lacks; nothing that is finished."""
    runtime = runtime_of(tmp_path, database_url=database_url)
    database, vault = runtime.services.database, runtime.services.vault
    await migrate(database)
    now = datetime.now(UTC)
    async with database.read() as tx:
        empty = await read(tx, now)
    assert (0.0, 0, 0, 0.0, {0}) == (
        empty.outbox_age,
        empty.ledger_size,
        empty.unsequenced,
        empty.unsequenced_age,
        set(empty.open_deliveries.values()),
    )

    async def record(count: int, at: datetime) -> None:
        events = [record_of(EventType.CONFIGURATION_CHANGED, at, CAF, {}, vault.own) for _ in range(count)]
        async with database.write() as tx:
            await runtime.services.ledger.append(tx, events)

    await record(3, now)
    await runtime.sequencer.catch_up()
    await record(2, now - timedelta(seconds=7))
    message = Message(str(uuid.uuid4()), DELIVERIES, {})
    await outbox.schedule(database, message, now - timedelta(seconds=90))
    exchanges, deliveries = delivery_rows(
        ["queued", "available", "available", "leased", "acknowledged", "refused"], instant(now)
    )
    partner = {"siret": DEPARTEMENT, "name": "Département", "signing_jwks": {}, "created_at": instant(now)}
    async with database.write() as tx:
        await tx.execute(sa.insert(tables.partners), [partner])
        await tx.execute(sa.insert(tables.exchanges), exchanges)
        await tx.execute(sa.insert(tables.deliveries), deliveries)
    async with database.read() as tx:
        readings = await read(tx, now)
    await database.close()
    assert {"queued": 1, "available": 2, "leased": 1} == readings.open_deliveries
    assert (90.0, 3, 2, 7.0) == (
        readings.outbox_age,
        readings.ledger_size,
        readings.unsequenced,
        readings.unsequenced_age,
    )


async def test_a_database_that_is_away_is_told_and_its_gauges_are_left_out(tmp_path: Path) -> None:
    """An old value published as if it were new would hide the very failure that the alerts look for."""
    runtime = runtime_of(tmp_path)
    database = Database("postgresql+asyncpg://postgres@127.0.0.1:1/absent")
    publication = Publication(database, Sequencer(database.write, runtime.signer), runtime.services.clock)
    text, media_type = await publication.text("")
    await database.close()
    published = samples(text.decode())
    assert "text/plain; version=0.0.4; charset=utf-8" == media_type
    assert 0.0 == published["tdu_database_readable", frozenset()]
    assert [] == [name for name, _ in published if name.startswith(("tdu_outbox", "tdu_ledger", "tdu_deliveries_open"))]


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_publishes_its_loops_and_what_waits(role: Role, tmp_path: Path) -> None:
    """Whichever process is asked, the gauges of the database are there: one that died does not take them along."""
    runtime = runtime_of(tmp_path)
    await migrate(runtime.services.database)
    async with serving(runtime, role) as http:
        ready = await http.get("/readyz")
        published = samples((await http.get("/metrics")).text)
    assert 200 == ready.status_code, ready.text
    roles = (set(Role) if role is Role.ALL else {role}) - {Role.ALL, Role.API}
    loops = {each.value for each in roles} | ({"indexer"} if Role.SEQUENCER in roles else set())
    loops |= {"collector", "dispatcher", "flows", "replayer"} if Role.COURIER in roles else set()
    alive = {labels: value for (name, labels), value in published.items() if "tdu_loop_alive" == name}
    assert {frozenset({("loop", loop)}): 1.0 for loop in loops} == alive
    assert 0.0 == published["tdu_outbox_oldest_age_seconds", frozenset()]
    assert 0.0 == published["tdu_deliveries_open", frozenset({("state", "available")})]
    assert 0.0 == published["tdu_endpoints", frozenset({("state", "suspended")})]


async def test_a_dead_loop_makes_the_process_unready_and_shows(tmp_path: Path) -> None:
    """A sequencer that refuses to sign another log's tree ends; the process lives on, and says that it is not ready."""
    first = runtime_of(tmp_path)
    await migrate(first.services.database)

    async def record() -> None:
        event = record_of(EventType.CONFIGURATION_CHANGED, datetime.now(UTC), CAF, {}, first.services.vault.own)
        async with first.services.database.write() as tx:
            await first.services.ledger.append(tx, [event])

    await record()
    await first.sequencer.catch_up()
    await record()
    await first.services.database.close()
    other_log = runtime_of(tmp_path, ledger_origin="other.example/journal")
    async with serving(other_log, Role.SEQUENCER) as http:
        refused = await wait_for(http, "/readyz", 503)
        published = samples((await http.get("/metrics")).text)
        assert 200 == (await http.get("/healthz")).status_code
    assert ["loop: sequencer"] == refused.json()["faults"]
    assert 0.0 == published["tdu_loop_alive", frozenset({("loop", "sequencer")})]
    assert 1.0 <= published["tdu_ledger_unsequenced_events", frozenset()]  # the index of answers may add its own


def refused_crossing() -> Crossing:
    """A referral that the gate refuses for want of a convention, to one recipient; the gate's own decision."""
    request = Request(Kind.REFERRAL, "inform_about_rights", CAF, DEPARTEMENT, datetime.now(UTC))
    crossing = Crossing(Kind.REFERRAL, {"id": str(uuid.uuid4())}, None)
    crossing.rulings = [Ruling(DEPARTEMENT, decide(request, Conventions([])))]
    return crossing


async def everything(tmp_path: Path) -> str:
    """What a process publishes once everything that can be counted was."""
    runtime = runtime_of(tmp_path)
    await migrate(runtime.services.database)
    measures = runtime.services.measures
    taken = Taken("d", "e", Kind.BILAN, "follow_up", CAF, DEPARTEMENT, "s", None, None, None)
    async with serving(runtime, Role.ALL) as http:
        measures.received([refused_crossing(), Crossing(Kind.STATUS, {"id": "x"}, None)])
        measures.disclosed([taken])
        measures.stopped([taken])
        measures.closed([taken], "unreadable")
        await http.get("/v1/exchanges/285053999900142")
        return (await http.get("/metrics")).text


async def test_what_happened_is_counted_by_kind_outcome_and_reason(tmp_path: Path) -> None:
    """And what never happened is 0, so that its first time is an increase."""
    published = samples(await everything(tmp_path))

    def value(name: str, **labels: str) -> float:
        return published[name, frozenset(labels.items())]

    assert 1.0 == value("tdu_exchanges_received_total", kind="referral", outcome="refused")
    assert 0.0 == value("tdu_exchanges_received_total", kind="referral", outcome="accepted")
    assert 1.0 == value("tdu_exchanges_refused_total", kind="referral", reason="no_convention")
    assert 1.0 == value("tdu_exchanges_refused_total", kind="status", reason="no_recipient")
    assert 0.0 == value("tdu_exchanges_refused_total", kind="referral", reason="objection")
    assert 1.0 == value("tdu_disclosures_total", kind="bilan")
    assert 1.0 == value("tdu_deliveries_stopped_total", kind="bilan", reason="subject_erased")
    assert 1.0 == value("tdu_acknowledgements_total", kind="bilan", outcome="unreadable")
    request = {
        "http_request_method": "GET",
        "http_route": "/v1/exchanges/{exchange_id}",
        "status_class": "4xx",
    }
    assert 1.0 == value("http_server_request_duration_seconds_count", **request)
    assert 1.0 == value("http_server_request_duration_seconds_bucket", le="60.0", **request)


async def test_no_label_holds_an_identifier(tmp_path: Path) -> None:
    """Labels are those of a closed list, and none of their values looks like an id, a SIRET or a NIR."""
    published = samples(await everything(tmp_path))
    labels = {pair for name, pairs in published if not name.startswith("process_") for pair in pairs}
    assert LABELS == {name for name, _ in labels}
    assert [] == [value for _, value in labels if re.search(r"\d{4}|[0-9a-f]{8}-", value)]


async def test_the_alerts_and_the_dashboard_only_ask_for_what_is_published(tmp_path: Path) -> None:
    """A metric that was renamed would otherwise leave an alert that can never fire."""
    rules = yaml.safe_load((ROOT / "ops/alerts/trait-dunion.rules.yaml").read_text())
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((ROOT / "ops/dashboards/trait-dunion.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = set(re.findall(r"\b(?:tdu|http_server|process)_[a-z_]+", " ".join(alerts + shown)))
    published = {name for name, _ in samples(await everything(tmp_path))}
    assert len(alerts) > 5
    assert set() == asked - published


async def test_every_metric_is_explained_to_the_operator(tmp_path: Path) -> None:
    """The table of the folder of alerts names each of ours, and no other."""
    text = await everything(tmp_path)
    ours = {name for name in re.findall(r"^# TYPE (\w+)", text, re.M) if not name.startswith("process_")}
    explained = re.findall(r"^\| `(\w+)`", (ROOT / "ops/alerts/README.md").read_text(), re.M)
    assert sorted(ours) == sorted(explained)

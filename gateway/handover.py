"""
The steps of `exchange.deliver`, each a plain function: ask the gate again, project and translate, record.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from adapters import registry
from adapters.base import Adapter
from consent.gate import Notice, Request, decide_notice
from consent.gate import decide as ask_gate
from consent.ledger.event import EventType
from consent.projection import project
from gateway import telemetry
from gateway.auth.caller import Caller
from gateway.records import record_of, rules, told
from gateway.services import Services
from gateway.store import subjects
from gateway.store.agreements import standing
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries
from gateway.taken import Taken, update
from schemas import Document, Kind

_log = logging.getLogger(__name__)

_UNWRITTEN_PAUSE = timedelta(minutes=10)
"""How long a document that its recipient's adapter could not write waits for a mended one."""

NACK_REASONS = ("temporary", "unreadable", "unknown_person", "not_for_us", "other")
"""Why a recipient cannot take a delivery; all but `temporary` are final."""

_JSON = ("application/json", "application/x-ndjson")
"""One document of either is one JSON value, and is shown as such."""

_HAND_OVER = telemetry.messaging("hand_over", "receive", system=telemetry.bus_system(""), destination="mailbox")


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one delivery hands over: the partner's own format where its adapter knows the kind, else the shared one."""

    taken: Taken
    media_type: str
    content: bytes

    def shown(self) -> dict[str, Any]:
        """Write the delivery as JSON, the same for every transport: what it is, and its `document`, or its `content` as text."""
        taken = self.taken
        assert taken.projection is not None
        told = {
            "id": taken.delivery_id,
            "exchange": taken.exchange_id,
            "kind": taken.kind.value,
            "from": taken.sender,
            "purpose": taken.purpose,
            "media_type": self.media_type,
            "document_id": taken.projection.document["id"],
        }
        if taken.notice is not None:
            told["notice"] = taken.notice.value
        if taken.decision is not None and taken.decision.break_glass:
            told["break_glass"] = taken.decision.break_glass
        if self.media_type.split(";")[0] in _JSON:
            return told | {"document": orjson.loads(self.content)}
        return told | {"content": self.content.decode("utf-8")}


@dataclass(frozen=True, slots=True)
class Handover:
    """Everything handed over under one lease, what was stopped at the last moment, and what no adapter could write."""

    lease: str
    until: datetime
    parcels: tuple[Parcel, ...]
    stopped: tuple[Taken, ...] = field(default=())
    unwritten: tuple[Taken, ...] = field(default=())


async def decide_again(tx: Transaction, taken: Sequence[Taken], services: Services, channel: str | None = None) -> None:
    """
    (2) Ask the gate again with what is in force now; an erased person's document is gone, and is refused.

    `channel` is the one that something is about to leave by; None when nothing leaves yet.
    """
    now = services.clock()
    conventions = await services.conventions.in_force(tx, now)
    state = await standing(tx, {item.subject_id for item in taken})
    for item in taken:
        if item.document is None:
            continue
        if item.kind is Kind.CONSENT:
            item.decision = decide_notice(item.recipient, item.notice or Notice.WITHDRAWAL)
            continue
        person = state[item.subject_id]
        at = person.seen_at(now)
        request = Request(item.kind, item.purpose, item.sender, item.recipient, at, channel)
        item.decision = ask_gate(request, conventions, person.agreements, person.objections, person.openings)
        item.decided_at = request.at


def translate(taken: Sequence[Taken], adapter: Adapter, services: Services) -> Handover:
    """
    (3) Cut each document to what the gate permits, and write it in the recipient's format.

    One that the adapter fails to write waits for a mended adapter, and does not hold back the others.
    """
    parcels: list[Parcel] = []
    stopped: list[Taken] = []
    unwritten: list[Taken] = []
    for item in taken:
        if item.document is None or item.decision is None or not item.decision.permit:
            stopped.append(item)
            continue
        item.projection = project(item.document, item.decision, _pseudonym(item, item.document, services))
        writer = adapter if item.kind in adapter.kinds_out else registry.get("shared-json")
        try:
            content = writer.to_partner([item.projection.document])
        except Exception as error:  # adapters are many, and written by many: whatever one of them raises
            said = {"delivery": item.delivery_id, "adapter": writer.name, "error": type(error).__name__}
            _log.error("handover.unwritten", extra=said)
            unwritten.append(item)
            continue
        parcels.append(Parcel(item, writer.output_media_type, content))
    until = services.clock() + timedelta(seconds=services.settings.lease_seconds)
    return Handover(str(uuid.uuid4()), until, tuple(parcels), tuple(stopped), tuple(unwritten))


async def record(tx: Transaction, handed: Handover, caller: Caller, services: Services, now: datetime) -> None:
    """(4) Record each disclosure, with the pointers that leave, and each stop, in the transaction of the lease."""
    events = [_disclosure(parcel, handed.lease, caller, now) for parcel in handed.parcels]
    if handed.parcels:
        change = {
            "state": "leased",
            "lease": handed.lease,
            "leased_until": instant(handed.until),
            "leased_to": caller.client_id,
            "disclosures": deliveries.c.disclosures + 1,
            "attempts": deliveries.c.attempts + 1,
            "updated_at": instant(now),
        }
        await update(tx, [parcel.taken for parcel in handed.parcels], change)
        known = [parcel.taken for parcel in handed.parcels if not parcel.taken.of_nobody]
        pairs = [(item.subject_id, item.recipient) for item in known]
        await subjects.remember_aliases(tx, pairs, services.vault)
    later = {"next_attempt_at": instant(now + _UNWRITTEN_PAUSE), "last_error": "unwritten", "updated_at": instant(now)}
    await update(tx, handed.unwritten, later)
    events += await stop(tx, handed.stopped, services, now)
    await services.ledger.append(tx, events)


async def stop(tx: Transaction, stopped: Sequence[Taken], services: Services, now: datetime) -> list[Any]:
    """Mark deliveries that may no longer leave, and give the events that say why."""
    await update(tx, stopped, {"state": "stopped", "updated_at": instant(now)})
    events = []
    for item in stopped:
        reasons = [reason.code for reason in item.decision.reasons] if item.decision else ["subject_erased"]
        body = {
            "delivery_id": item.delivery_id,
            "exchange_id": item.exchange_id,
            "recipient": item.recipient,
            "reasons": reasons,
        }
        operator = services.settings.operator_siret
        events.append(record_of(EventType.DISCLOSURE_STOPPED, now, operator, body, item.key or services.vault.own))
    return events


def observe(handed: Handover, services: Services, began: int) -> None:
    """Count what was handed over, and tell of it in the trace of each exchange; `began` in nanoseconds."""
    taken = [parcel.taken for parcel in handed.parcels]
    services.measures.disclosed(taken)
    services.measures.stopped(handed.stopped)
    telemetry.told("hand over mailbox", taken, _HAND_OVER, began)


def _pseudonym(item: Taken, document: Document, services: Services) -> str:
    """How the recipient knows the person; of an erased one, only the notice itself still says it."""
    if item.of_nobody:
        return str(document["subject"]["pseudonym"])
    return services.vault.pseudonym(item.subject_id, item.recipient)


def _disclosure(parcel: Parcel, lease: str, caller: Caller, now: datetime) -> Any:
    item, projection = parcel.taken, parcel.taken.projection
    assert projection is not None and item.decision is not None and item.key is not None
    body = {
        "delivery_id": item.delivery_id,
        "exchange_id": item.exchange_id,
        "kind": item.kind.value,
        "purpose": item.purpose,
        "sender": item.sender,
        "recipient": item.recipient,
        "client_id": caller.client_id,
        "channel": caller.channel,
        **caller.acting,
        "lease": lease,
        "notice": item.notice.value if item.notice else None,
        # An erasure's notice is the last to say the pseudonym: the ledger does not keep it.
        "pseudonym": None if item.of_nobody else projection.document["subject"]["pseudonym"],
        "left": list(projection.left),
        "withheld": list(projection.withheld),
        "rules": rules(),
        "decision": told(item.decision, item.decided_at),
        "convention_id": item.decision.convention.id if item.decision.convention else None,
    }
    told_of = item.kind is Kind.CONSENT
    event_type = EventType.WITHDRAWAL_NOTIFIED if told_of else EventType.DISCLOSURE_MADE
    return record_of(event_type, now, item.recipient, body, item.key)

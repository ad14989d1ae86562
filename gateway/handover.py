"""
The steps of `exchange.deliver`, and the acknowledgement that closes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import time_ns
from typing import Any

import orjson
import sqlalchemy as sa

from adapters import registry
from adapters.base import Adapter
from consent.gate import Decision, Request, decide_notice
from consent.gate import decide as ask_gate
from consent.ledger.event import EventType
from consent.projection import Projection, project
from gateway import telemetry
from gateway.auth.resource import Caller
from gateway.errors import Problem, not_found
from gateway.records import record_of, rules, told
from gateway.services import Services
from gateway.store import subjects
from gateway.store.agreements import standing
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.subjects import chunks
from gateway.store.tables import deliveries, documents, exchanges
from schemas import Document, Kind

_ROWS = sa.select(deliveries, exchanges.c.document_id, exchanges.c.purpose).join(
    exchanges, exchanges.c.id == deliveries.c.exchange_id
)

_HAND_OVER = telemetry.messaging("hand_over", "receive", system=telemetry.bus_system(""), destination="mailbox")
_ACKNOWLEDGE = telemetry.messaging("acknowledge", "settle", system=telemetry.bus_system(""), destination="mailbox")

_MAX_REFUSALS = 10
"""After so many refusals by its recipient, a delivery waits for a person."""


@dataclass(slots=True)
class Taken:
    """One delivery on its way out, filled step by step."""

    delivery_id: str
    exchange_id: str
    kind: Kind
    purpose: str
    sender: str
    recipient: str
    subject_id: str
    document: Document | None
    key: DataKey | None
    trace: str | None
    decision: Decision | None = None
    decided_at: datetime | None = None
    projection: Projection | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one delivery hands over: the partner's own format where its adapter knows the kind, else the shared one."""

    taken: Taken
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Handover:
    """Everything handed over under one lease, and what was stopped at the last moment."""

    lease: str
    until: datetime
    parcels: tuple[Parcel, ...]
    stopped: tuple[Taken, ...] = field(default=())


async def waiting(caller: Caller, services: Services, kinds: frozenset[Kind] | None) -> bool:
    """Whether something waits in the caller's mailbox; asked often, so it locks and opens nothing."""
    async with services.database.read() as tx:
        query = sa.select(deliveries.c.id).where(_available(caller, kinds, services.clock())).limit(1)
        return (await tx.execute(query)).first() is not None


async def take(
    tx: Transaction, caller: Caller, limit: int, kinds: frozenset[Kind] | None, services: Services, now: datetime
) -> list[Taken]:
    """(1) Lock what is available to the caller's organisation, oldest first; rows another consumer holds are passed over."""
    query = (
        _ROWS.where(_available(caller, kinds, now))
        .order_by(deliveries.c.created_at, deliveries.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=deliveries)
    )
    return await _open(tx, (await tx.execute(query)).all(), services)


def _available(caller: Caller, kinds: frozenset[Kind] | None, now: datetime) -> sa.ColumnElement[bool]:
    at = instant(now)
    free = sa.or_(
        deliveries.c.state == "available", sa.and_(deliveries.c.state == "leased", deliveries.c.leased_until < at)
    )
    due = sa.or_(deliveries.c.next_attempt_at.is_(None), deliveries.c.next_attempt_at <= at)
    wanted = sa.true() if kinds is None else deliveries.c.kind.in_(sorted(kind.value for kind in kinds))
    return sa.and_(deliveries.c.recipient == caller.partner, free, due, wanted)


async def queued(tx: Transaction, delivery_ids: Sequence[str], services: Services) -> list[Taken]:
    """(1) Lock the deliveries that the bus named and that still wait for it."""
    query = _ROWS.where(deliveries.c.id.in_(delivery_ids), deliveries.c.state == "queued").with_for_update(
        of=deliveries
    )
    return await _open(tx, (await tx.execute(query)).all(), services)


async def _open(tx: Transaction, rows: Sequence[Any], services: Services) -> list[Taken]:
    subject_ids = {row.subject_id for row in rows}
    await subjects.lock(tx, subject_ids, change=False)
    keys = await subjects.data_keys(tx, subject_ids, services.vault)
    sealed = await _sealed(tx, {row.document_id for row in rows})
    return [_taken(row, keys.get(row.subject_id), sealed.get(row.document_id)) for row in rows]


async def decide_again(tx: Transaction, taken: Sequence[Taken], services: Services) -> None:
    """(2) Ask the gate again with what is in force now; an erased person's document is gone, and is refused."""
    now = services.clock()
    conventions = await services.conventions.in_force(tx, now)
    state = await standing(tx, {item.subject_id for item in taken})
    for item in taken:
        if item.document is None:
            continue
        if item.kind is Kind.CONSENT:
            item.decision = decide_notice(item.recipient)
            continue
        person = state[item.subject_id]
        request = Request(item.kind, item.purpose, item.sender, item.recipient, person.seen_at(now))
        item.decision = ask_gate(request, conventions, person.agreements, person.objections)
        item.decided_at = request.at


def translate(taken: Sequence[Taken], adapter: Adapter, services: Services) -> Handover:
    """(3) Cut each document to what the gate permits, and write it in the recipient's format."""
    parcels, stopped = [], []
    for item in taken:
        if item.document is None or item.decision is None or not item.decision.permit:
            stopped.append(item)
            continue
        pseudonym = services.vault.pseudonym(item.subject_id, item.recipient)
        item.projection = project(item.document, item.decision, pseudonym)
        writer = adapter if item.kind in adapter.kinds_out else registry.get("shared-json")
        parcels.append(Parcel(item, writer.output_media_type, writer.to_partner([item.projection.document])))
    until = services.clock() + timedelta(seconds=services.settings.lease_seconds)
    return Handover(str(uuid.uuid4()), until, tuple(parcels), tuple(stopped))


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
        await _update(tx, [parcel.taken for parcel in handed.parcels], change)
        pairs = [(parcel.taken.subject_id, parcel.taken.recipient) for parcel in handed.parcels]
        await subjects.remember_aliases(tx, pairs, services.vault)
    events += await stop(tx, handed.stopped, services, now)
    await services.ledger.append(tx, events)


async def stop(tx: Transaction, stopped: Sequence[Taken], services: Services, now: datetime) -> list[Any]:
    """Mark deliveries that may no longer leave, and give the events that say why."""
    await _update(tx, stopped, {"state": "stopped", "updated_at": instant(now)})
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


async def acknowledge(
    caller: Caller, ident: str, services: Services, *, refusal: str | None = None, permanent: bool = False
) -> list[str]:
    """
    (6) Record that the recipient has (`refusal` None) or could not take (`refusal` a code) a delivery or a whole lease.

    Idempotent. Returns the ids of the deliveries concerned; raises `Problem` not_found for what is not the caller's, and
    conflict when the lease has passed to somebody else.
    """
    now, began = services.clock(), time_ns()
    async with services.database.write() as tx:
        mine = sa.and_(
            deliveries.c.recipient == caller.partner, sa.or_(deliveries.c.id == ident, deliveries.c.lease == ident)
        )
        query = _ROWS.where(mine).with_for_update(of=deliveries)
        rows = [row for row in (await tx.execute(query)).all() if row.disclosures > 0]
        if not rows:
            raise not_found()
        open_rows = [row for row in rows if row.state == "leased"]
        if refusal is not None and not open_rows:
            raise Problem("conflict", "Cette livraison est déjà close.", "This delivery is already closed.")
        keys = await subjects.data_keys(tx, {row.subject_id for row in open_rows}, services.vault)
        taken = [_taken(row, keys.get(row.subject_id), None) for row in open_rows]
        await _close(tx, taken, refusal, permanent, now)
        await services.ledger.append(tx, [_closing(item, refusal, caller, services, now) for item in taken])
        services.fault_point("acknowledge.recorded")
    services.wake()
    services.measures.closed(taken, refusal)
    telemetry.told("acknowledge mailbox", taken, _ACKNOWLEDGE | ({"tdu.refusal": refusal} if refusal else {}), began)
    return [row.id for row in rows]


async def _close(tx: Transaction, taken: Sequence[Taken], refusal: str | None, permanent: bool, now: datetime) -> None:
    at = instant(now)
    if refusal is None:
        await _update(tx, taken, {"state": "acknowledged", "acknowledged_at": at, "updated_at": at})
        return
    final = sa.true() if permanent else deliveries.c.attempts >= _MAX_REFUSALS
    change = {
        "state": sa.case((final, "rejected"), else_="available"),
        "next_attempt_at": instant(now + timedelta(seconds=30)),
        "lease": None,
        "leased_until": None,
        "last_error": refusal,
        "updated_at": at,
    }
    await _update(tx, taken, change)


async def _update(tx: Transaction, taken: Sequence[Taken], change: dict[str, Any]) -> None:
    for ids in chunks([item.delivery_id for item in taken]):
        await tx.execute(sa.update(deliveries).where(deliveries.c.id.in_(ids)).values(change))


async def _sealed(tx: Transaction, document_ids: set[str]) -> dict[str, bytes]:
    found = {}
    for ids in chunks(sorted(document_ids)):
        for row in await tx.execute(sa.select(documents.c.id, documents.c.sealed).where(documents.c.id.in_(ids))):
            found[row.id] = row.sealed
    return found


def _taken(row: Any, key: DataKey | None, sealed: bytes | None) -> Taken:
    document = orjson.loads(key.open(sealed, f"documents/{row.document_id}")) if key and sealed else None
    return Taken(
        delivery_id=row.id,
        exchange_id=row.exchange_id,
        kind=Kind(row.kind),
        purpose=row.purpose,
        sender=row.sender,
        recipient=row.recipient,
        subject_id=row.subject_id,
        document=document,
        key=key,
        trace=row.trace,
    )


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
        "lease": lease,
        "pseudonym": projection.document["subject"]["pseudonym"],
        "left": list(projection.left),
        "withheld": list(projection.withheld),
        "rules": rules(),
        "decision": told(item.decision, item.decided_at),
        "convention_id": item.decision.convention.id if item.decision.convention else None,
    }
    notice = item.kind is Kind.CONSENT
    event_type = EventType.WITHDRAWAL_NOTIFIED if notice else EventType.DISCLOSURE_MADE
    return record_of(event_type, now, item.recipient, body, item.key)


def _closing(item: Taken, refusal: str | None, caller: Caller, services: Services, now: datetime) -> Any:
    notice = item.kind is Kind.CONSENT
    if refusal is not None:
        event_type = EventType.DISCLOSURE_REJECTED
    else:
        event_type = EventType.WITHDRAWAL_ACKNOWLEDGED if notice else EventType.DISCLOSURE_ACKNOWLEDGED
    body = {
        "delivery_id": item.delivery_id,
        "exchange_id": item.exchange_id,
        "recipient": item.recipient,
        "client_id": caller.client_id,
        **({"reason": refusal} if refusal else {}),
    }
    return record_of(event_type, now, item.recipient, body, item.key or services.vault.own)

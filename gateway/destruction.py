"""
Destruction of what was obtained proactively about a person who objects (CRPA L114-8 II: without delay).

What waits for a recipient concerned is stopped at once, and a document that nobody waits for any more loses its content.
What a recipient holds under a lease at that instant is finished by the keeper, when the lease ended or was acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from consent.agreement import Objection
from consent.ledger.event import EventType
from consent.tables import objections
from gateway.records import record_of
from gateway.services import Services
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, documents, exchanges
from schemas import Kind

PROACTIVE: Final = frozenset({"inform_about_rights", "award_right"})
"""The purposes of an exchange that the person did not ask for (CRPA L114-8 II)."""

OPEN: Final = ("queued", "available", "leased")
"""The states of a delivery that something may still leave under."""


async def destroy(
    tx: Transaction,
    subject_id: str,
    key: DataKey,
    objecting: Sequence[Objection],
    services: Services,
    now: datetime,
) -> int:
    """
    Stop and destroy what some objections of a subject cover; returns how many documents were destroyed.

    The caller holds the subject alone. Deliveries that are being handed over at this instant are passed over: whoever holds
    them asks the gate again once the subject is free, and the gate refuses.
    """
    rows = [row for row in await _held(tx, subject_id) if _covered(row, objecting, now)]
    stopping = [row for row in rows if row.state in ("queued", "available") or _lease_ended(row, now)]
    locked = await _lock(tx, [row.id for row in stopping])
    stopped = [row for row in stopping if row.id in locked]
    events = [_stopped(row, key, services, now) for row in stopped]
    if stopped:
        change = sa.update(deliveries).where(deliveries.c.id.in_([row.id for row in stopped]))
        await tx.execute(change.values(state="stopped", updated_at=instant(now)))
    wanted = {row.document_id for row in rows}
    waiting = {row.document_id for row in await _held(tx, subject_id) if row.state in OPEN}
    destroyed = sorted(wanted - waiting)
    if destroyed:
        await tx.execute(sa.delete(documents).where(documents.c.id.in_(destroyed)))
        exchange_of = {row.document_id: row.exchange_id for row in rows}
        events += [_destroyed(ident, exchange_of[ident], key, services, now) for ident in destroyed]
    await services.ledger.append(tx, events)
    return len(destroyed)


async def waiting(tx: Transaction, now: datetime, limit: int) -> list[str]:
    """The subjects who object and about whom the gateway still holds a document that the objection covers."""
    at = instant(now)
    query = (
        sa.select(documents.c.subject_id)
        .distinct()
        .join(exchanges, exchanges.c.document_id == documents.c.id)
        .join(deliveries, deliveries.c.exchange_id == exchanges.c.id)
        .join(objections, objections.c.subject_id == documents.c.subject_id)
        .where(
            documents.c.kind != Kind.CONSENT.value,
            deliveries.c.state != "refused",
            exchanges.c.purpose.in_(sorted(PROACTIVE)),
            objections.c.since <= at,
            objections.c.until > at,
            sa.or_(objections.c.recipient.is_(None), objections.c.recipient == deliveries.c.recipient),
            sa.or_(objections.c.purpose.is_(None), objections.c.purpose == exchanges.c.purpose),
            ~_somebody_waits(at),
        )
        .limit(limit)
    )
    return list((await tx.execute(query)).scalars())


def _somebody_waits(at: str) -> sa.Exists:
    """Whether a document has a delivery that nothing done here can close: under a live lease, or to somebody not concerned."""
    other, theirs = deliveries.alias("other"), exchanges.alias("theirs")
    concerned = sa.or_(objections.c.recipient.is_(None), objections.c.recipient == other.c.recipient)
    live_lease = sa.and_(other.c.state == "leased", other.c.leased_until >= at)
    return (
        sa.exists()
        .where(theirs.c.document_id == documents.c.id, other.c.exchange_id == theirs.c.id)
        .where(sa.or_(live_lease, sa.and_(other.c.state.in_(OPEN), ~concerned)))
        .correlate(documents, objections)
    )


async def _held(tx: Transaction, subject_id: str) -> Sequence[Any]:
    """The permitted deliveries of the proactive documents about a subject that the gateway still holds."""
    query = (
        sa.select(deliveries, exchanges.c.document_id, exchanges.c.purpose)
        .join(exchanges, exchanges.c.id == deliveries.c.exchange_id)
        .join(documents, documents.c.id == exchanges.c.document_id)
        .where(
            documents.c.subject_id == subject_id,
            documents.c.kind != Kind.CONSENT.value,
            deliveries.c.state != "refused",
            exchanges.c.purpose.in_(sorted(PROACTIVE)),
        )
    )
    return (await tx.execute(query)).all()


async def _lock(tx: Transaction, delivery_ids: Sequence[str]) -> set[str]:
    """Hold deliveries, but not those that somebody holds: waiting for them with the subject held would be a deadlock."""
    query = sa.select(deliveries.c.id).where(deliveries.c.id.in_(delivery_ids)).order_by(deliveries.c.id)
    return set((await tx.execute(query.with_for_update(skip_locked=True))).scalars())


def _covered(row: Any, objecting: Sequence[Objection], now: datetime) -> bool:
    return any(objection.stops(row.recipient, row.purpose, now) for objection in objecting)


def _lease_ended(row: Any, now: datetime) -> bool:
    return bool(row.state == "leased" and row.leased_until < instant(now))


def _stopped(row: Any, key: DataKey, services: Services, now: datetime) -> Any:
    body = {
        "delivery_id": row.id,
        "exchange_id": row.exchange_id,
        "recipient": row.recipient,
        "reasons": ["objection"],
    }
    return record_of(EventType.DISCLOSURE_STOPPED, now, services.settings.operator_siret, body, key)


def _destroyed(document_id: str, exchange_id: str, key: DataKey, services: Services, now: datetime) -> Any:
    body = {"document_id": document_id, "exchange_id": exchange_id, "cause": "objection"}
    return record_of(EventType.PROACTIVE_DATA_DESTROYED, now, services.settings.operator_siret, body, key)

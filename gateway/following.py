"""
Following an exchange: what became of it, for its sender and for the partners it was permitted to.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from consent.ledger.commitment import Disclosure
from consent.tables import ledger_events
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.log_cursor import cursor_at, index_of, log_now
from gateway.records import place
from gateway.services import Services
from gateway.store import subjects
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, exchanges

_OVERLAP = timedelta(minutes=10)
"""`updated_after` looks this much earlier: an event's time is taken before its transaction commits."""


async def one(caller: Caller, services: Services, exchange_id: str) -> dict[str, Any]:
    """
    Tell one exchange: all of it to its sender, its own part to a recipient; raises `Problem` not_found to everybody else.

    One query says so, whether the exchange is somebody else's or nobody's: the time of the answer tells no more than its body.
    """
    disclosed = sa.and_(deliveries.c.recipient == caller.partner, deliveries.c.disclosures > 0)
    received = sa.exists().where(deliveries.c.exchange_id == exchanges.c.id, disclosed)
    mine = sa.or_(exchanges.c.sender == caller.partner, received)
    async with services.database.read() as tx:
        row = (await tx.execute(sa.select(exchanges).where(exchanges.c.id == exchange_id, mine))).first()
        if row is None:
            raise not_found()
        query = sa.select(deliveries).where(deliveries.c.exchange_id == exchange_id)
        if row.sender != caller.partner:
            query = query.where(disclosed)
        parts = (await tx.execute(query.order_by(deliveries.c.created_at, deliveries.c.id))).all()
        follow_ups = await _follow_ups(tx, row.document_id, caller)
    return {
        "id": row.id,
        "document_id": row.document_id,
        "kind": row.kind,
        "purpose": row.purpose,
        "sender": row.sender,
        "received_at": row.received_at,
        "updated_at": max([row.updated_at, *(part.updated_at for part in parts)]),
        "source_line": row.source_line if row.sender == caller.partner else None,
        "receipt": f"/v1/exchanges/{row.id}/receipt",
        "deliveries": [_part(part) for part in parts],
        "follow_ups": follow_ups,
    }


async def changes(
    caller: Caller, services: Services, cursor: str | None, updated_after: str | None, limit: int
) -> dict[str, Any]:
    """
    List the caller's exchanges in the order in which the ledger recorded their changes.

    The cursor is a place in the ledger: its single sequencer numbers what is committed, so that nothing is overtaken, as
    it would be with times or row numbers. Raises `Problem` cursor_outdated for a cursor of a log that was replaced.
    """
    query = (
        sa.select(ledger_events.c.index, ledger_events.c.type, ledger_events.c.occurred_at, exchanges)
        .join(exchanges, exchanges.c.id == ledger_events.c.exchange_id)
        .where(exchanges.c.sender == caller.partner)
        .order_by(ledger_events.c.index)
        .limit(limit)
    )
    if updated_after:
        query = query.where(ledger_events.c.occurred_at >= _since(updated_after))
    async with services.database.read() as tx:
        log = await log_now(tx)
        since = await index_of(tx, cursor, log)
        rows = (await tx.execute(query.where(ledger_events.c.index > since))).all()
    items = [
        {
            "id": row.id,
            "kind": row.kind,
            "document_id": row.document_id,
            "change": row.type,
            "changed_at": row.occurred_at,
        }
        for row in rows
    ]
    return {"exchanges": items, "next": cursor_at(rows[-1][0], log) if rows else cursor}


async def receipt(caller: Caller, services: Services, exchange_id: str) -> bytes:
    """
    Give the proof of an exchange: of its decision to the sender, of the last disclosure made to it to a recipient.

    Raises `Problem` not_found, or conflict while the event is not yet in a checkpoint (a second at most).
    """
    async with services.database.read() as tx:
        event = await _proven_event(tx, caller, exchange_id)
        if event is None:
            raise not_found()
        keys = await subjects.data_keys(tx, [event.subject_id] if event.subject_id else [], services.vault)
        key = keys.get(event.subject_id) if event.subject_id else services.vault.own
        disclosure = None if key is None else Disclosure(key.open(event.sealed, place(event.id)), key.opening(event.id))
        proof = await services.ledger.receipt(tx, event.id, disclosure)
    if proof is None:
        raise Problem(
            "conflict",
            "Le reçu n'est pas encore publié : réessayez dans une seconde.",
            "The receipt is not published yet: try again in a second.",
            headers={"Retry-After": "1"},
        )
    return proof


async def _proven_event(tx: Transaction, caller: Caller, exchange_id: str) -> Any | None:
    mine = (
        sa.select(ledger_events)
        .join(exchanges, exchanges.c.event_id == ledger_events.c.id)
        .where(exchanges.c.id == exchange_id, exchanges.c.sender == caller.partner)
    )
    if row := (await tx.execute(mine)).first():
        return row
    disclosed = (
        sa.select(ledger_events)
        .where(
            ledger_events.c.exchange_id == exchange_id,
            ledger_events.c.recipient == caller.partner,
            ledger_events.c.type.in_(["disclosure_made", "withdrawal_notified"]),
        )
        .order_by(ledger_events.c.seq.desc())
        .limit(1)
    )
    return (await tx.execute(disclosed)).first()


async def _follow_ups(tx: Transaction, document_id: str, caller: Caller) -> list[dict[str, Any]]:
    query = (
        sa.select(exchanges.c.id, exchanges.c.kind, exchanges.c.sender, exchanges.c.received_at, deliveries.c.state)
        .join(deliveries, deliveries.c.exchange_id == exchanges.c.id)
        .where(
            exchanges.c.about == document_id,
            sa.or_(exchanges.c.sender == caller.partner, deliveries.c.recipient == caller.partner),
        )
        .order_by(exchanges.c.received_at, exchanges.c.id)
    )
    return [
        {"exchange": row.id, "kind": row.kind, "sender": row.sender, "received_at": row.received_at, "state": row.state}
        for row in await tx.execute(query)
    ]


def _part(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "recipient": row.recipient,
        "state": row.state,
        "decision": row.decision,
        "handed_over": row.disclosures,
        "acknowledged_at": row.acknowledged_at,
        "last_error": row.last_error,
    }


def _since(text: str) -> str:
    """Read `updated_after` as the text kept in the tables, some minutes earlier; raises `Problem` malformed_request."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return instant(moment - _OVERLAP)
    except (ValueError, OverflowError):
        pass
    raise Problem(
        "malformed_request",
        "updated_after attend une date et une heure avec décalage, par exemple 2026-11-23T09:00:00+01:00 "
        "(dans une adresse, + s'écrit %2B).",
        "updated_after takes a date and time with offset, for instance 2026-11-23T09:00:00+01:00 "
        "(in an address, + is written %2B).",
    )

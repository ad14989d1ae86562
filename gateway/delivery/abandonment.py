"""
Giving up: what the gateway could not hand over is set aside with its reason, for a person to replay it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from consent.ledger.event import EventType, LedgerRecord
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries


async def abandon(services: Services, delivery_id: str, reason: str) -> None:
    """Set one delivery aside that still waits for the courier, if it does; `reason` is a code, without any value."""
    now = services.clock()
    async with services.database.write() as tx:
        await set_aside(tx, [delivery_id], ("queued",), reason, services, now)
    services.wake()


async def set_aside(
    tx: Transaction, delivery_ids: Iterable[str], states: Iterable[str], reason: str, services: Services, now: datetime
) -> int:
    """Set aside those of some deliveries that are in one of `states`, each with its event; returns how many."""
    query = (
        sa.update(deliveries)
        .where(deliveries.c.id.in_(list(delivery_ids)), deliveries.c.state.in_(list(states)))
        .values(state="abandoned", lease=None, leased_until=None, last_error=reason[:200], updated_at=instant(now))
        .returning(deliveries.c.id, deliveries.c.exchange_id, deliveries.c.recipient, deliveries.c.subject_id)
    )
    rows = (await tx.execute(query)).all()
    keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
    events: list[LedgerRecord] = []
    for row in rows:
        body = {
            "delivery_id": row.id,
            "exchange_id": row.exchange_id,
            "recipient": row.recipient,
            "reason": reason[:200],
        }
        key = keys.get(row.subject_id, services.vault.own)
        events.append(record_of(EventType.DISCLOSURE_ABANDONED, now, services.settings.operator_siret, body, key))
    await services.ledger.append(tx, events)
    return len(rows)

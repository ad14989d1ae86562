"""
The end of the trace: what happened to a person can be read for 36 months (CRPA R114-9-7), then its content goes.

The events keep their place in the log and in the lists, and their summary, which names nobody: proofs hold, counts hold.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.tables import ledger_events
from gateway.person.erasure import ERASED
from gateway.records import record_of
from gateway.retention import months_ago
from gateway.services import Services
from gateway.store.database import Transaction, instant, moment
from gateway.store.tables import generations

TRACE: Final = frozenset(
    {
        EventType.EXCHANGE_ACCEPTED,
        EventType.EXCHANGE_REFUSED,
        EventType.DISCLOSURE_MADE,
        EventType.DISCLOSURE_ACKNOWLEDGED,
        EventType.DISCLOSURE_REJECTED,
        EventType.DISCLOSURE_STOPPED,
        EventType.DISCLOSURE_ABANDONED,
        EventType.CONTENT_READ,
        EventType.LEDGER_SEARCHED,
        EventType.SIMULATION,
        EventType.BREAK_GLASS,
        EventType.PROACTIVE_DATA_DESTROYED,
    }
)
"""What is kept for the trace alone. What the person said is kept with the agreement or the objection that it is about."""

_MARK: Final = "trace_purged"
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MORE: Final = 10


async def purge(services: Services, now: datetime, limit: int) -> int:
    """
    Delete the content of the oldest events of the trace whose time is over, a day at a time; gives how many.

    Each part leaves one event, about nobody. The day reached is remembered, so that the past is not read again.
    """
    last = (months_ago(now, services.settings.trace_months) - _EPOCH).days - 1
    async with services.database.read() as tx:
        day = await _next_day(tx)
    if day is None or day > last:
        return 0
    async with services.database.write() as tx:
        ids = await _kept(tx, day, limit * _MORE)
        if not ids:
            await _remember(tx, day)
            return 0
        await tx.execute(sa.update(ledger_events).where(ledger_events.c.id.in_(ids)).values(sealed=b""))
        body = {"class": "trace", "events": len(ids), "day": (_EPOCH + day * _DAY).date().isoformat()}
        own, operator = services.vault.own, services.settings.operator_siret
        await services.ledger.append(tx, [record_of(EventType.RETENTION_PURGED, now, operator, body, own)])
    return len(ids)


async def _next_day(tx: Transaction) -> int | None:
    """The first day, counted from 1970-01-01, that has events and is not done; None when there is none."""
    done = (await tx.execute(sa.select(generations.c.value).where(generations.c.name == _MARK))).scalar_one_or_none()
    after = "" if done is None else instant(_EPOCH + (done + 1) * _DAY)
    query = sa.select(sa.func.min(ledger_events.c.occurred_at)).where(ledger_events.c.occurred_at >= after)
    first = (await tx.execute(query)).scalar_one_or_none()
    return None if first is None else (moment(first) - _EPOCH).days


async def _kept(tx: Transaction, day: int, limit: int) -> list[str]:
    event = ledger_events.c
    query = (
        sa.select(event.id)
        .where(
            event.occurred_at >= instant(_EPOCH + day * _DAY),
            event.occurred_at < instant(_EPOCH + (day + 1) * _DAY),
            event.type.in_(TRACE),
            event.subject_id.is_not(None),
            event.subject_id != ERASED,
            event.sealed != b"",
        )
        .limit(limit)
    )
    return list((await tx.execute(query.with_for_update(skip_locked=True))).scalars())


async def _remember(tx: Transaction, day: int) -> None:
    changed = await tx.execute(sa.update(generations).where(generations.c.name == _MARK).values(value=day))
    if not changed.rowcount:
        await tx.execute(sa.insert(generations).values(name=_MARK, value=day))

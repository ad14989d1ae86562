"""
The end of the trace: what happened to a person can be read for 36 months (CRPA R114-9-7), or for what conventions say, then
its content goes.

The events keep their place in the log and in the lists, and their summary, which names nobody: proofs hold, counts hold.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.tables import ledger_events
from gateway.person.traces import ERASED
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import Transaction, instant, moment
from gateway.store.tables import deliveries, generations
from gateway.terms import left_under, months_ago, proof_times, proofs_past, terms

TRACE: Final = frozenset(
    {
        EventType.EXCHANGE_ACCEPTED,
        EventType.EXCHANGE_REFUSED,
        EventType.DISCLOSURE_MADE,
        EventType.DISCLOSURE_ACKNOWLEDGED,
        EventType.DISCLOSURE_REJECTED,
        EventType.DISCLOSURE_STOPPED,
        EventType.DISCLOSURE_FAILED,
        EventType.DISCLOSURE_ABANDONED,
        EventType.DISCLOSURE_REPLAYED,
        EventType.WITHDRAWAL_NOTIFIED,
        EventType.WITHDRAWAL_REMINDED,
        EventType.WITHDRAWAL_OVERDUE,
        EventType.WITHDRAWAL_ACKNOWLEDGED,
        EventType.CONTENT_READ,
        EventType.LEDGER_SEARCHED,
        EventType.SIMULATION,
        EventType.BREAK_GLASS,
        EventType.BREAK_GLASS_TOLD,
        EventType.BREAK_GLASS_ENDED,
        EventType.BREAK_GLASS_REVIEWED,
        EventType.BREAK_GLASS_OVERDUE,
        EventType.PROACTIVE_DATA_DESTROYED,
    }
)
"""What is kept for the trace alone. What the person said is kept with the agreement or the objection that it is about."""

_MARK: Final = "trace_purged"
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MORE: Final = 10
_DAYS: Final = 100
"""Days gone through in one turn: a convention that asks for less than the others begins with the whole past."""


async def purge(services: Services, now: datetime, limit: int) -> int:
    """
    Delete the content of the oldest events of the trace whose time is over, a day at a time; gives how many.

    An event is kept for the longest that a convention it went under asks for, 36 months where none says. Each part leaves one
    event, about nobody. The day reached is remembered for each time, so that the past is not read again.
    """
    of, done = await terms(services, now, "exchange_trace"), 0
    for months in proof_times(of):
        done += await _purge(services, now, limit * _MORE, months, proofs_past(of, months, _linked), of.own)
    return done


async def _purge(
    services: Services, now: datetime, limit: int, months: int, past: sa.ColumnElement[bool], own: int
) -> int:
    """Go on from the day reached, for so many days; a day with nothing to purge costs two small queries."""
    last = (months_ago(now, months) - _EPOCH).days - 1
    mark, done = _MARK if months == own else f"{_MARK}_{months}", 0
    for _ in range(_DAYS):
        async with services.database.read() as tx:
            day = await _next_day(tx, mark)
        if day is None or day > last:
            break
        done += await _purge_day(services, now, limit, mark, day, past)
        if done >= limit:
            break
    return done


async def _purge_day(
    services: Services, now: datetime, limit: int, mark: str, day: int, past: sa.ColumnElement[bool]
) -> int:
    """Purge some events of a day, or remember that none is left."""
    async with services.database.write() as tx:
        ids = await _kept(tx, day, limit, past)
        if not ids:
            await _remember(tx, mark, day)
            return 0
        await tx.execute(sa.update(ledger_events).where(ledger_events.c.id.in_(ids)).values(sealed=b""))
        body = {"class": "trace", "events": len(ids), "day": (_EPOCH + day * _DAY).date().isoformat()}
        nobody, operator = services.vault.own, services.settings.operator_siret
        await services.ledger.append(tx, [record_of(EventType.RETENTION_PURGED, now, operator, body, nobody)])
    return len(ids)


def _linked(ids: Collection[str]) -> sa.ColumnElement[bool]:
    """Events of which the convention, or that of a delivery of the same exchange, is one of some."""
    event = ledger_events.c
    return sa.or_(event.convention_id.in_(sorted(ids)), left_under(ids, deliveries.c.exchange_id == event.exchange_id))


async def _next_day(tx: Transaction, mark: str) -> int | None:
    """The first day, counted from 1970-01-01, that has events and is not done; None when there is none."""
    done = (await tx.execute(sa.select(generations.c.value).where(generations.c.name == mark))).scalar_one_or_none()
    after = "" if done is None else instant(_EPOCH + (done + 1) * _DAY)
    query = sa.select(sa.func.min(ledger_events.c.occurred_at)).where(ledger_events.c.occurred_at >= after)
    first = (await tx.execute(query)).scalar_one_or_none()
    return None if first is None else (moment(first) - _EPOCH).days


async def _kept(tx: Transaction, day: int, limit: int, past: sa.ColumnElement[bool]) -> list[str]:
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
            past,
        )
        .limit(limit)
    )
    return list((await tx.execute(query.with_for_update(skip_locked=True))).scalars())


async def _remember(tx: Transaction, mark: str, day: int) -> None:
    changed = await tx.execute(sa.update(generations).where(generations.c.name == mark).values(value=day))
    if not changed.rowcount:
        await tx.execute(sa.insert(generations).values(name=mark, value=day))

"""
The keeper: what happens because time passes. Agreements end, silent recipients are reminded, and what is past its time goes.

Nothing waits for it to be true: an agreement ends at its hour and a notice is late at its hour, whenever the keeper comes by.
It writes these in the ledger, once each, and deletes. Several may run: each row is taken by one of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from consent.gate import Notice
from consent.ledger.event import EventType
from consent.tables import agreements
from gateway import destruction, leftovers, notices, retention, trace
from gateway.break_glass import telling, watch
from gateway.person import erasure_notice, forgetting
from gateway.recording import scopes_of
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.agreements import standing
from gateway.store.database import instant
from gateway.store.tables import deliveries
from gateway.store.tables import notices as notice_rows

_log = logging.getLogger(__name__)

_BATCH: Final = 200
"""Rows of one transaction: what others wait for on SQLite."""

Duty = Callable[[Services, datetime, int], Awaitable[int]]


class Keeper:
    """Does its duties one after the other, every `keeper_seconds`, until stopped."""

    def __init__(self, services: Services, duties: dict[str, Duty] | None = None) -> None:
        """Work with the `services` of the flow; `duties` are for the tests."""
        self._services = services
        self._duties = duties or DUTIES

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a duty that fails is told, and does not keep the others from being done."""
        while not stop.is_set():
            await self.once(stop)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._services.settings.keeper_seconds)

    async def once(self, stop: asyncio.Event | None = None) -> dict[str, int]:
        """Do each duty until nothing more is due; returns how much each did."""
        done = dict.fromkeys(self._duties, 0)
        for name, duty in self._duties.items():
            try:
                while not (stop and stop.is_set()):
                    count = await duty(self._services, self._services.clock(), _BATCH)
                    done[name] += count
                    if count < _BATCH:
                        break
            except Exception as error:  # the text of a database error holds the row: its class is enough to act on
                _log.error("keeper.duty_failed", extra={"duty": name, "error": type(error).__name__})
        if any(done.values()):
            _log.info("keeper.passed", extra={name: count for name, count in done.items() if count})
            self._services.wake()
        return done


async def end_agreements(services: Services, now: datetime, limit: int) -> int:
    """Record once that an agreement came to its term."""
    query = (
        sa.select(agreements).where(agreements.c.ends_at <= instant(now)).order_by(agreements.c.ends_at).limit(limit)
    )
    async with services.database.read() as tx:
        if (await tx.execute(query.limit(1))).first() is None:
            return 0
    async with services.database.write() as tx:
        rows = (await tx.execute(query.with_for_update(skip_locked=True))).all()
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
        events = [
            record_of(
                EventType.AGREEMENT_EXPIRED,
                now,
                services.settings.operator_siret,
                {"agreement_id": row.id, "ended_at": row.ends_at, "scopes": scopes_of(row.decisive)},
                keys.get(row.subject_id, services.vault.own),
            )
            for row in rows
        ]
        await tx.execute(
            sa.update(agreements).where(agreements.c.id.in_([row.id for row in rows])).values(ends_at=None)
        )
        await services.ledger.append(tx, events)
    return len(rows)


async def follow_notices(services: Services, now: datetime, limit: int) -> int:
    """Offer again the notices that nobody acknowledged, record the late ones, and let go of the closed ones."""
    async with services.database.read() as tx:
        if not await notices.due(tx, now, 1, lock=False):
            return 0
    async with services.database.write() as tx:
        rows = await notices.due(tx, now, limit)
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
        for row in rows:
            events = [
                record_of(
                    event_type,
                    now,
                    services.settings.operator_siret,
                    _told(row),
                    keys.get(row.subject_id, services.vault.own),
                )
                for event_type in await _followed(tx, row, services, now)
            ]
            await services.ledger.append(tx, events)
    return len(rows)


async def _followed(tx: Any, row: Any, services: Services, now: datetime) -> list[EventType]:
    """Write what became of one notice, and say which events it makes."""
    at, happened = instant(now), []
    if row.state in notices.CLOSED:
        change: dict[str, Any] = {"remind_at": None}
        if row.cause == Notice.ERASURE:
            await erasure_notice.forget_notice(tx, row)
    else:
        change = {}
        if row.overdue_at is None and row.due_at <= at:
            happened.append(EventType.WITHDRAWAL_OVERDUE)
            change["overdue_at"] = at
        if row.remind_at <= at:
            happened.append(EventType.WITHDRAWAL_REMINDED)
            later = now + timedelta(hours=services.settings.notice_reminder_hours)
            change |= {"remind_at": instant(later), "reminders": row.reminders + 1}
            await _offer_again(tx, row, at)
    await tx.execute(sa.update(notice_rows).where(notice_rows.c.delivery_id == row.delivery_id).values(change))
    return happened


async def _offer_again(tx: Any, row: Any, at: str) -> None:
    """Put a notice back in its recipient's mailbox: one that was rejected or abandoned, or taken and never acknowledged."""
    taken = sa.and_(deliveries.c.state == "leased", deliveries.c.leased_until < at)
    offered = {"state": "available", "lease": None, "leased_until": None, "next_attempt_at": None, "refusals": 0}
    again = sa.update(deliveries).where(
        deliveries.c.id == row.delivery_id,
        sa.or_(deliveries.c.state.in_(["available", "rejected", "abandoned"]), taken),
    )
    await tx.execute(again.values(offered | {"updated_at": at}))


def _told(row: Any) -> dict[str, Any]:
    return {
        "delivery_id": row.delivery_id,
        "exchange_id": row.exchange_id,
        "recipient": row.recipient,
        "cause": row.cause,
        "about": row.about,
        "due_at": row.due_at,
        "reminders": row.reminders,
    }


async def finish_destruction(services: Services, now: datetime, limit: int) -> int:
    """Destroy what an objection covers and could not be destroyed when it was recorded, because a recipient held it."""
    async with services.database.read() as tx:
        waiting = await destruction.waiting(tx, now, limit)
    destroyed = 0
    for subject_id in waiting:
        async with services.database.write() as tx:
            await subjects.lock(tx, [subject_id], change=True)
            key = (await subjects.data_keys(tx, [subject_id], services.vault)).get(subject_id, services.vault.own)
            objecting = (await standing(tx, [subject_id]))[subject_id].objections
            destroyed += await destruction.destroy(tx, subject_id, key, objecting, services, now)
    return destroyed


DUTIES: Final[dict[str, Duty]] = {
    "agreements": end_agreements,
    "notices": follow_notices,
    "accesses": watch.ended,
    "reviews": watch.overdue,
    "mails": telling.send,
    "destruction": finish_destruction,
    "questions": retention.questions,
    "objections": retention.past_objections,
    "delivered": retention.delivered,
    "past attachments": retention.past_attachments,
    "past agreements": retention.past_agreements,
    "past accesses": retention.past_openings,
    "trace": trace.purge,
    "erased": forgetting.sweep,
    "quarantine": leftovers.files,
    "answers": leftovers.answers,
    "attachments": leftovers.attachments_left,
    "flows": leftovers.flows_over,
    "tokens": leftovers.tokens,
    "sessions": leftovers.person_sessions,
}

"""
What the gateway forgets that is about nobody, or that nobody may ask for any more: identifiers, sessions, answers, files.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from consent.ledger.event import EventType
from gateway import attachments
from gateway.antivirus import scanner
from gateway.auth import replay
from gateway.auth.people import sessions
from gateway.flows import task
from gateway.flows.body import BODY, forget
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import Transaction, instant
from gateway.store.tables import (
    assertion_jtis,
    deliveries,
    delivery_attempts,
    directory_capacities,
    documents,
    elsewhere,
    flow_pieces,
    flows,
    idempotency_keys,
    inbox,
    quarantine,
    revoked_tokens,
    volumes,
)

_INBOX_DAYS: Final = 30
"""How long a message of the bus is remembered as done: far beyond what a broker would deliver again."""

_VOLUME_DAYS: Final = 2
"""How long the counts of a day and of its minutes are kept."""

_FLOW_DAYS: Final = 30
"""How long the report of a large flow can be fetched."""

_DAY: Final = timedelta(days=1)


async def tokens(services: Services, now: datetime, _limit: int) -> int:
    """Forget the identifiers of assertions, proofs and tokens that have expired by themselves."""
    past = [table.c.expires_at < instant(now) for table in (assertion_jtis, revoked_tokens)]
    async with services.database.read() as tx:
        if not any([await _exists(tx, condition) for condition in past]):
            return 0
    async with services.database.write() as tx:
        return await replay.forget_expired(tx, now)


async def person_sessions(services: Services, now: datetime, _limit: int) -> int:
    """Forget the sessions of people that have been over for a day."""
    async with services.database.write() as tx:
        return await sessions.forget_ended(tx, now)


async def answers(services: Services, now: datetime, limit: int) -> int:
    """
    Forget the answers kept for idempotency, messages taken long ago, counts of past days, names elsewhere of what is gone, and
    places that were declared until a day that is over.
    """
    gone = ~sa.or_(
        sa.exists().where(documents.c.id == elsewhere.c.id), sa.exists().where(deliveries.c.id == elsewhere.c.id)
    )
    done = await delete_rows(services, elsewhere, gone & (elsewhere.c.at < instant(now - _DAY)), limit)
    for table, column, days in (
        (idempotency_keys, idempotency_keys.c.created_at, services.settings.idempotency_days),
        (inbox, inbox.c.received_at, _INBOX_DAYS),
        (delivery_attempts, delivery_attempts.c.attempted_at, _INBOX_DAYS),
    ):
        done += await delete_rows(services, table, column < instant(now - days * _DAY), limit)
    # Days and minutes both begin with their date.
    old = volumes.c.period < instant(now - _VOLUME_DAYS * _DAY)[:10]
    over = directory_capacities.c.until < instant(now - _DAY)[:10]
    done += await delete_rows(services, directory_capacities, over, limit)
    return done + await delete_rows(services, volumes, old, limit)


async def attachments_left(services: Services, _now: datetime, limit: int) -> int:
    """Delete the attachments whose document is gone or whose sending was never finished, and have the waiting ones examined."""
    examined = await attachments.examine_waiting(services, scanner(services.settings.antivirus), limit)
    return examined + await attachments.forget(services, limit)


async def flows_over(services: Services, now: datetime, limit: int) -> int:
    """Delete the flows whose bytes never came whole, those whose report is old, and what is left of the bytes of ended ones."""
    unfinished = sa.and_(flows.c.state == "receiving", flows.c.created_at < instant(now - _DAY))
    old = flows.c.finished_at < instant(now - _FLOW_DAYS * _DAY)
    kept = sa.exists().where(flow_pieces.c.flow_id == flows.c.id, flow_pieces.c.part == BODY)
    async with services.database.read() as tx:
        over = list((await tx.execute(sa.select(flows.c.id).where(unfinished | old).limit(limit))).scalars())
        ended = sa.select(flows.c.id).where(flows.c.finished_at.is_not(None), kept).limit(limit)
        left = list((await tx.execute(ended)).scalars())
    for flow_id in over:
        await task.remove(flow_id, services)
    for flow_id in left:
        await forget(flow_id, services)
    return len(over) + len(left)


async def files(services: Services, now: datetime, limit: int) -> int:
    """Delete the files in quarantine whose time is over; one event tells how many."""
    async with services.database.read() as tx:
        if not await _exists(tx, quarantine.c.expires_at < instant(now)):
            return 0
    async with services.database.write() as tx:
        found = sa.select(quarantine.c.id).where(quarantine.c.expires_at < instant(now)).limit(limit)
        ids = list((await tx.execute(found.with_for_update(skip_locked=True))).scalars())
        await tx.execute(sa.delete(quarantine).where(quarantine.c.id.in_(ids)))
        if ids:
            body = {"class": "quarantine", "quarantine_ids": sorted(ids)}
            own, operator = services.vault.own, services.settings.operator_siret
            await services.ledger.append(tx, [record_of(EventType.RETENTION_PURGED, now, operator, body, own)])
    return len(ids)


async def delete_rows(services: Services, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> int:
    """Delete up to `limit` rows that need no event; returns how many."""
    async with services.database.read() as tx:
        if not await _exists(tx, condition):
            return 0
    async with services.database.write() as tx:
        return int((await tx.execute(deletion(table, condition, limit))).rowcount)


def deletion(table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> sa.Delete:
    """The statement that deletes up to `limit` rows: found by the condition's index, deleted by the primary key's."""
    key = list(table.primary_key.columns)
    return sa.delete(table).where(sa.tuple_(*key).in_(sa.select(*key).where(condition).limit(limit)))


async def _exists(tx: Transaction, condition: sa.ColumnElement[bool]) -> bool:
    return bool((await tx.execute(sa.select(sa.exists().where(condition)))).scalar_one())

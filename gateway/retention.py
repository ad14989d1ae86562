"""
What the gateway forgets when its time has come, a little at a time: each function does one part of the work and says how much.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from consent.conventions.convention import Convention, ConventionState
from consent.ledger.event import EventType
from consent.tables import objections, sms_requests
from gateway import attachments
from gateway.antivirus import scanner
from gateway.auth import replay
from gateway.auth.people import sessions
from gateway.destruction import OPEN, PROACTIVE
from gateway.person.erasure import forget_strangers
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.database import Transaction, instant
from gateway.store.tables import (
    assertion_jtis,
    deliveries,
    delivery_attempts,
    documents,
    exchanges,
    idempotency_keys,
    inbox,
    quarantine,
    revoked_tokens,
    volumes,
)
from schemas import Kind

_INBOX_DAYS: Final = 30
"""How long a message of the bus is remembered as done: far beyond what a broker would deliver again."""

_VOLUME_DAYS: Final = 2
"""How long the counts of a day and of its minutes are kept."""

_CLASSES: Final = {
    "proactive": exchanges.c.purpose.in_(sorted(PROACTIVE)),
    "referral": exchanges.c.kind.in_([Kind.REFERRAL.value, Kind.STATUS.value]),
}
"""The retention classes of a convention that documents fall under, with what makes them so."""

_LIMIT_MONTHS: Final = 12

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
    """Forget the answers kept for idempotency, the messages taken from the bus long ago, and the counts of past days."""
    done = 0
    for table, column, days in (
        (idempotency_keys, idempotency_keys.c.created_at, services.settings.idempotency_days),
        (inbox, inbox.c.received_at, _INBOX_DAYS),
        (delivery_attempts, delivery_attempts.c.attempted_at, _INBOX_DAYS),
    ):
        done += await _delete(services, table, column < instant(now - days * _DAY), limit)
    # Days and minutes both begin with their date.
    old = volumes.c.period < instant(now - _VOLUME_DAYS * _DAY)[:10]
    return done + await _delete(services, volumes, old, limit)


async def attachments_left(services: Services, _now: datetime, limit: int) -> int:
    """Delete the attachments whose document is gone or whose sending was never finished, and have the waiting ones examined."""
    examined = await attachments.examine_waiting(services, scanner(services.settings.antivirus), limit)
    return examined + await attachments.forget(services, limit)


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


async def delivered(services: Services, now: datetime, limit: int) -> int:
    """
    Delete the sealed content of documents received long ago of which no delivery is open (CRPA R114-9-7).

    Proactive data, referrals and their follow-up go earlier where the convention they left under says so.
    """
    general = services.settings.delivered_months
    async with services.database.read() as tx:
        conventions = await services.conventions.in_force(tx, now)
    shorter: dict[tuple[str, str], int] = {}
    for convention in conventions:
        if convention.state not in (ConventionState.PROPOSED, ConventionState.REJECTED):
            for name, months in _kept(convention).items():
                of = (convention.id, name)
                shorter[of] = min(months, shorter.get(of, general))
    old = documents.c.received_at < instant(months_ago(now, general))
    conditions = [
        old,
        *(_under(*of, instant(months_ago(now, months))) for of, months in shorter.items() if months < general),
    ]
    done = 0
    for condition in conditions:
        query = (
            sa.select(documents.c.id, documents.c.subject_id)
            .where(condition, ~sa.exists().where(*_delivery(), deliveries.c.state.in_(OPEN)).correlate(documents))
            .order_by(documents.c.received_at)
            .limit(limit)
        )
        done += await _purge(services, now, query, documents, documents.c.id, "delivered", "document_id")
    return done


def _kept(convention: Convention) -> dict[str, int]:
    """How many months a convention lets documents be kept, by class; the legal limit for proactive data when it does not say."""
    said = {rule["class"]: int(rule["months"]) for rule in convention.document["retention"]}
    return {"proactive": _LIMIT_MONTHS} | {name: said[name] for name in _CLASSES if name in said}


def _under(convention_id: str, retention_class: str, before: str) -> sa.ColumnElement[bool]:
    """Documents of a class received before a time, of which something left under a convention."""
    left = deliveries.c.decision["convention"]["id"].as_string() == convention_id
    of_class = _CLASSES[retention_class]
    left_under = sa.exists().where(*_delivery(), left, of_class, deliveries.c.state != "refused").correlate(documents)
    return sa.and_(documents.c.received_at < before, left_under)


def _delivery() -> tuple[sa.ColumnElement[bool], ...]:
    return exchanges.c.document_id == documents.c.id, deliveries.c.exchange_id == exchanges.c.id


async def questions(services: Services, now: datetime, limit: int) -> int:
    """Delete the questions asked by SMS whose time is over; those without a reply leave an event."""
    table = sms_requests.c
    answered = await _delete(
        services, sms_requests, sa.and_(table.expires_at < instant(now), table.state != "pending"), limit
    )
    query = (
        sa.select(table.agreement_id.label("id"), table.subject_id).where(table.expires_at < instant(now)).limit(limit)
    )
    return answered + await _purge(
        services, now, query, sms_requests, table.agreement_id, "sms_request", "agreement_id"
    )


async def past_objections(services: Services, now: datetime, limit: int) -> int:
    """Forget the objections whose term has come (CRPA R114-9-7: 12 to 24 months); each leaves an event."""
    query = sa.select(objections.c.id, objections.c.subject_id).where(objections.c.until <= instant(now)).limit(limit)
    async with services.database.read() as tx:
        about = {row.subject_id for row in await tx.execute(query)}
    done = await _purge(
        services, now, query, objections, objections.c.id, "objection", "objection_id", EventType.OBJECTION_LIFTED
    )
    await forget_strangers(services, about, now)
    return done


async def _purge(
    services: Services,
    now: datetime,
    query: sa.Select[Any],
    table: sa.Table,
    column: sa.ColumnElement[str],
    retention_class: str,
    name: str,
    event_type: EventType = EventType.RETENTION_PURGED,
) -> int:
    """Delete the rows of a query, each with an event about its subject; looks before it takes SQLite's only write lock."""
    async with services.database.read() as tx:
        if (await tx.execute(query.limit(1))).first() is None:
            return 0
    async with services.database.write() as tx:
        rows = (await tx.execute(query.with_for_update(skip_locked=True, of=table))).all()
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
        events = [
            record_of(
                event_type,
                now,
                services.settings.operator_siret,
                {"class": retention_class, name: row.id},
                keys.get(row.subject_id, services.vault.own),
            )
            for row in rows
        ]
        await tx.execute(sa.delete(table).where(column.in_([row.id for row in rows])))
        await services.ledger.append(tx, events)
    return len(rows)


async def _delete(services: Services, table: sa.Table, condition: sa.ColumnElement[bool], limit: int) -> int:
    """Delete up to `limit` rows that need no event."""
    key = list(table.primary_key.columns)
    async with services.database.read() as tx:
        if not await _exists(tx, condition):
            return 0
    async with services.database.write() as tx:
        found = sa.select(*key).where(condition).limit(limit)
        gone = await tx.execute(sa.delete(table).where(sa.tuple_(*key).in_(found)))
        return int(gone.rowcount)


async def _exists(tx: Transaction, condition: sa.ColumnElement[bool]) -> bool:
    return bool((await tx.execute(sa.select(sa.exists().where(condition)))).scalar_one())


def months_ago(moment: datetime, months: int) -> datetime:
    """The same day some months earlier, or the last one of that month."""
    year, month = divmod(moment.month - 1 - months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))

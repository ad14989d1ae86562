"""
What the gateway forgets when its time has come, a little at a time: each function does one part of the work and says how much.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.tables import agreements, break_glass, break_glass_mails, ledger_events, objections, sms_requests
from gateway.destruction import OPEN, PROACTIVE
from gateway.history import opened
from gateway.leftovers import delete_rows
from gateway.person.forgetting import forget_strangers
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.tables import (
    attachment_chunks,
    deliveries,
    documents,
    exchanges,
)
from gateway.store.tables import attachments as attachment_rows
from gateway.terms import Linked, content_past, left_under, months_ago, proof_times, proofs_past, terms
from schemas import Kind

_CLASSES: Final = {
    "proactive": exchanges.c.purpose.in_(sorted(PROACTIVE)),
    "referral": exchanges.c.kind.in_([Kind.REFERRAL.value, Kind.STATUS.value]),
}
"""The retention classes of a convention that documents fall under, with what makes them so."""

_PARTS: Final[Mapping[str, tuple[sa.Column[str], ...]]] = {
    attachment_rows.name: (attachment_chunks.c.attachment_id,),
    break_glass.name: (break_glass_mails.c.opening_id,),
}
"""What goes with the rows of a table: the columns of others that name them."""

_OF_AGREEMENTS: Final = (
    EventType.AGREEMENT_REQUESTED,
    EventType.AGREEMENT_GIVEN,
    EventType.AGREEMENT_REFUSED,
    EventType.AGREEMENT_WITHDRAWN,
    EventType.AGREEMENT_EXPIRED,
)


async def delivered(services: Services, now: datetime, limit: int) -> int:
    """
    Delete the sealed content of documents received long ago of which no delivery is open (CRPA R114-9-7).

    Proactive data, referrals and their follow-up go earlier where the convention they left under says so.
    """
    past = [
        condition
        for name, of_class in _CLASSES.items()
        for condition in content_past(
            documents.c.received_at, await terms(services, now, name), _left_under(of_class), now
        )
    ]
    done = 0
    for condition in past:
        query = (
            sa.select(documents.c.id, documents.c.subject_id)
            .where(condition, ~sa.exists().where(*_delivery(), deliveries.c.state.in_(OPEN)).correlate(documents))
            .order_by(documents.c.received_at)
            .limit(limit)
        )
        done += await _purge(services, now, query, documents, documents.c.id, "delivered", "document_id")
    return done


def _left_under(of_class: sa.ColumnElement[bool]) -> Linked:
    """Documents of a class of which something left under one of some conventions."""

    def linked(ids: Collection[str]) -> sa.ColumnElement[bool]:
        return left_under(ids, *_delivery(), of_class)

    return linked


def _delivery() -> tuple[sa.ColumnElement[bool], ...]:
    return exchanges.c.document_id == documents.c.id, deliveries.c.exchange_id == exchanges.c.id


async def past_attachments(services: Services, now: datetime, limit: int) -> int:
    """Delete the attachments whose time is over, that of the shortest convention they left under; each leaves an event."""
    of, done = await terms(services, now, "attachments"), 0

    def linked(ids: Collection[str]) -> sa.ColumnElement[bool]:
        return left_under(ids, deliveries.c.exchange_id == attachment_rows.c.exchange_id)

    for condition in content_past(attachment_rows.c.created_at, of, linked, now):
        query = sa.select(attachment_rows.c.id, attachment_rows.c.subject_id).where(condition).limit(limit)
        done += await _purge(
            services, now, query, attachment_rows, attachment_rows.c.id, "attachments", "attachment_id"
        )
    return done


async def past_agreements(services: Services, now: datetime, limit: int) -> int:
    """
    Forget the agreements that were over long ago, with what the ledger's events say of them; each leaves an event.

    The proof is kept for the longest that a convention under which it let something leave asks for.
    """
    of, done = await terms(services, now, "agreement_proof"), 0
    forgotten: set[str] = set()

    def linked(ids: Collection[str]) -> sa.ColumnElement[bool]:
        mine = deliveries.c.subject_id == agreements.c.subject_id
        return left_under(ids, mine, deliveries.c.decision["agreement"].as_string() == agreements.c.id)

    for months in proof_times(of):
        query = (
            sa.select(agreements.c.id, agreements.c.subject_id)
            .where(agreements.c.over_at < instant(months_ago(now, months)), proofs_past(of, months, linked))
            .limit(limit)
        )
        async with services.database.read() as tx:
            forgotten |= {row.subject_id for row in await tx.execute(query)}
        done += await _purge(services, now, query, agreements, agreements.c.id, "agreement_proof", "agreement_id")
    await forget_strangers(services, forgotten, now)
    return done


async def past_openings(services: Services, now: datetime, limit: int) -> int:
    """
    Forget the emergency accesses as old as the trace of their convention, with the mails about them; each leaves an event.

    One that was never reviewed goes as well: its content has no longer any right to be kept.
    """
    of, done = await terms(services, now, "exchange_trace"), 0

    def linked(ids: Collection[str]) -> sa.ColumnElement[bool]:
        return break_glass.c.convention_id.in_(sorted(ids))

    for months in proof_times(of):
        query = sa.select(break_glass.c.id, break_glass.c.subject_id).where(
            break_glass.c.opened_at < instant(months_ago(now, months)),
            break_glass.c.until < instant(now),
            proofs_past(of, months, linked),
        )
        done += await _purge(
            services, now, query.limit(limit), break_glass, break_glass.c.id, "break_glass", "opening_id"
        )
    return done


async def questions(services: Services, now: datetime, limit: int) -> int:
    """Delete the questions asked by SMS whose time is over; those without a reply leave an event."""
    table = sms_requests.c
    answered = await delete_rows(
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
        for part in _PARTS.get(table.name, ()):
            await tx.execute(sa.delete(part.table).where(_in(part, rows)))
        if table is agreements:
            await _silence(tx, rows, keys)
        await tx.execute(sa.delete(table).where(_in(column, rows)))
        await services.ledger.append(tx, events)
    return len(rows)


def _in(column: sa.ColumnElement[str], rows: Sequence[Any]) -> sa.ColumnElement[bool]:
    return column.in_([row.id for row in rows])


async def _silence(tx: Transaction, rows: Sequence[Any], keys: Mapping[str, DataKey]) -> None:
    """Take away what the events about some agreements say; they keep their place in the log, and proofs hold."""
    ids = {row.id for row in rows}
    query = sa.select(ledger_events).where(
        ledger_events.c.subject_id.in_(sorted(keys)),
        ledger_events.c.type.in_(_OF_AGREEMENTS),
        ledger_events.c.sealed != b"",
    )
    about = [
        row.id for row in await tx.execute(query) if opened(row, keys[row.subject_id]).body.get("agreement_id") in ids
    ]
    await tx.execute(sa.update(ledger_events).where(ledger_events.c.id.in_(about)).values(sealed=b""))

"""
Notices of a withdrawal or an objection: who must be told, by when they must answer, and who has not.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from consent.gate import Notice, decide_notice
from gateway.auth.caller import Caller
from gateway.crossing import Crossing, Rows, Ruling
from gateway.services import Services
from gateway.store import subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, notices
from gateway.telemetry import current_traceparent
from schemas import Document, Kind

CLOSED = ("acknowledged", "stopped", "refused")
"""Nothing more is expected of a notice in these states; a notice whose recipient rejected it is still owed."""


async def past_recipients(tx: Transaction, subject_id: str, agreement_id: str | None, named: set[str]) -> list[str]:
    """
    The partners to whom something about the subject was handed over (RGPD art. 19), from what was delivered, never from a list.

    With an agreement: those who received on its ground, or that it names.
    """
    query = sa.select(deliveries.c.recipient, deliveries.c.decision).where(
        deliveries.c.subject_id == subject_id, deliveries.c.disclosures > 0, deliveries.c.kind != Kind.CONSENT.value
    )
    rows = (await tx.execute(query)).all()
    return sorted(
        {
            row.recipient
            for row in rows
            if agreement_id is None or row.decision.get("agreement") == agreement_id or row.recipient in named
        }
    )


async def notify(
    tx: Transaction,
    document: Document,
    cause: Notice,
    *,
    subject_id: str,
    key: DataKey,
    told: Sequence[str],
    caller: Caller,
    services: Services,
) -> list[dict[str, str]]:
    """
    Queue one notice per past recipient, with the time by which it must be acknowledged.

    They travel like any document and are acknowledged like them; the keeper reminds those that do not answer.
    """
    if not told:
        return []
    now = services.clock()
    crossing = Crossing(Kind.CONSENT, document, None, row_id=str(uuid.uuid4()))
    crossing.subject_id = subject_id
    crossing.rulings = [Ruling(siret, decide_notice(siret, cause)) for siret in told]
    rows = Rows(now)
    rows.add(crossing, key, caller=caller, batch=str(uuid.uuid4()), trace=current_traceparent())
    pairs = [] if cause is Notice.ERASURE else [(subject_id, siret) for siret in told]
    await rows.save(tx, services, subjects.aliases(pairs, services.vault))
    due_at = instant(now + timedelta(hours=services.settings.notice_hours))
    remind_at = instant(now + timedelta(hours=services.settings.notice_reminder_hours))
    followed = [
        {
            "delivery_id": ruling.delivery_id,
            "cause": cause.value,
            "about": document["id"],
            "due_at": due_at,
            "remind_at": remind_at,
        }
        for ruling in crossing.rulings
    ]
    await tx.execute(sa.insert(notices), followed)
    return [
        {"recipient": ruling.recipient, "delivery": ruling.delivery_id, "due_at": due_at} for ruling in crossing.rulings
    ]


async def overdue(
    partner: str | None, cursor: tuple[str, str] | None, limit: int, services: Services
) -> tuple[list[dict[str, Any]], tuple[str, str] | None]:
    """
    The notices not acknowledged in time, the latest due last, and the cursor of the next page (None: no more).

    Of a partner: those it must answer and those it sent; None, for an auditor: all. Computed from the dates, so that a
    notice is late at its hour whatever the keeper does.
    """
    now = instant(services.clock())
    query = _open().where(notices.c.due_at <= now).order_by(notices.c.due_at, notices.c.delivery_id).limit(limit)
    if partner is not None:
        query = query.where(sa.or_(deliveries.c.recipient == partner, deliveries.c.sender == partner))
    if cursor is not None:
        query = query.where(sa.tuple_(notices.c.due_at, notices.c.delivery_id) > sa.tuple_(*map(sa.literal, cursor)))
    async with services.database.read() as tx:
        rows = (await tx.execute(query)).all()
    last = (rows[-1].due_at, rows[-1].delivery_id) if len(rows) == limit else None
    return [_told(row) for row in rows], last


async def due(tx: Transaction, now: datetime, limit: int, *, lock: bool = True) -> Sequence[Any]:
    """The open notices that must be looked at: to be offered again, found late for the first time, or found closed."""
    at = instant(now)
    late = sa.and_(notices.c.due_at <= at, notices.c.overdue_at.is_(None))
    closed = sa.and_(notices.c.remind_at.is_not(None), deliveries.c.state.in_(CLOSED))
    query = (
        sa.select(
            notices, deliveries.c.state, deliveries.c.recipient, deliveries.c.exchange_id, deliveries.c.subject_id
        )
        .join(deliveries, deliveries.c.id == notices.c.delivery_id)
        .where(notices.c.remind_at.is_not(None), sa.or_(notices.c.remind_at <= at, late, closed))
        .order_by(notices.c.due_at, notices.c.delivery_id)
        .limit(limit)
    )
    if lock:
        query = query.with_for_update(skip_locked=True, of=(notices, deliveries))
    return (await tx.execute(query)).all()


def _open() -> sa.Select[Any]:
    columns = (deliveries.c.exchange_id, deliveries.c.sender, deliveries.c.recipient, deliveries.c.state)
    return (
        sa.select(notices, *columns, deliveries.c.disclosures, deliveries.c.created_at)
        .join(deliveries, deliveries.c.id == notices.c.delivery_id)
        .where(notices.c.remind_at.is_not(None), deliveries.c.state.not_in(CLOSED))
    )


def _told(row: Any) -> dict[str, Any]:
    return {
        "delivery": row.delivery_id,
        "exchange": row.exchange_id,
        "cause": row.cause,
        "about": row.about,
        "sender": row.sender,
        "recipient": row.recipient,
        "sent_at": row.created_at,
        "overdue_since": row.due_at,
        "handed_over": row.disclosures,
        "reminders": row.reminders,
        "state": row.state,
    }

"""
What the keeper does about emergency accesses: it writes their end, and that a review is late; both hold at their hour without it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.tables import break_glass
from gateway.break_glass import telling
from gateway.break_glass.opening import end
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant

_log = logging.getLogger(__name__)

_Step = Callable[[Transaction, Any, DataKey], Awaitable[None]]


async def ended(services: Services, now: datetime, limit: int) -> int:
    """Write the end of the accesses whose term has come."""

    async def write(tx: Transaction, row: Any, key: DataKey) -> None:
        await end(tx, row, key, "expired", services.settings.operator_siret, services, now)

    past = sa.and_(break_glass.c.ended_at.is_(None), break_glass.c.until <= instant(now))
    return await _each(services, past, limit, write)


async def overdue(services: Services, now: datetime, limit: int) -> int:
    """Write once that a review is late, and tell the officers again."""

    async def write(tx: Transaction, row: Any, key: DataKey) -> None:
        change = sa.update(break_glass).where(break_glass.c.id == row.id)
        await tx.execute(change.values(overdue_at=instant(now)))
        body = {"opening_id": row.id, "convention_id": row.convention_id, "due_at": row.review_due_at}
        operator = services.settings.operator_siret
        await services.ledger.append(tx, [record_of(EventType.BREAK_GLASS_OVERDUE, now, operator, body, key)])
        conventions = await services.conventions.in_force(tx, now)
        if (convention := conventions.of_hash(row.convention_hash)) is not None:
            await telling.tell(tx, row._asdict(), convention, "overdue", now)
        _log.warning("break_glass.review_overdue", extra={"opening": row.id, "convention": row.convention_id})

    late = sa.and_(
        break_glass.c.reviewed_at.is_(None),
        break_glass.c.overdue_at.is_(None),
        break_glass.c.review_due_at <= instant(now),
    )
    return await _each(services, late, limit, write)


async def _each(services: Services, condition: sa.ColumnElement[bool], limit: int, write: _Step) -> int:
    query = sa.select(break_glass).where(condition).order_by(break_glass.c.opened_at, break_glass.c.id).limit(limit)
    async with services.database.read() as tx:
        if (await tx.execute(query.limit(1))).first() is None:
            return 0
    async with services.database.write() as tx:
        rows = (await tx.execute(query.with_for_update(skip_locked=True))).all()
        keys = await subjects.data_keys(tx, {row.subject_id for row in rows}, services.vault)
        for row in rows:
            await write(tx, row, keys.get(row.subject_id, services.vault.own))
    return len(rows)

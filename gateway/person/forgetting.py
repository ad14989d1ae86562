"""
What is erased without anybody asking: what was written after an erasure by somebody late, and people of whom nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from consent.ledger import indexer
from consent.ledger.event import EventType
from gateway.person.traces import about_somebody, destroy, unjoin
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects as subjects_in_store
from gateway.store.database import Transaction, instant
from gateway.store.tables import deliveries, exchanges, subject_data_keys, subject_keys, subjects

_LATE: Final = timedelta(minutes=5)


async def sweep(services: Services, now: datetime, limit: int) -> int:
    """
    Unjoin once more what a transaction that had read the key before the erasure wrote after it, and forget the person's row.

    Such a transaction lasts seconds; the keeper comes minutes later.
    """
    before = instant(now - _LATE)
    query = sa.select(subjects.c.id).where(subjects.c.erased_at < before).limit(limit)
    async with services.database.read() as tx:
        waiting: Sequence[str] = (await tx.execute(query)).scalars().all()
    for subject_id in waiting:
        async with services.database.write() as tx:
            await indexer.alone(tx, change=True)
            await unjoin(tx, subject_id)
            await tx.execute(sa.delete(subjects).where(subjects.c.id == subject_id))
    return len(waiting)


async def forget_strangers(services: Services, subject_ids: Iterable[str], now: datetime) -> int:
    """
    Erase, of some people, those of whom nothing is left but what they are recognised by: an objection that came to its term.

    Nobody is told: nothing about them was ever handed over. Gives how many there were.
    """
    done = 0
    for subject_id in sorted(set(subject_ids)):
        async with services.database.write() as tx:
            await indexer.alone(tx, change=True)
            await subjects_in_store.lock(tx, [subject_id], change=True)
            if not await _stranger(tx, subject_id):
                continue
            counts = await destroy(tx, subject_id, now)
            body = {"class": "stranger", "destroyed": counts}
            own, operator = services.vault.own, services.settings.operator_siret
            await services.ledger.append(tx, [record_of(EventType.RETENTION_PURGED, now, operator, body, own)])
            done += 1
    return done


async def _stranger(tx: Transaction, subject_id: str) -> bool:
    """Whether a person is in the register and nothing else is about them."""
    known = sa.select(subjects.c.id).where(subjects.c.id == subject_id, subjects.c.erased_at.is_(None))
    if (await tx.execute(known)).first() is None:
        return False
    recognised = (subject_keys, subject_data_keys)
    for table in [*(each for each in about_somebody() if each not in recognised), exchanges, deliveries]:
        if (await tx.execute(sa.select(table.c.subject_id).where(table.c.subject_id == subject_id).limit(1))).first():
            return False
    return True

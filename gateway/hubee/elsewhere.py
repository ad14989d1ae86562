"""
What our deliveries and documents are called in another system, kept before anything there depends on it.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from gateway.store.database import Database, insert_ignore, instant
from gateway.store.tables import deliveries, elsewhere, exchanges


async def reference(database: Database, ident: str) -> str | None:
    """What one of ours is called there; None when nothing was begun."""
    async with database.read() as tx:
        return (await tx.execute(sa.select(elsewhere.c.reference).where(elsewhere.c.id == ident))).scalar()


async def remember(database: Database, ident: str, partner: str, called: str, now: datetime) -> None:
    """Keep what one of ours is called there: durable when it returns; the last one said is true."""
    row = {"id": ident, "partner": partner, "reference": called, "at": instant(now)}
    async with database.write() as tx:
        await tx.execute(insert_ignore(elsewhere, tx).values(row))
        await tx.execute(sa.update(elsewhere).where(elsewhere.c.id == ident).values(row))


async def document_of(database: Database, delivery_id: str, partner: str) -> str | None:
    """The document of a delivery to a partner."""
    query = (
        sa.select(exchanges.c.document_id)
        .join(deliveries, deliveries.c.exchange_id == exchanges.c.id)
        .where(deliveries.c.id == delivery_id, deliveries.c.recipient == partner)
    )
    async with database.read() as tx:
        return (await tx.execute(query)).scalar()

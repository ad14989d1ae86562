"""
What the database tells of the flow as a whole, with queries whose cost follows what waits, never what is finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from consent.tables import break_glass, ledger_checkpoints, ledger_events
from gateway.bus import outbox
from gateway.store.database import Transaction, instant, moment
from gateway.store.tables import deliveries, endpoints, partners

ENDPOINT_STATES: Final = ("active", "failing", "suspended")
"""How a system that does not come for its deliveries is served: as it should, tried later after a failure, or not any more."""

OPEN_STATES: Final = ("queued", "available", "leased")
"""The states of a delivery that something is still to happen to; the counters tell of the others."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read at one moment; ages in seconds, 0 when nothing waits."""

    outbox_age: float
    open_deliveries: Mapping[str, int]
    ledger_size: int
    unsequenced: int
    unsequenced_age: float
    endpoints: Mapping[str, int]
    emergencies: Mapping[str, int]
    """Emergency accesses that are `open`, and those that wait for a review, `to_review` or `overdue`."""


async def read(tx: Transaction, now: datetime) -> Readings:
    """Read everything in one transaction."""
    # Through the partners, who are few: the index begins with the recipient, and finished deliveries are never read.
    counted = (
        sa.select(deliveries.c.state, sa.func.count().label("number"))
        .select_from(partners.join(deliveries, deliveries.c.recipient == partners.c.siret))
        .where(deliveries.c.state.in_(OPEN_STATES))
        .group_by(deliveries.c.state)
    )
    states = {row.state: row.number for row in await tx.execute(counted)}
    size = (await tx.execute(sa.select(sa.func.max(ledger_checkpoints.c.size)))).scalar_one() or 0
    waiting = ledger_events.c.index.is_(None)
    unsequenced = (await tx.execute(sa.select(sa.func.count(ledger_events.c.seq)).where(waiting))).scalar_one()
    first = sa.select(ledger_events.c.occurred_at).where(waiting).order_by(ledger_events.c.seq).limit(1)
    oldest = (await tx.execute(first)).scalar_one_or_none()
    failing = sa.and_(endpoints.c.state == "active", endpoints.c.failures > 0)
    fares = sa.case((failing, "failing"), else_=endpoints.c.state).label("fares")
    served = sa.select(fares, sa.func.count().label("number")).where(endpoints.c.transport != "pull").group_by(fares)
    fared = {row.fares: row.number for row in await tx.execute(served)}
    return Readings(
        outbox_age=(await outbox.oldest_age(tx, now)).total_seconds(),
        open_deliveries={state: states.get(state, 0) for state in OPEN_STATES},
        ledger_size=size,
        unsequenced=unsequenced,
        unsequenced_age=max(0.0, (now - moment(oldest)).total_seconds()) if oldest else 0.0,
        endpoints={state: fared.get(state, 0) for state in ENDPOINT_STATES},
        emergencies=await _emergencies(tx, instant(now)),
    )


async def _emergencies(tx: Transaction, now: str) -> dict[str, int]:
    glass = break_glass.c
    unreviewed = glass.reviewed_at.is_(None)
    conditions = {
        "open": sa.and_(glass.ended_at.is_(None), glass.until > now),
        "to_review": sa.and_(unreviewed, glass.review_due_at > now),
        "overdue": sa.and_(unreviewed, glass.review_due_at <= now),
    }
    counted = sa.select(
        *(sa.func.count().filter(condition).label(state) for state, condition in conditions.items())
    ).where(sa.or_(*conditions.values()))
    return dict((await tx.execute(counted)).one()._mapping)

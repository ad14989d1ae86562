"""
What the console counts and lists of the gateway as a whole: organisations, conventions, deliveries, indicators. Never a content.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.delivery.lookup import SET_ASIDE
from gateway.store import conventions
from gateway.store.database import Transaction
from gateway.store.tables import deliveries, exchanges, partners, systems

_SHOWN: Final = 200


async def partners_of(tx: Transaction) -> list[dict[str, Any]]:
    """Each organisation with its systems."""
    found = {
        row.siret: {"siret": row.siret, "name": row.name, "systems": []}
        for row in await tx.execute(sa.select(partners))
    }
    for row in await tx.execute(sa.select(systems).order_by(systems.c.client_id)):
        told = {
            "client_id": row.client_id,
            "name": row.name,
            "adapter": row.adapter,
            "disabled": row.disabled_at is not None,
        }
        found[row.partner]["systems"].append(told)
    return sorted(found.values(), key=lambda each: str(each["name"]))


async def conventions_at(tx: Transaction, now: datetime) -> list[dict[str, Any]]:
    """Each version of each convention, in its state at `now`."""
    found = [record.at(now) for record in await conventions.every(tx)]
    return [
        {
            "id": each.id,
            "version": each.version,
            "title": each.document["title"],
            "state": each.state.value,
            "parties": [party["name"] for party in each.document["parties"]],
            "until": each.document["validity"]["until"],
            "hash": each.hash,
        }
        for each in sorted(found, key=lambda each: (each.id, -each.version))
    ]


async def deliveries_now(tx: Transaction) -> dict[str, Any]:
    """How many deliveries are in each state, and the last ones that will not arrive by themselves."""
    state, number = deliveries.c.state, sa.func.count().label("number")
    counted = await tx.execute(sa.select(deliveries.c.recipient, state, number).group_by(deliveries.c.recipient, state))
    replayed = deliveries.alias("replayed")
    waits = sa.and_(state.in_(SET_ASIDE), ~sa.exists().where(replayed.c.parent == deliveries.c.id))
    stuck = sa.select(deliveries).where(waits).order_by(deliveries.c.updated_at.desc()).limit(_SHOWN)
    columns = ("id", "exchange_id", "kind", "sender", "recipient", "state", "updated_at")
    return {
        "counts": [{"recipient": row.recipient, "state": row.state, "number": row.number} for row in counted],
        "stuck": [{name: getattr(row, name) for name in columns} for row in await tx.execute(stuck)],
    }


async def indicators_of(tx: Transaction) -> dict[str, Any]:
    """The counts of a territory: people, referrals that led to a right, documents by kind, deliveries by state, refusals by reason."""
    number = sa.func.count().label("number")
    kinds = await tx.execute(sa.select(exchanges.c.kind, number).group_by(exchanges.c.kind).order_by(exchanges.c.kind))
    states = await tx.execute(sa.select(deliveries.c.state, number).group_by(deliveries.c.state))
    reason = deliveries.c.decision["reasons"][0].as_string()
    refusals = sa.select(reason.label("reason"), number).where(deliveries.c.state == "refused").group_by(reason)
    people = sa.select(sa.func.count(sa.distinct(exchanges.c.subject_id)))
    answered = sa.select(sa.func.count(sa.distinct(exchanges.c.about))).where(exchanges.c.kind == "status")
    # Of a status taken in before it was counted, nothing is known: its content is sealed.
    uncounted = sa.select(number).where(exchanges.c.kind == "status", exchanges.c.right_opened.is_(None))
    opened = sa.select(sa.func.count(sa.distinct(exchanges.c.about))).where(exchanges.c.right_opened)
    return {
        "people": (await tx.execute(people)).scalar_one(),
        "answered": (await tx.execute(answered)).scalar_one(),
        "opened": (await tx.execute(opened)).scalar_one(),
        "uncounted": (await tx.execute(uncounted)).scalar_one(),
        "kinds": [(row.kind, row.number) for row in kinds],
        "states_counted": sorted((row.state, row.number) for row in states),
        "refusals": sorted(((row.reason, row.number) for row in await tx.execute(refusals)), key=lambda each: -each[1]),
    }

"""
Versions of a referral's status: what is not newer than what its recipients were already sent does not leave.

A status carries its `sequence`, per referral and sender. Networks and queues of partners change orders; without this an old
“waiting” would follow a new “right opened”.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from gateway.crossing import Arrival
from gateway.store.database import Transaction
from gateway.store.subjects import chunks
from gateway.store.tables import deliveries, exchanges
from schemas import Issue, Kind

STALE: Final = "stale_status"


async def suppress_stale(tx: Transaction, arrivals: Sequence[Arrival]) -> None:
    """
    Give an issue to each status update whose sequence is not above the newest one that its sender sent about the referral.

    Holds the referral until the transaction ends, so that of two updates that come together one is seen by the other.
    """
    waiting = [
        (crossing, arrival.caller.partner)
        for arrival in arrivals
        for crossing in arrival.waiting
        if crossing.kind is Kind.STATUS and "referral_id" in crossing.document
    ]
    if not waiting:
        return
    newest: dict[tuple[str, str], int] = {}
    for about in chunks(sorted({crossing.document["referral_id"] for crossing, _ in waiting})):
        referrals = sa.select(exchanges.c.id).where(exchanges.c.document_id.in_(about)).order_by(exchanges.c.id)
        await tx.execute(referrals.with_for_update())
        left = sa.exists().where(deliveries.c.exchange_id == exchanges.c.id, deliveries.c.state != "refused")
        query = (
            sa.select(exchanges.c.about, exchanges.c.sender, sa.func.max(exchanges.c.version).label("version"))
            .where(exchanges.c.about.in_(about), exchanges.c.version.is_not(None), left)
            .group_by(exchanges.c.about, exchanges.c.sender)
        )
        newest |= {(row.about, row.sender): row.version for row in await tx.execute(query)}
    for crossing, sender in waiting:
        place, sequence = (crossing.document["referral_id"], sender), crossing.document["sequence"]
        if sequence <= newest.get(place, -1):
            crossing.issues.append(_stale(newest[place], crossing.line))
        else:
            newest[place] = sequence


def _stale(newest: int, line: int | None) -> Issue:
    return Issue(
        STALE,
        "/sequence",
        f"Un suivi plus récent de cette orientation a déjà été envoyé (numéro {newest}) : celui-ci n'est pas parti.",
        f"A newer status of this referral was already sent (number {newest}): this one did not leave.",
        line=line,
    )

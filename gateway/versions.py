"""
Versions of a referral's status: what is not newer than what its recipients were already sent does not leave.

A status carries its `sequence`, per referral and sender. Networks and queues of partners change orders; without this an old
“waiting” would follow a new “right opened”.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from adapters.base import Translated
from gateway.crossing import Arrival, Crossing
from gateway.errors import Problem
from gateway.store.database import Transaction
from gateway.store.subjects import chunks
from gateway.store.tables import deliveries, exchanges
from schemas import Issue, Kind

STALE: Final = "stale_status"


class Numbered(Translated):
    """A status of a format that does not number them, with the number that the gateway gave it (`gateway.answers`)."""

    __slots__ = ()


class NumberTaken(Issue):
    """The fault of a status whose number, given by the gateway, went to another one in the meantime; shown as any stale one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Update:
    crossing: Crossing
    sender: str
    numbered: bool
    """Whether its number was ours to give."""


async def suppress_stale(tx: Transaction, arrivals: Sequence[Arrival]) -> None:
    """
    Give an issue to each status update whose sequence is not above the newest one that its sender sent about the referral.

    The issue is a `NumberTaken` where the gateway gave the sequence: the status is not old, and may have the next one.
    Holds the referral until the transaction ends, so that of two updates that come together one is seen by the other.
    """
    waiting = [update for arrival in arrivals for update in _updates(arrival)]
    if not waiting:
        return
    newest: dict[tuple[str, str], int] = {}
    for about in chunks(sorted({update.crossing.document["referral_id"] for update in waiting})):
        referrals = sa.select(exchanges.c.id).where(exchanges.c.document_id.in_(about)).order_by(exchanges.c.id)
        await tx.execute(referrals.with_for_update())
        left = sa.exists().where(deliveries.c.exchange_id == exchanges.c.id, deliveries.c.state != "refused")
        query = (
            sa.select(exchanges.c.about, exchanges.c.sender, sa.func.max(exchanges.c.version).label("version"))
            .where(exchanges.c.about.in_(about), exchanges.c.version.is_not(None), left)
            .group_by(exchanges.c.about, exchanges.c.sender)
        )
        newest |= {(row.about, row.sender): row.version for row in await tx.execute(query)}
    for update in waiting:
        document = update.crossing.document
        place, sequence = (document["referral_id"], update.sender), document["sequence"]
        if sequence <= newest.get(place, -1):
            update.crossing.issues.append(_stale(update, newest[place]))
        else:
            newest[place] = sequence


def number_taken(problem: Problem) -> bool:
    """Whether a message is refused only for a number that the gateway gave: brought again, it gets the next one."""
    return any(isinstance(issue, NumberTaken) for issue in problem.issues)


def _updates(arrival: Arrival) -> Iterator[_Update]:
    """The status updates of a message that are still on their way, each beside what it was translated from."""
    if not arrival.waiting:
        return
    for crossing, came in zip(arrival.crossings, arrival.translation.documents, strict=True):
        if crossing.open and crossing.kind is Kind.STATUS and "referral_id" in crossing.document:
            yield _Update(crossing, arrival.caller.partner, isinstance(came, Numbered))


def _stale(update: _Update, newest: int) -> Issue:
    fault = NumberTaken if update.numbered else Issue
    return fault(
        STALE,
        "/sequence",
        f"Un suivi plus récent de cette orientation a déjà été envoyé (numéro {newest}) : celui-ci n'est pas parti.",
        f"A newer status of this referral was already sent (number {newest}): this one did not leave.",
        line=update.crossing.line,
    )

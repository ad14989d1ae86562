"""
The volumes that conventions allow each sender, counted in the very transaction that takes the documents in: what would
pass beyond is refused whole, and what was refused is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from consent.clock import PARIS
from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention
from gateway.crossing import Arrival
from gateway.errors import Problem
from gateway.store.database import Transaction, upsert
from gateway.store.tables import volumes

_WORDS: Final = {"day": ("par jour", "a day"), "minute": ("par minute", "a minute")}


def used_by(arrivals: Iterable[Arrival]) -> Counter[tuple[str, str]]:
    """How many documents leave under each convention, by sender (SIRET) and hash; several recipients of one count once."""
    used: Counter[tuple[str, str]] = Counter()
    for arrival in arrivals:
        for crossing in arrival.waiting:
            hashes = {ruling.decision.convention.hash for ruling in crossing.permitted if ruling.decision.convention}
            used.update((arrival.caller.partner, each) for each in hashes)
    return used


async def count(tx: Transaction, used: Mapping[tuple[str, str], int], conventions: Conventions, now: datetime) -> None:
    """
    Count documents, by sender and convention's hash, against the limits in force; the versions of a convention count together.

    Among the last things that a transaction does: it holds the sender's counters until it ends. Raises `Problem` volume_exceeded,
    with the seconds to wait, and nothing of the transaction must then be kept.
    """
    for (sender, convention_hash), documents in sorted(used.items()):
        convention = conventions.of_hash(convention_hash)
        if convention is None:
            continue
        for unit, limit, period, ends in _windows(convention, now):
            row = {"convention_id": convention.id, "sender": sender, "period": period, "documents": documents}
            changed = {"documents": volumes.c.documents + documents}
            statement = upsert(volumes, tx, row, changed).returning(volumes.c.documents)
            total = (await tx.execute(statement)).scalar_one()
            if total > limit:
                raise _exceeded(convention, unit, limit, documents, ends - now)


def _windows(convention: Convention, now: datetime) -> Iterator[tuple[str, int, str, datetime]]:
    """Each limit with its unit, its window's name (a day in France, a minute) and the window's end."""
    here = now.astimezone(PARIS)
    if convention.limits.per_day is not None:
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        yield "day", convention.limits.per_day, here.strftime("%Y-%m-%d"), midnight
    if convention.limits.per_minute is not None:
        minute = now.replace(second=0, microsecond=0)
        yield "minute", convention.limits.per_minute, minute.strftime("%Y-%m-%dT%H:%MZ"), minute + timedelta(minutes=1)


def _exceeded(convention: Convention, unit: str, limit: int, documents: int, wait: timedelta) -> Problem:
    french, english = _WORDS[unit]
    seconds = max(1, int(wait.total_seconds()) + 1)
    alone = documents > limit
    return Problem(
        "volume_exceeded",
        f"La convention {convention.id} permet {limit} documents {french}. Rien de cet envoi n'a été enregistré : "
        + ("il en contient plus à lui seul, partagez-le." if alone else f"renvoyez-le dans {seconds} secondes."),
        f"Convention {convention.id} allows {limit} documents {english}. Nothing of this sending was recorded: "
        + ("it holds more by itself, split it." if alone else f"send it again in {seconds} seconds."),
        headers={} if alone else {"Retry-After": str(seconds)},
        extra={"convention": convention.id, "limit": limit, "per": unit, "documents": documents},
    )

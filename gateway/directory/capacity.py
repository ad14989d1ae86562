"""
The open places of the services: declared by whoever runs a service, true until a day, shown to all who look for one.

data·inclusion (schema v1) says nothing of them, so that they are kept beside its records, and stay when a source is imported again.
A declaration ends by itself: places that nobody declares any more are unknown, and neither open nor taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from consent.clock import PARIS
from gateway.errors import Problem
from gateway.store.database import Transaction, instant, upsert
from gateway.store.tables import directory_capacities

MOST: Final = 10_000
"""Places of one service."""

LONGEST: Final = timedelta(days=366)
"""How far ahead a declaration may hold: beyond, nobody knows."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """How many places a service has open, and the last day (in France, ISO 8601) on which that holds."""

    places: int
    until: str

    @classmethod
    def of(cls, asked: Mapping[str, Any], now: datetime) -> Declaration:
        """Check what is declared at an instant; raises `Problem` malformed_request."""
        places, until = asked.get("places"), asked.get("until")
        if not isinstance(places, int) or isinstance(places, bool) or not 0 <= places <= MOST:
            raise _malformed(f"« places » va de 0 à {MOST}", f"“places” goes from 0 to {MOST}")
        first = date.fromisoformat(today(now))
        if not isinstance(until, str) or (day := _day(until)) is None or not first <= day <= first + LONGEST:
            raise _malformed(
                f"« until » est un jour, AAAA-MM-JJ, d'aujourd'hui à {LONGEST.days} jours",
                f"“until” is a day, YYYY-MM-DD, from today to {LONGEST.days} days ahead",
            )
        return cls(places, until)

    @property
    def told(self) -> dict[str, Any]:
        """What the ledger's event says."""
        return {"places": self.places, "last_day": self.until}


def today(now: datetime) -> str:
    """The day that it is in France at an instant, as declarations are compared with."""
    return now.astimezone(PARIS).date().isoformat()


async def declare(tx: Transaction, service: str, declared: Declaration, by: str, now: datetime) -> None:
    """Keep what an organisation (SIRET) declares of a service, in the place of what was declared before."""
    values = {"places": declared.places, "until": declared.until, "declared_by": by, "declared_at": instant(now)}
    await tx.execute(upsert(directory_capacities, tx, values | {"service_id": service}, values))


async def withdraw(tx: Transaction, service: str) -> bool:
    """Forget what was declared of a service; says whether there was something."""
    gone = sa.delete(directory_capacities).where(directory_capacities.c.service_id == service)
    return bool((await tx.execute(gone)).rowcount)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def _malformed(message_fr: str, message_en: str) -> Problem:
    return Problem("malformed_request", message_fr + ".", message_en + ".")

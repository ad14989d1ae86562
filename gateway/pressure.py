"""
Back-pressure: when what waits for the bus is more than the gateway promised to hold, partners are asked to come back later.

What was accepted is safe whatever waits; refusing early keeps the delay bounded, and the database from growing without end.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

import sqlalchemy as sa

from gateway.errors import Problem
from gateway.store.database import Database
from gateway.store.tables import outbox

RETRY_AFTER: Final = 10
"""Seconds after which partners are asked to come back."""

_FRESH: Final = 1.0
"""Seconds during which one count serves every request."""


class Pressure:
    """Says whether there is room; one instance a process."""

    def __init__(self, database: Database, limit: int) -> None:
        """`limit` is how many rows may wait in the outbox."""
        self._database = database
        self._limit = limit
        self._counted_at = -_FRESH
        self._full = False

    async def demand_room(self) -> None:
        """Raise `Problem` unavailable (503, with Retry-After) when too much waits already; counts once a second at most."""
        if monotonic() - self._counted_at >= _FRESH:
            self._counted_at = monotonic()
            # Stops counting at the limit: an outbox that is nearly empty costs nothing, and a full one no more than that.
            some = sa.select(outbox.c.id).limit(self._limit).subquery()
            async with self._database.read() as tx:
                waiting = (await tx.execute(sa.select(sa.func.count()).select_from(some))).scalar_one()
            self._full = waiting >= self._limit
        if self._full:
            raise Problem(
                "unavailable",
                "La passerelle a trop à remettre en ce moment : renvoyez plus tard, rien n'a été enregistré.",
                "The gateway has too much to hand over at present: send again later, nothing was recorded.",
                headers={"Retry-After": str(RETRY_AFTER)},
            )

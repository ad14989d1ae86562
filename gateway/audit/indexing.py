"""
The index of the ledger, kept up: a loop beside the sequencer, and what a search does not to miss the last second.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from consent.ledger import indexer
from consent.ledger.event import EventType, LedgerRecord
from consent.ledger.indexer import IndexRefused
from consent.ledger.lists import Covered
from consent.tables import ledger_events
from gateway.records import record_of
from gateway.services import Services

_log = logging.getLogger(__name__)

_PATIENCE: Final = 5.0
"""Seconds that a search waits for the index to hold what was recorded before it."""


async def extend(services: Services) -> Covered | None:
    """Index some more of the ledger, with the event that says so; None when there is nothing to index now."""

    def record(covered: Covered) -> LedgerRecord:
        body = {"start": covered.start, "size": covered.size, "root": covered.root.hex()}
        operator, own = services.settings.operator_siret, services.vault.own
        made = record_of(EventType.INDEX_EXTENDED, services.clock(), operator, body, own)
        return replace(made, entry=covered.encode())  # in clear: whoever reads the log sees each root

    async with services.database.write() as tx:
        covered = await indexer.extend(tx, record)
    if covered is not None:
        services.wake()
    return covered


class Indexer:
    """Extends the index every `index_seconds`, until stopped. Several may run: they take turns."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. A database that fails is tried again; `IndexRefused` ends the loop and is told."""
        while not stop.is_set():
            try:
                while not stop.is_set() and await extend(self._services) is not None:
                    continue
            except (SQLAlchemyError, OSError) as error:
                # The text of a database error may hold values.
                _log.warning("ledger.index_failed", extra={"error": type(error).__name__})
            except IndexRefused:
                _log.critical("ledger.index_refused")
                raise
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._services.settings.index_seconds)


async def settled(services: Services) -> None:
    """
    Wait until the index holds what was recorded before this call, and its root has its place in the log.

    When that takes too long, what is indexed is answered, and says how far it goes.
    """
    async with services.database.read() as tx:
        last = (await tx.execute(sa.select(sa.func.max(ledger_events.c.seq)))).scalar_one() or 0
    until = asyncio.get_running_loop().time() + _PATIENCE
    while not await _holds(services, last):
        if asyncio.get_running_loop().time() > until:
            return
        await extend(services)
        services.wake()
        await asyncio.sleep(0.05)


async def _holds(services: Services, last: int) -> bool:
    event = ledger_events.c
    async with services.database.read() as tx:
        known = await indexer.state(tx)
        if known is None or known[1] is None:
            return False
        outside = sa.or_(event.index.is_(None), event.index >= known[0].size)
        query = sa.select(event.seq).where(outside, event.seq <= last, event.type != EventType.INDEX_EXTENDED)
        return (await tx.execute(query.limit(1))).first() is None

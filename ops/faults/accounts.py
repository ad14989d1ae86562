"""
The accounts at the end of a campaign: what the partners wrote down, against what the gateway kept and what the public log proves.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from consent.ledger.tiles import ENTRIES, WIDTH, Tile
from consent.tables import ledger_events
from consent.verify import verify_directory
from gateway.bus.base import DELIVERIES, Bus
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.rabbitmq import RabbitBus
from gateway.store.database import Database
from gateway.store.tables import deliveries, outbox
from ops.faults.territory import Territory

_ASIDE = ("abandoned", "rejected", "stopped", "refused")


async def accounts(territory: Territory, folder: Path, poisoned: set[str]) -> dict[str, Any]:
    """
    Count from outside: `lost`, `twice`, `undisclosed` (handed over without an event in the exported log), `set_aside` (healthy
    messages that the gateway gave up on), `parked` (messages in the bus's dead letters), and what the verifier says of the log.
    """
    journal = territory.journal
    exported = folder / "journal-exported"
    done = await asyncio.to_thread(territory.gateway.command, "ledger", "export", str(exported))
    if done.returncode:
        raise RuntimeError(f"the log could not be exported: {done.stderr[-500:]}")
    size, vkey = (json.loads(done.stdout)[name] for name in ("size", "vkey"))
    entries = list(_entries(exported, size))
    database = Database(territory.gateway.database)
    try:
        disclosed = await _disclosed(database, entries)
        aside = await _set_aside(database)
        parked = await _parked(territory, database)
        async with database.read() as tx:
            unsent = (await tx.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one()
    finally:
        await database.close()
    handed = journal.received
    return {
        "promised": len(journal.promised),
        "received": len(handed),
        "handed_over_again": sum(times - 1 for times in handed.values()),
        "lost": len([each for each in journal.missing() if each not in poisoned]),
        "twice": len(journal.twice),
        "undisclosed": sum(1 for each, times in handed.items() if disclosed[each] < times),
        "set_aside": sum(1 for each in aside if each not in poisoned),
        "poison_set_aside": {each: aside[each] for each in sorted(poisoned & aside.keys())},
        "parked": parked,
        "unsent": unsent,
        "unexpected_answers": dict(journal.refused),
        "log_size": size,
        "log_verified": (await asyncio.to_thread(verify_directory, exported, vkey)).ok,
    }


def _entries(exported: Path, size: int) -> Iterator[bytes]:
    """The entries of an exported log, in order, from its bundles (C2SP tlog-tiles)."""
    for start in range(0, size, WIDTH):
        tile = Tile(ENTRIES, start // WIDTH, min(WIDTH, size - start))
        raw = (exported / tile.path).read_bytes()
        while raw:
            length = int.from_bytes(raw[:2], "big")
            yield raw[2 : 2 + length]
            raw = raw[2 + length :]


async def _disclosed(database: Database, entries: list[bytes]) -> Counter[str]:
    """By delivery, the disclosures whose entry is in the exported log at the index that the gateway gave it."""
    table = ledger_events
    query = sa.select(table.c.delivery_id, table.c["index"].label("place"), table.c.entry).where(
        table.c.type == "disclosure_made"
    )
    async with database.read() as tx:
        rows = (await tx.execute(query)).all()
    return Counter(
        row.delivery_id
        for row in rows
        if row.place is not None and row.place < len(entries) and entries[row.place] == row.entry
    )


async def _set_aside(database: Database) -> dict[str, str]:
    query = sa.select(deliveries.c.id, deliveries.c.state, deliveries.c.last_error).where(
        deliveries.c.state.in_(_ASIDE)
    )
    async with database.read() as tx:
        return {row.id: f"{row.state}: {row.last_error}" for row in await tx.execute(query)}


async def _parked(territory: Territory, database: Database) -> int:
    async def never(*_: object) -> None:
        raise AssertionError("nothing is consumed here")

    bus: Bus = EmbeddedBus(database)
    if territory.addresses:
        bus = RabbitBus(territory.addresses["rabbitmq"], never, prefix="tdu")
    await bus.open()
    try:
        return len(await bus.parked(DELIVERIES, 10_000))
    finally:
        await bus.close()

"""
A write that is cancelled, wherever it stands, leaves the SQLite database free for the next one.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.store.database import Database

pytestmark = pytest.mark.anyio
_SOON = 5.0
"""Seconds within which the next write must be done; a lock that nobody lets go of holds for thirty."""


async def _write(database: Database, row: int) -> None:
    async with database.write() as tx:
        await tx.execute(sa.text("INSERT INTO t VALUES (:row)"), {"row": row})
        await tx.execute(sa.text("SELECT count(*) FROM t"))


async def test_a_write_cancelled_at_any_moment_leaves_the_database_free(tmp_path: Path) -> None:
    """Cancelled after every turn of the loop and after every tenth of a millisecond of its way, alone and in a queue of others."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'gateway.sqlite'}")
    async with database.write() as tx:
        await tx.execute(sa.text("CREATE TABLE t (row INTEGER)"))
    slowest, kept, number = 0.0, 0, 0
    for way in [*range(1, 25), *(i / 10_000 for i in range(40))]:
        for beside in (0, 2):
            number += 1
            others = [asyncio.create_task(_write(database, -number)) for _ in range(beside)]
            cancelled = asyncio.create_task(_write(database, number))
            if isinstance(way, int):
                for _ in range(way):
                    await asyncio.sleep(0)
            else:
                await asyncio.sleep(way)
            cancelled.cancel()
            with suppress(asyncio.CancelledError):
                await cancelled
            begun = time.monotonic()
            await asyncio.wait_for(asyncio.gather(_write(database, 0), *others), _SOON)
            slowest = max(slowest, time.monotonic() - begun)
            async with database.read() as tx:
                query = sa.text("SELECT count(*) FROM t WHERE row = :row")
                kept += int((await tx.execute(query, {"row": number})).scalar_one())
    assert slowest < _SOON
    assert 0 < kept < number  # some were cancelled before they were durable, some were done already
    await database.close()

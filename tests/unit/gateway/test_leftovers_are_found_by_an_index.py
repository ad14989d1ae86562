"""
What the keeper deletes without an event is found by an index, however many rows are not due.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gateway.leftovers import deletion
from gateway.store.database import Database
from gateway.store.tables import delivery_attempts, directory_capacities, idempotency_keys, inbox, volumes
from ops.migrations import migrate

DUE = (
    idempotency_keys.c.created_at,
    inbox.c.received_at,
    delivery_attempts.c.attempted_at,
    volumes.c.period,
    directory_capacities.c.until,
)

pytestmark = pytest.mark.anyio


async def test_no_table_is_read_whole_to_delete_what_is_past(database_url: str) -> None:
    """Neither finding the rows nor deleting them by their key reads a table from one end to the other."""
    database = Database(database_url)
    await migrate(database)
    async with database.write() as tx:
        explain = "EXPLAIN QUERY PLAN "
        if database.dialect == "postgresql":
            explain = "EXPLAIN "
            await tx.execute(
                sa.text("SET LOCAL enable_seqscan = off")
            )  # it would read an empty table whole: that is cheapest
        for column in DUE:
            statement = deletion(column.table, column < "2026-11-01", 200)
            compiled = str(statement.compile(tx.engine.sync_engine, compile_kwargs={"literal_binds": True}))
            plan = "\n".join(str(row[-1]) for row in await tx.execute(sa.text(explain + compiled)))
            assert "SCAN" not in plan and "Seq Scan" not in plan, plan
    await database.close()

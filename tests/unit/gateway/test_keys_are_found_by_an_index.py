"""
What each message is asked about is found by an index, even by a statement planned when the table was empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from gateway.store.database import Database, for_each, one_of
from gateway.store.tables import exchanges, idempotency_keys
from ops.migrations import migrate

KEYS = (idempotency_keys.c.client_id, idempotency_keys.c.key)
DOCUMENT = (exchanges.c.document_id,)

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(new_postgres: Callable[[], str]) -> str:
    """The address of an empty PostgreSQL database: SQLite keeps no plan."""
    return new_postgres()


async def plan(url: str, statement: sa.Select[Any], columns: Sequence[sa.Column[Any]]) -> str:
    """The plan that PostgreSQL keeps of a statement prepared on a new database."""
    database = Database(url)
    await migrate(database)
    some = ", ".join("ARRAY['a', 'b']" for _ in columns)
    async with database.write() as tx:
        await tx.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        await tx.exec_driver_sql(f"PREPARE kept AS {statement.compile(dialect=dialect())}")
        rows = await tx.exec_driver_sql(f"EXPLAIN EXECUTE kept({some})")
        told = "\n".join(str(row[0]) for row in rows)
    await database.close()
    return told


@pytest.mark.parametrize("columns", [KEYS, DOCUMENT], ids=["idempotency keys", "documents"])
async def test_each_value_is_looked_up(database_url: str, columns: Sequence[sa.Column[Any]]) -> None:
    """The kept plan looks into the index for each value, and reads no table from one end to the other."""
    told = await plan(database_url, for_each(columns, sa.select(columns[0].table), "postgresql"), columns)
    assert "Index Scan" in told and "Seq Scan" not in told, told


async def test_a_list_would_be_read_against_the_whole_table(database_url: str) -> None:
    """With the list of an IN the plan kept reads all of an empty table, and would when it has grown: why `for_each` exists."""
    listed = sa.select(exchanges).where(one_of(exchanges.c.document_id, "values", "postgresql"))
    assert "Seq Scan" in await plan(database_url, listed, DOCUMENT)

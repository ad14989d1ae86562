"""The migrations build exactly the tables that the houses declare, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.store.database import Database
from ops.migrations import METADATA, current, migrate


def _plain(value: Any) -> Any:
    """Reflected values without SQL objects: the condition of a partial index becomes its text."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, sa.ClauseElement) else value


def _shape(connection: sa.Connection) -> dict[str, Any]:
    """Everything the database says of its tables, in an order of its own."""
    inspector = sa.inspect(connection)
    shape = {}
    for table in sorted(set(inspector.get_table_names()) - {"alembic_version"}):
        columns = {
            column["name"]: (str(column["type"]), column["nullable"], str(column.get("default")))
            for column in inspector.get_columns(table)
        }
        shape[table] = {
            "columns": columns,
            "primary key": inspector.get_pk_constraint(table),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
            "indexes": sorted(str(_plain(index)) for index in inspector.get_indexes(table)),
        }
    return shape


async def _migrated(url: str) -> tuple[dict[str, Any], bool]:
    database = Database(url)
    await migrate(database)
    await migrate(database)
    revision, head = await current(database)
    async with database.engine.connect() as connection:
        shape = await connection.run_sync(_shape)
    await database.close()
    return shape, revision == head


async def _declared(url: str) -> dict[str, Any]:
    database = Database(url)
    async with database.engine.begin() as connection:
        for metadata in METADATA:
            await connection.run_sync(metadata.create_all)
    async with database.engine.connect() as connection:
        shape = await connection.run_sync(_shape)
    await database.close()
    return shape


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migrating_twice_gives_the_declared_tables(kind: str, tmp_path: Path, new_postgres: Callable[[], str]) -> None:
    """A migrated database and one made from the declarations have the same shape, and migrating again changes nothing."""
    if kind == "sqlite":
        first, second = (f"sqlite+aiosqlite:///{tmp_path / name}" for name in ("migrated.sqlite", "declared.sqlite"))
    else:
        first, second = new_postgres(), new_postgres()
    migrated, at_head = asyncio.run(_migrated(first))
    assert at_head
    assert asyncio.run(_declared(second)) == migrated
    assert "exchanges" in migrated

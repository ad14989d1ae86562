"""Agreements recorded before the keeper existed end at their term too."""

from __future__ import annotations

import asyncio
from typing import Any

import sqlalchemy as sa

from consent.tables import agreements
from gateway.store.database import Database
from ops.migrations import migrate

SAID: dict[str, dict[str, Any]] = {
    "by its duration": {"state": "given", "valid_from": "2026-03-02T09:30:00+01:00", "duration": "one_month"},
    "by its date": {"state": "given", "valid_from": "2026-03-02T09:30:00+01:00", "valid_until": "2026-03-05T00:00:00Z"},
    "by the first of both": {
        "state": "given",
        "valid_from": "2026-03-02T09:30:00+01:00",
        "valid_until": "2027-01-01T00:00:00Z",
        "duration": "one_day",
    },
    "taken back": {"state": "withdrawn", "valid_from": "2026-03-02T09:30:00+01:00", "duration": "one_month"},
}
TERMS = {
    "by its duration": "2026-04-02T08:30:00.000000Z",
    "by its date": "2026-03-05T00:00:00.000000Z",
    "by the first of both": "2026-03-03T08:30:00.000000Z",
    "taken back": None,
}


OVER = TERMS | {"taken back": "2026-03-02T09:00:00.000000Z"}
"""From when their proof is kept; what was taken back without a date, since it was recorded."""


async def _upgraded(url: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
    database = Database(url)
    await migrate(database, "0001")
    old = sa.table("agreements", *(sa.column(column.name, column.type) for column in agreements.columns))
    async with database.write() as tx:
        for ident, said in SAID.items():
            row = {"id": ident, "subject_id": "s", "collected_by": "99900003700013", "sealed": b"", "decisive": said}
            await tx.execute(sa.insert(old).values(row | {"recorded_at": "2026-03-02T09:00:00.000000Z"}))
    await migrate(database)
    async with database.read() as tx:
        found = (await tx.execute(sa.select(agreements))).all()
    await database.close()
    return {row.id: row.ends_at for row in found}, {row.id: row.over_at for row in found}


def test_the_migration_writes_the_term_of_what_was_recorded(database_url: str) -> None:
    """From the date or the duration, whichever comes first; what was taken back has no term any more."""
    assert (TERMS, OVER) == asyncio.run(_upgraded(database_url))

"""Systems registered before registrations said what they demand keep their bearer tokens, and are counted as trials."""

from __future__ import annotations

import asyncio
from typing import Any

import sqlalchemy as sa

from gateway.auth.profile import TRIAL, Security
from gateway.auth.registry import get_system
from gateway.store.database import Database
from gateway.store.tables import endpoints, partners, systems
from ops.migrations import migrate

AT = "2026-11-23T09:00:00.000000Z"
PARTNER = {"siret": "99900001100018", "name": "CAF de Valombre", "signing_jwks": {"keys": []}, "created_at": AT}
SYSTEM: dict[str, Any] = {
    "client_id": "caf-rsa",
    "partner": "99900001100018",
    "name": "Logiciel RSA",
    "jwks": {"keys": []},
    "roles": ["partner"],
    "adapter": "shared-json",
    "delivery": "pull",
    "delivery_settings": {},
    "created_at": AT,
}
ENDPOINT = {
    "client_id": "caf-rsa",
    "partner": "99900001100018",
    "transport": "pull",
    "settings": {},
    "policy": {},
    "allowance": {},
    "state": "active",
    "updated_at": AT,
}


async def _upgraded(url: str) -> Security | None:
    database = Database(url)
    await migrate(database, "0005")
    gone = (sa.column("delivery", sa.String), sa.column("delivery_settings", sa.JSON))
    before = sa.table("systems", *(sa.column(column.name, column.type) for column in systems.columns), *gone)
    async with database.write() as tx:
        await tx.execute(sa.insert(partners).values(PARTNER))
        await tx.execute(sa.insert(before).values(SYSTEM))
        await tx.execute(sa.insert(endpoints).values(ENDPOINT))
    await migrate(database)
    async with database.read() as tx:
        system = await get_system(tx, "caf-rsa")
    await database.close()
    return system.security if system else None


def test_the_migration_stops_nobody(database_url: str) -> None:
    """A system that works today works after the upgrade; the operator sees which ones are still to be bound."""
    assert TRIAL == asyncio.run(_upgraded(database_url))

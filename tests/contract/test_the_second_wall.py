"""The second wall between partners (PostgreSQL): a query that forgets its partner clause gives nothing of another's."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated, Any, Final

import pytest
import sqlalchemy as sa
from fastapi import Depends, Request
from sqlalchemy.exc import DBAPIError

from consent.tables import metadata as consent_metadata
from gateway.auth.resource import Caller, requires
from gateway.auth.scopes import Scopes
from gateway.http.state import services_of
from gateway.store import wall
from gateway.store.database import Database, instant
from gateway.store.tables import metadata as gateway_metadata
from gateway.store.tables import quarantine
from ops.migrations import migrate

pytestmark = pytest.mark.anyio

CAF, DEPARTEMENT, CCAS = "99900001100018", "99900002900010", "99900004500016"
MODEL: Final = (files("consent") / "models" / "tznr-caf-departement.yaml").read_bytes()
TABLES: Final = {**consent_metadata.tables, **gateway_metadata.tables}
WALLED: Final = sorted(set(TABLES) - set(wall.SHARED))


@pytest.fixture
def database_url(new_postgres: Callable[[], str]) -> str:
    """The address of an empty PostgreSQL database: SQLite has no row-level security."""
    return new_postgres()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated PostgreSQL database."""
    opened = Database(database_url)
    await migrate(opened)
    yield opened
    await opened.close()


async def test_every_table_is_behind_the_wall_or_says_why_not(database: Database) -> None:
    """Row-level security binds the tables' owner on every table but those listed as shared, and their owner cannot pass by."""
    forced = sa.text(
        "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid WHERE relrowsecurity AND relforcerowsecurity"
    )
    every = sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    passes = sa.text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    async with database.read() as tx:
        walled = set((await tx.execute(forced)).scalars())
        tables = set((await tx.execute(every)).scalars())
        assert not (await tx.execute(passes)).scalar_one(), "a superuser passes by: run the tests with an ordinary role"
    assert tables - walled == set(wall.SHARED)


async def test_a_query_without_its_clause_gives_nothing_of_anothers(in_process: Callable[..., Any]) -> None:
    """Addresses that read whole tables answer a partner with its own rows: both parties' of an exchange, and nothing to a third."""
    async with in_process() as started:
        _forgetful(started.app)
        caf, departement, ccas = [
            await started.partner(siret, name, name)
            for siret, name in ((CAF, "caf"), (DEPARTEMENT, "departement"), (CCAS, "ccas"))
        ]
        await caf.propose(MODEL)
        await caf.sign(MODEL)
        await departement.sign(MODEL)
        other = MODEL.replace(DEPARTEMENT.encode(), CCAS.encode()).replace(b"tznr-valombre-caf", b"autre-valombre-caf")
        await caf.propose(other)
        await caf.sign(other)
        await ccas.sign(other)
        sent = await caf.call("POST", "/v1/referrals", json=_referral())
        [exchange] = sent.json()["exchanges"]
        await departement.pull(1)
        await ccas.call("PUT", "/v1/endpoints/ccas", json={"transport": "pull"})
        found = {
            partner.client_id: (await partner.call("GET", "/forgetful")).json() for partner in (caf, departement, ccas)
        }
    theirs = {"exchanges": 1, "documents": 1, "deliveries": 1}
    for name in ("caf", "departement"):
        assert found[name].items() >= theirs.items(), name
    assert found["caf"]["idempotency_keys"] == 3  # two proposals, one referral
    mine = {table: count for table, count in found["ccas"].items() if count}
    # Of the ledger, its signature of a convention and its endpoint.
    assert mine == {"endpoints": 1, "ledger_events": 2}
    assert exchange["recipients"][0]["siret"] == DEPARTEMENT


async def test_nothing_is_seen_before_it_is_known_who_asks(database: Database) -> None:
    """In a request without a caller, no table behind the wall gives a row; outside of one, the gateway sees them all."""
    await _set_aside(database, CAF)
    with wall.request():
        counts = await _counts(database)
    assert not any(counts.values())
    assert (await _counts(database))["quarantine"] == 1


async def test_nothing_is_written_in_anothers_name(database: Database) -> None:
    """A row of another partner is neither made, nor changed, nor deleted; and the connection is everybody's again after."""
    await _set_aside(database, CAF)
    with wall.request():
        wall.stand(wall.Side(DEPARTEMENT, "departement"))
        with pytest.raises(DBAPIError, match="row-level security"):
            await _set_aside(database, CAF)
        async with database.write() as tx:
            changed = await tx.execute(sa.update(quarantine).values(code="changed"))
            deleted = await tx.execute(sa.delete(quarantine))
        assert (changed.rowcount, deleted.rowcount) == (0, 0)
        async with database.read(beyond="the test looks") as tx:
            assert (await tx.execute(sa.select(quarantine.c.code))).scalars().all() == ["unreadable"]


def _forgetful(app: Any) -> None:
    """Add an address as somebody in a hurry would write it: no clause says whose rows are read."""

    @app.get("/forgetful")
    async def _all(
        request: Request, _caller: Annotated[Caller, Depends(requires(Scopes.EXCHANGE_READ))]
    ) -> dict[str, int]:
        return await _counts(services_of(request).database)


async def _counts(database: Database) -> dict[str, int]:
    async with database.read() as tx:
        return {
            name: (await tx.execute(sa.select(sa.func.count()).select_from(TABLES[name]))).scalar_one()
            for name in WALLED
        }


async def _set_aside(database: Database, sender: str) -> None:
    at = instant(datetime.now(UTC))
    row = {"id": str(uuid.uuid4()), "client_id": "x", "sender": sender, "adapter": "shared-json", "code": "unreadable"}
    async with database.write() as tx:
        await tx.execute(sa.insert(quarantine).values(row | {"sealed": b"", "received_at": at, "expires_at": at}))


def _referral() -> dict[str, Any]:
    return {
        "kind": "referral",
        "schema_version": "1.0",
        "id": "0190a5b2-0000-7000-8000-000000000001",
        "created_at": "2026-11-23T09:00:00+01:00",
        "sender": {"siret": CAF},
        "recipients": [{"siret": DEPARTEMENT}],
        "purpose": "inform_about_rights",
        "subject": {"birth_name": "Valrose", "given_names": ["Ada"], "birth_date": "1981-05-17", "sex": "female"},
        "rights": [{"right": "rsa", "state": "to_request"}],
    }

"""Replacing the keys of the sealing, on both databases: readable and findable all along, and the old keys really gone."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.tables import ledger_events
from gateway.records import place
from gateway.rotation import Rotation, StillUsed
from gateway.store import subjects
from gateway.store.crypto import Unreadable, Vault
from gateway.store.database import Database, instant
from gateway.store.ring import Ring, RingUnreadable
from gateway.store.subjects import Identity, StaleRing
from gateway.store.tables import documents, subject_data_keys, subject_keys
from ops.migrations import METADATA

pytestmark = pytest.mark.anyio

ROOT = bytes(range(32))
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CAF, OPERATOR = "99900001100018", "99900009400014"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An empty database of each kind."""
    opened = Database(database_url)
    async with opened.engine.begin() as connection:
        for metadata in METADATA:
            await connection.run_sync(metadata.create_all)
    yield opened
    await opened.close()


def person(number: int) -> dict[str, Any]:
    return {"birth_name": f"Personne{number}", "given_names": ["Camille"], "birth_date": "1980-05-17", "sex": "female"}


async def created(database: Database, vault: Vault, numbers: range, *, kept: bool = True) -> list[str]:
    """Some people, each with a sealed document when `kept`; gives their subject ids."""
    async with database.write() as tx:
        identities = [Identity.of(person(number), CAF, vault) for number in numbers]
        found = [str(each) for each in await subjects.resolve(tx, identities, vault, NOW)]
        keys = await subjects.data_keys(tx, found, vault)
        for number, ident in zip(numbers, found, strict=True):
            document = str(uuid.uuid4())
            row = {
                "id": document,
                "kind": "referral",
                "schema_version": "1.0",
                "sender": CAF,
                "subject_id": ident,
                "sealed": keys[ident].seal(orjson.dumps({"subject": person(number)}), f"documents/{document}"),
                "received_at": instant(NOW),
            }
            if kept:
                await tx.execute(sa.insert(documents).values(row))
    return found


async def known(database: Database, vault: Vault, number: int) -> str | None:
    async with database.read() as tx:
        return await subjects.find(tx, Identity.of(person(number), CAF, vault))


async def readable(database: Database, vault: Vault, ident: str) -> dict[str, Any]:
    async with database.read() as tx:
        key = (await subjects.data_keys(tx, [ident], vault))[ident]
        row = (await tx.execute(sa.select(documents).where(documents.c.subject_id == ident))).one()
    found: dict[str, Any] = orjson.loads(key.open(row.sealed, f"documents/{row.id}"))
    return found


async def rotated(database: Database, vault: Vault) -> list[dict[str, Any]]:
    """What the ledger says was done to the keys."""
    query = sa.select(ledger_events).where(ledger_events.c.type == EventType.KEY_ROTATED).order_by(ledger_events.c.seq)
    async with database.read() as tx:
        rows = (await tx.execute(query)).all()
    return [json.loads(vault.own.open(row.sealed, place(row.id)))["body"] for row in rows]


async def test_data_keys_are_wrapped_again_while_everybody_stays_readable(database: Database) -> None:
    """Before, during and after; a process that has not seen the new key reads its file again; the old key is destroyed last."""
    old = Ring.of_root(ROOT)
    people = await created(database, Vault(old), range(1_200))
    ring = old.with_wrapping().promoted()
    vault, late = Vault(ring), Vault(old, lambda: ring)
    rotation = Rotation(database, vault, OPERATOR)
    async with database.write() as tx:
        assert await rotation._rewrap_some(tx) == 500
    for each in (people[0], people[-1]):  # whichever key each is under now
        assert await readable(database, vault, each) == await readable(database, late, each)
    with pytest.raises(StillUsed):
        await rotation.retire_wrapping(old.current, NOW)
    assert await rotation.rewrap(NOW) == 700
    assert await rotation.rewrap(NOW) == 0
    assert await rotation.used() == {"wrapping": {ring.current: 1_200}, "indexes": {"1": 1_200}}
    await rotation.retire_wrapping(old.current, NOW)
    left = Vault(ring.without(wrapping=old.current))
    assert (await readable(database, left, people[7]))["subject"]["birth_name"] == "Personne7"
    with pytest.raises(Unreadable):
        await readable(database, Vault(old), people[7])
    told = await rotated(database, left)
    assert [each["change"] for each in told] == ["data_keys_rewrapped", "wrapping_key_retired"]
    assert told[0]["count"] == 700


async def test_a_copy_of_the_data_keys_from_before_opens_nothing_any_more(database: Database) -> None:
    """Whoever restores an old copy of the wrapped keys beside the ring of today cannot read them: an erasure stays one."""
    old = Ring.of_root(ROOT)
    [ident] = await created(database, Vault(old), range(1))
    async with database.read() as tx:
        copy = (await tx.execute(sa.select(subject_data_keys))).one()
    ring = old.with_wrapping().promoted()
    rotation = Rotation(database, Vault(ring), OPERATOR)
    await rotation.rewrap(NOW)
    await rotation.retire_wrapping(old.current, NOW)
    kept = Ring.parse(ring.without(wrapping=old.current).encode())
    with pytest.raises(Unreadable):
        Vault(kept).unwrap(ident, copy.kek, copy.wrapped)
    assert base64.b64encode(ROOT) not in kept.encode()


async def test_nobody_is_created_under_a_key_that_was_retired(database: Database) -> None:
    """A process that still has the old ring reads its file again, or refuses: nothing would ever open what it seals."""
    old = Ring.of_root(ROOT)
    ring = old.with_wrapping().promoted()
    await Rotation(database, Vault(ring), OPERATOR).retire_wrapping(old.current, NOW)
    with pytest.raises(StaleRing):
        await created(database, Vault(old), range(1))
    [ident] = await created(database, Vault(old, lambda: ring), range(1))
    assert (await readable(database, Vault(ring), ident))["subject"]["birth_name"] == "Personne0"


async def test_people_are_found_under_either_version_of_the_index(database: Database) -> None:
    """Old and new processes find the same person and make no second one; the old version goes once everybody has the new one."""
    old = Ring.of_root(ROOT)
    ring = old.with_index()
    before, after = Vault(old), Vault(ring)
    people = await created(database, before, range(30))
    assert await known(database, after, 3) == people[3]
    assert await created(database, after, range(28, 32)) == [
        *people[28:],
        *await created(database, before, range(30, 32)),
    ]
    rotation = Rotation(database, after, OPERATOR)
    with pytest.raises(StillUsed) as error:
        await rotation.retire_index(1, NOW)
    assert error.value.count == 28
    assert await rotation.reindex(NOW) == 0
    assert await rotation.retire_index(1, NOW) == 32
    alone = Vault(ring.without(index=1))
    assert [await known(database, alone, number) for number in range(30)] == people
    assert await known(database, before, 3) is None
    with pytest.raises(StaleRing):
        await created(database, before, range(100, 101))


async def test_somebody_without_any_document_keeps_the_older_version(database: Database) -> None:
    """Nothing says who they are any more: their index stays, until they are met again."""
    old = Ring.of_root(ROOT)
    vault = Vault(old.with_index())
    [ident] = await created(database, Vault(old), range(1), kept=False)
    rotation = Rotation(database, vault, OPERATOR)
    assert await rotation.reindex(NOW) == 1
    with pytest.raises(StillUsed):
        await rotation.retire_index(1, NOW)
    assert await created(database, vault, range(1), kept=False) == [ident]  # met again
    assert await rotation.reindex(NOW) == 0
    await rotation.retire_index(1, NOW)
    async with database.read() as tx:
        values = (await tx.execute(sa.select(subject_keys.c.value))).scalars().all()
    assert {value[0] for value in values} == {2}


def test_a_ring_is_read_back_as_it_was_written_and_nothing_else_is() -> None:
    """A root secret and a ring; anything altered is refused without repeating it."""
    ring = Ring.of_root(ROOT).with_wrapping().promoted().with_index()
    assert Ring.parse(ring.encode()) == ring
    assert Ring.parse(base64.b64encode(ROOT) + b"\n") == Ring.of_root(ROOT)
    told = json.loads(ring.encode())
    for wrong in (
        b"",
        b"{",
        b"AAAA",
        b"[]",
        json.dumps(told | {"current": "nobody"}).encode(),
        json.dumps(told | {"format": "other"}).encode(),
        json.dumps(told | {"indexes": {}}).encode(),
        json.dumps(told | {"indexes": {"300": told["indexes"]["1"]}}).encode(),
        json.dumps(told | {"kept": {"pseudonym": "AAAA"}}).encode(),
        json.dumps({name: value for name, value in told.items() if name != "wrapping"}).encode(),
    ):
        with pytest.raises(RingUnreadable):
            Ring.parse(wrong)
    assert base64.b64encode(ring.kept["own data"]).decode() not in repr(ring)

"""
Replacing the keys of the sealing while the gateway works: every data key wrapped again, everybody found under the new index.

A key is destroyed only once nothing is under it and nobody may still write with it: the database says so first, then the file.
Destroying a wrapping key is also what closes old copies: a data key that a backup still holds under it is lost for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.ledger.store import Ledger
from consent.tables import agreements
from gateway.records import record_of
from gateway.store import agreements as agreements_in_store
from gateway.store import subjects
from gateway.store.crypto import DataKey, Vault
from gateway.store.database import Database, Transaction, insert_ignore
from gateway.store.subjects import Identity, index_mark, kek_mark
from gateway.store.tables import deliveries, documents, generations, subject_data_keys, subject_keys

_BATCH: Final = 500


class StillUsed(Exception):
    """A key cannot be destroyed: something is still under it. `count` says how much."""

    def __init__(self, count: int) -> None:
        super().__init__("the key is still used")
        self.count = count


@dataclass(frozen=True, slots=True)
class Rotation:
    """The keys of one gateway, their database, and in whose name (SIRET) the ledger records what is done to them."""

    database: Database
    vault: Vault
    operator: str

    async def record(self, tx: Transaction, now: datetime, body: dict[str, Any]) -> None:
        """Record something done to the keys; `body` holds names and counts, never a key."""
        await Ledger().append(tx, [record_of(EventType.KEY_ROTATED, now, self.operator, body, self.vault.own)])

    async def used(self) -> dict[str, dict[str, int]]:
        """How many data keys each wrapping key wraps, and how many rows each version of the index has."""
        version = sa.func.substr(subject_keys.c.value, 1, 1)
        wrapped = sa.select(subject_data_keys.c.kek, sa.func.count()).group_by(subject_data_keys.c.kek)
        indexed = sa.select(version, sa.func.count()).group_by(version)
        async with self.database.read() as tx:
            of_keys = {str(row[0]): int(row[1]) for row in await tx.execute(wrapped)}
            of_index = {str(first[0]): count for first, count in await tx.execute(indexed)}
        return {"wrapping": of_keys, "indexes": of_index}

    async def rewrap(self, now: datetime) -> int:
        """Wrap every data key under the current key, a few at a time; gives how many, and records it when there were some."""
        done = 0
        while True:
            async with self.database.write() as tx:
                count = await self._rewrap_some(tx)
            done += count
            if count < _BATCH:
                break
        if done:
            async with self.database.write() as tx:
                body = {"change": "data_keys_rewrapped", "to": self.vault.kek_id, "count": done}
                await self.record(tx, now, body)
        return done

    async def _rewrap_some(self, tx: Transaction) -> int:
        table = subject_data_keys.c
        query = sa.select(subject_data_keys).where(table.kek != self.vault.kek_id).limit(_BATCH)
        rows = (await tx.execute(query.with_for_update(skip_locked=True))).all()
        changed = [
            {
                "subject": row.subject_id,
                "before": row.kek,
                "key": self.vault.kek_id,
                "bytes": self.vault.wrap(self.vault.unwrap(row.subject_id, row.kek, row.wrapped)),
            }
            for row in rows
        ]
        if changed:
            here = sa.and_(table.subject_id == sa.bindparam("subject"), table.kek == sa.bindparam("before"))
            change = sa.update(subject_data_keys).where(here)
            await tx.execute(change.values(kek=sa.bindparam("key"), wrapped=sa.bindparam("bytes")), changed)
        return len(rows)

    async def retire_wrapping(self, name: str, now: datetime) -> None:
        """
        Take a wrapping key out of use in the database, so that nobody writes with it any more; durable when it returns.

        Raises StillUsed when a data key is still under it. The caller then removes it from the file, and it is gone.
        """
        async with self.database.write() as tx:
            await subjects.creating(tx)
            query = sa.select(sa.func.count()).where(subject_data_keys.c.kek == name)
            if left := (await tx.execute(query.select_from(subject_data_keys))).scalar_one():
                raise StillUsed(left)
            await self._mark(tx, kek_mark(name), {"change": "wrapping_key_retired", "key": name}, now)

    async def reindex(self, now: datetime) -> int:
        """
        Have everybody found under every version of the index; gives how many people could not be, for want of a document.

        Those keep the older version, which must stay, until they are met again.
        """
        after, left, done = "", 0, 0
        while True:
            query = sa.select(subject_data_keys.c.subject_id).where(subject_data_keys.c.subject_id > after)
            async with self.database.read() as tx:
                found = await tx.execute(query.order_by(subject_data_keys.c.subject_id).limit(_BATCH))
                people: Sequence[str] = found.scalars().all()
            if not people:
                break
            after = people[-1]
            async with self.database.write() as tx:
                for subject_id in people:
                    added, missing = await self._reindex_one(tx, subject_id)
                    done, left = done + added, left + missing
        async with self.database.write() as tx:
            body = {"change": "people_reindexed", "version": max(self.vault.ring.indexes), "count": done, "left": left}
            await self.record(tx, now, body)
        return left

    async def _reindex_one(self, tx: Transaction, subject_id: str) -> tuple[bool, bool]:
        """Whether rows were added for a person, and whether some could not be."""
        await subjects.lock(tx, [subject_id], change=True)
        key = (await subjects.data_keys(tx, [subject_id], self.vault)).get(subject_id)
        rows = (await tx.execute(sa.select(subject_keys).where(subject_keys.c.subject_id == subject_id))).all()
        known = {(row.kind, row.value) for row in rows}
        newest = max(self.vault.ring.indexes)
        old = {each for each in known if each[1][0] != newest}
        if key is None or len(known) - len(old) >= len(old) > 0:
            return False, False
        fresh, recognised = [], set()
        for kind, values in await self._indexes(tx, key):
            if same := {(kind, value) for value in values} & old:
                recognised |= same
                fresh.append({"kind": kind, "value": values[0], "subject_id": subject_id})
        if fresh:
            await tx.execute(insert_ignore(subject_keys, tx), fresh)
        return bool(fresh), recognised != old

    async def _indexes(self, tx: Transaction, key: DataKey) -> list[tuple[str, tuple[bytes, ...]]]:
        """Every blind index of a person that can be computed again, under each version, from what is kept of them."""
        of = key.subject_id
        kept = (await tx.execute(sa.select(documents).where(documents.c.subject_id == of))).all()
        said = (await tx.execute(sa.select(agreements).where(agreements.c.subject_id == of))).all()
        subjects_said = [orjson.loads(key.open(row.sealed, f"documents/{row.id}"))["subject"] for row in kept]
        subjects_said += [agreements_in_store.opened(row, key)["subject"] for row in said]
        found: list[tuple[str, tuple[bytes, ...]]] = []
        for subject in subjects_said:
            identity = Identity.of(subject, "", self.vault)
            found += [(kind, values) for kind, values in (("nir", identity.nir), ("pivot", identity.pivot)) if values]
        query = sa.select(deliveries.c.recipient).where(deliveries.c.subject_id == of).distinct()
        for partner in (await tx.execute(query)).scalars():
            pseudonym = self.vault.pseudonym(of, partner)
            found.append(("alias", subjects.alias(pseudonym, partner, self.vault)))
        return found

    async def retire_index(self, version: int, now: datetime) -> int:
        """
        Delete an older version of the index, and take it out of use; gives how many rows.

        Raises StillUsed when somebody would not be found any more.
        """
        newest = max(self.vault.ring.indexes)
        first = sa.func.substr(subject_keys.c.value, 1, 1)
        of_version, of_newest = (
            sa.func.sum(sa.case((first == bytes([each]), 1), else_=0)) for each in (version, newest)
        )
        alone = sa.select(subject_keys.c.subject_id).group_by(subject_keys.c.subject_id, subject_keys.c.kind)
        async with self.database.write() as tx:
            await subjects.creating(tx)
            left = (await tx.execute(alone.having(of_version > of_newest))).scalars().all()
            if left:
                raise StillUsed(len(set(left)))
            gone = await tx.execute(sa.delete(subject_keys).where(first == bytes([version])))
            await self._mark(tx, index_mark(version), {"change": "index_retired", "version": version}, now)
        return int(gone.rowcount)

    async def _mark(self, tx: Transaction, name: str, body: dict[str, Any], now: datetime) -> None:
        marked = await tx.execute(
            insert_ignore(generations, tx).values(name=name, value=1).returning(generations.c.name)
        )
        if marked.first() is not None:
            await self.record(tx, now, body)

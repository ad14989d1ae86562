"""
The conventions kept by the gateway: files, signatures, marks, and the collection that the gate reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from consent.conventions.collection import Conventions
from consent.conventions.convention import Convention
from consent.conventions.lifecycle import Mark, MarkKind, Signed, state_at, suspended_by
from consent.tables import convention_marks, convention_signatures, conventions
from gateway.store.database import Transaction, insert_ignore, instant, mentions, moment
from gateway.store.tables import generations

_GENERATION = "conventions"
_FOREVER = datetime.max.replace(tzinfo=UTC)

_HELD_GENERATION = sa.select(generations.c.value).where(generations.c.name == _GENERATION).with_for_update(read=True)


class ConventionBook:
    """
    Gives the gate its conventions, read again only when one of them changed or reached a date that matters.

    What is in memory is never stale: each transaction reads the generation, and holds it until it ends, so that a revocation
    waits for the exchanges being decided and counts for every later one.
    """

    def __init__(self) -> None:
        """Start with nothing in memory."""
        self._generation = -1
        self._records: Sequence[Record] = ()
        self._collection = Conventions()
        self._until = _FOREVER
        self._since = _FOREVER

    @property
    def latest(self) -> Conventions:
        """What was last read, for a hint: a convention may have changed since."""
        return self._collection

    async def in_force(self, tx: Transaction, now: datetime) -> Conventions:
        """Every convention known, each in its state at `now`; for use within `tx` only."""
        generation = (await tx.execute(_HELD_GENERATION)).scalar_one_or_none() or 0
        if generation != self._generation:
            self._records = await every(tx)
            self._generation = generation
            self._until = self._since
        if not self._since <= now < self._until:
            self._collection = Conventions(record.at(now) for record in self._records)
            dates = [day for record in self._records for day in (record.convention.starts, record.convention.ends)]
            self._since = now
            self._until = min((day for day in dates if day > now), default=_FOREVER)
        return self._collection


class Record:
    """One version of a convention with what was done to it."""

    def __init__(self, convention: Convention, signatures: Sequence[Signed], marks: Sequence[Mark]) -> None:
        """Keep a text, the signatures verified over it, and what else its parties did to it."""
        self.convention = convention
        self.signatures = signatures
        self.marks = marks

    def at(self, now: datetime) -> Convention:
        """The convention in its state at `now`, which everything kept here came before."""
        return self.convention.in_state(state_at(self.convention, self.signatures, self.marks, self._seen(now)))

    def suspended_by(self, now: datetime) -> frozenset[str]:
        """The parties (SIRET) whose suspension stands at `now`."""
        return suspended_by(self.marks, self._seen(now))

    def _seen(self, now: datetime) -> datetime:
        # What is recorded has happened, even if the clock of the machine that recorded it is ahead of ours.
        return max([now, *(signature.at for signature in self.signatures), *(mark.at for mark in self.marks)])


async def hold(tx: Transaction) -> None:
    """
    Hold every convention until the transaction ends, before looking at what is to be changed.

    The exchanges being decided end first, and those to come wait: what is done here is wholly before or after each of them.
    """
    await tx.execute(insert_ignore(generations, tx).values(name=_GENERATION, value=0))
    await tx.execute(sa.select(generations.c.value).where(generations.c.name == _GENERATION).with_for_update())


async def versions(tx: Transaction, convention_id: str, party: str | None = None) -> list[Record]:
    """Read every version of a convention (those that name a party) with what was done to it, the newest first."""
    query = sa.select(conventions).where(conventions.c.id == convention_id).order_by(conventions.c.version.desc())
    if party is not None:
        query = query.where(mentions(conventions.c.document, party))
    return await _records(tx, (await tx.execute(query)).all())


async def every(tx: Transaction) -> list[Record]:
    """Read every version of every convention with what was done to it."""
    return await _records(tx, (await tx.execute(sa.select(conventions))).all())


async def signatures_of(tx: Transaction, convention: Convention) -> list[dict[str, str]]:
    """The signatures of one version: party, key, JWS and date."""
    query = sa.select(convention_signatures).where(
        convention_signatures.c.convention_id == convention.id,
        convention_signatures.c.convention_version == convention.version,
    )
    rows = await tx.execute(query.order_by(convention_signatures.c.signed_at))
    return [{"party": row.party, "kid": row.kid, "jws": row.jws, "signed_at": row.signed_at} for row in rows]


async def add(tx: Transaction, convention: Convention, proposed_by: str, now: datetime) -> bool:
    """Keep a new version; False when this id and version, or this very text, is already there."""
    values = {
        "id": convention.id,
        "version": convention.version,
        "hash": convention.hash,
        "document": dict(convention.document),
        "proposed_by": proposed_by,
        "proposed_at": instant(now),
    }
    added = await tx.execute(insert_ignore(conventions, tx).values(values).returning(conventions.c.id))
    if added.first() is None:
        return False
    await _moved(tx)
    return True


async def sign(tx: Transaction, convention: Convention, party: str, kid: str, jws: str, now: datetime) -> bool:
    """Keep a verified signature; False when this party already signed this version."""
    values = {
        "convention_id": convention.id,
        "convention_version": convention.version,
        "party": party,
        "kid": kid,
        "jws": jws,
        "signed_at": instant(now),
    }
    statement = insert_ignore(convention_signatures, tx).values(values).returning(convention_signatures.c.party)
    if (await tx.execute(statement)).first() is None:
        return False
    await _moved(tx)
    return True


async def mark(tx: Transaction, convention: Convention, kind: MarkKind, by: str, now: datetime) -> None:
    """Suspend, resume, revoke or reject a version; the next decision of any process sees it."""
    values = {
        "convention_id": convention.id,
        "convention_version": convention.version,
        "kind": kind.value,
        "by": by,
        "at": instant(now),
    }
    await tx.execute(sa.insert(convention_marks).values(values))
    await _moved(tx)


async def _moved(tx: Transaction) -> None:
    await tx.execute(insert_ignore(generations, tx).values(name=_GENERATION, value=0))
    await tx.execute(
        sa.update(generations).where(generations.c.name == _GENERATION).values(value=generations.c.value + 1)
    )


async def _records(tx: Transaction, rows: Sequence[Any]) -> list[Record]:
    ids = {row.id for row in rows}
    signed: dict[tuple[str, int], list[Signed]] = defaultdict(list)
    marked: dict[tuple[str, int], list[Mark]] = defaultdict(list)
    hashes = {(row.id, row.version): row.hash for row in rows}
    for row in await tx.execute(sa.select(convention_signatures).where(convention_signatures.c.convention_id.in_(ids))):
        key = (row.convention_id, row.convention_version)
        signed[key].append(Signed(row.party, row.kid, hashes.get(key, ""), moment(row.signed_at)))
    for row in await tx.execute(sa.select(convention_marks).where(convention_marks.c.convention_id.in_(ids))):
        marked[(row.convention_id, row.convention_version)].append(Mark(MarkKind(row.kind), moment(row.at), row.by))
    return [
        Record(Convention.from_document(row.document), signed[(row.id, row.version)], marked[(row.id, row.version)])
        for row in rows
    ]

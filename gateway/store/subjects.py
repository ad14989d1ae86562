"""
Finding people: which subject a document is about, by NIR, identity pivot or pseudonym, without keeping any of them in clear.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa

from consent.rows import Insertion, insert_all, insert_rows
from gateway.store.crypto import DataKey, Vault
from gateway.store.database import Transaction, instant, select_by
from gateway.store.tables import generations, subject_data_keys, subject_keys, subjects
from schemas import Document
from schemas.identity import pivot, read_nir

_CREATION_LOCK = 0x7464_7501
"""Advisory lock under which new subjects are created on PostgreSQL, so that one person never becomes two."""

T = TypeVar("T")

_CHUNK = 5_000
"""Values per IN list: below the 32,766 parameters of SQLite and of PostgreSQL's protocol."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a document says of its subject, as blind indexes only: each under every version of the key, or empty."""

    nir: tuple[bytes, ...] = ()
    pivot: tuple[bytes, ...] = ()
    alias: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, subject: Document, partner: str, vault: Vault) -> Identity:
        """Read the `subject` object of a document sent by `partner`."""
        reading = read_nir(subject["nir"]) if "nir" in subject else None
        traits = pivot(subject)
        pseudonym = subject.get("pseudonym")
        return cls(
            # The number of sample cards is nobody's: matching on it would make one person of all who gave it.
            vault.blinds("nir", reading.nir) if reading and not reading.specimen else (),
            vault.blinds("pivot", traits) if traits else (),
            alias(pseudonym, partner, vault) if pseudonym else (),
        )

    def indexes(self) -> Iterator[tuple[str, bytes]]:
        """The rows of `subject_keys` that this identity can match."""
        for kind in ("nir", "pivot", "alias"):
            for value in getattr(self, kind):
                yield kind, value


class AmbiguousSubject(Exception):
    """Several people match the traits given: the sender must add what tells them apart (the NIR, or its pseudonym)."""


class StaleRing(Exception):
    """This process still works with a key that was taken out of use, and its file does not say otherwise: restart it with the new one."""


class UnknownSubject(Exception):
    """Only a pseudonym was given, and it names nobody for this partner."""


def alias(pseudonym: str, partner: str, vault: Vault) -> tuple[bytes, ...]:
    """Compute the blind indexes under which a partner's pseudonym of a subject is found again."""
    return vault.blinds("alias", f"{partner}|{pseudonym}")


async def resolve(
    tx: Transaction, identities: Sequence[Identity], vault: Vault, now: datetime
) -> list[str | AmbiguousSubject | UnknownSubject]:
    """
    Give each identity its subject id, creating the subjects that do not exist yet.

    The NIR decides; else the pivot, if it names exactly one person whose NIR does not contradict. An ambiguous match is
    returned as an error for that identity, never merged. Equal identities of one call get the same subject.
    """
    known = await _Known.load(tx, identities)
    if tx.dialect.name == "postgresql" and any(known.match(identity) is None for identity in identities):
        await creating(tx)  # two writers that meet the same new person would otherwise both create it
        known = await _Known.load(tx, identities)
    found = [known.match_or_create(identity) for identity in identities]
    await known.save(tx, vault, now)
    return found


async def find(tx: Transaction, identity: Identity) -> str | None:
    """Look for the one person that an identity names, and create nobody; nobody and several people look alike."""
    found = (await _Known.load(tx, [identity])).match(identity)
    return found if isinstance(found, str) else None


async def create(tx: Transaction, subject_ids: Sequence[str], vault: Vault, now: datetime) -> list[DataKey]:
    """
    Make the rows of new subjects, each with a fresh data key, and give these.

    Raises `StaleRing` rather than wrap a key under one that is being destroyed: this process must read the ring again.
    """
    if not subject_ids:
        return []
    await creating(tx)
    if await retired(tx, vault):
        vault.read_again()
        if await retired(tx, vault):
            raise StaleRing
    keys = [vault.new_key(subject) for subject in subject_ids]
    await tx.execute(sa.insert(subjects), [{"id": subject, "created_at": instant(now)} for subject in subject_ids])
    wrapped = [{"subject_id": key.subject_id, "kek": vault.kek_id, "wrapped": vault.wrap(key)} for key in keys]
    await tx.execute(sa.insert(subject_data_keys), wrapped)
    return keys


async def creating(tx: Transaction) -> None:
    """Hold the creation of subjects until the transaction ends; SQLite's write transactions do it already."""
    if tx.dialect.name == "postgresql":
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))


async def retired(tx: Transaction, vault: Vault) -> bool:
    """Whether a key that this vault would write with was taken out of use."""
    names = [kek_mark(vault.kek_id), *(index_mark(version) for version in vault.ring.indexes)]
    query = sa.select(generations.c.name).where(generations.c.name.in_(names))
    return (await tx.execute(query.limit(1))).first() is not None


def kek_mark(name: str) -> str:
    """The row of `generations` that says that a wrapping key is out of use."""
    return f"retired kek {name}"


def index_mark(version: int) -> str:
    """The row of `generations` that says that a version of the blind indexes is out of use."""
    return f"retired index {version}"


class _Known:
    """The rows of `subject_keys` around some identities, and those to be added."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, bytes], set[str]] = defaultdict(set)
        self.nir_of: dict[str, bytes] = {}
        self.new_subjects: list[str] = []
        self.new_keys: list[dict[str, object]] = []

    @classmethod
    async def load(cls, tx: Transaction, identities: Sequence[Identity]) -> _Known:
        known = cls()
        values = {value for identity in identities for _, value in identity.indexes()}
        candidates: set[str] = set()
        for chunk in chunks(sorted(values)):
            query = select_by(subject_keys.c.value, *subject_keys.c, dialect=tx.dialect.name)
            for row in await tx.execute(query, {"values": chunk}):
                known.by_key[(row.kind, row.value)].add(row.subject_id)
                candidates.add(row.subject_id)
        if not any(identity.nir for identity in identities):
            return known  # no NIR that a candidate's could contradict
        for people in chunks(sorted(candidates)):
            theirs = await tx.execute(_nirs(tx.dialect.name), {"values": people})
            known.nir_of.update({row.subject_id: row.value for row in theirs})
        return known

    def match(self, identity: Identity) -> str | AmbiguousSubject | None:
        """The subject of an identity, an ambiguity, or None when nobody matches."""
        if same := self._having("nir", identity.nir) or self._having("alias", identity.alias):
            return next(iter(same))
        same = self._having("pivot", identity.pivot)
        if identity.nir:  # somebody with the same traits and another NIR is somebody else
            same = {subject for subject in same if subject not in self.nir_of}
        if len(same) > 1:
            return AmbiguousSubject()
        return next(iter(same), None)

    def _having(self, kind: str, values: Sequence[bytes]) -> set[str]:
        """The subjects that have one of some values of a kind."""
        return {subject for value in values for subject in self.by_key.get((kind, value), ())}

    def match_or_create(self, identity: Identity) -> str | AmbiguousSubject | UnknownSubject:
        subject = self.match(identity)
        if isinstance(subject, AmbiguousSubject):
            return subject
        if subject is None:
            if not identity.nir and not identity.pivot:
                return UnknownSubject()
            subject = str(uuid.uuid4())
            self.new_subjects.append(subject)
        for kind, value in identity.indexes():
            if kind != "alias" and subject not in self.by_key[(kind, value)]:
                self.by_key[(kind, value)].add(subject)
                self.new_keys.append({"kind": kind, "value": value, "subject_id": subject})
                if kind == "nir":
                    self.nir_of[subject] = value
        return subject

    async def save(self, tx: Transaction, vault: Vault, now: datetime) -> None:
        await create(tx, self.new_subjects, vault, now)
        await insert_rows(tx, subject_keys, self.new_keys, ignore=True)


async def lock(tx: Transaction, subject_ids: Iterable[str], *, change: bool) -> None:
    """
    Hold the subjects until the transaction ends, in one order so that no two transactions wait for each other.

    An exchange holds them shared, a withdrawal or an objection alone (`change`): an exchange decided before a withdrawal
    commits before it, and one decided after sees it. On SQLite the write transaction already excludes every other.
    """
    if tx.dialect.name == "sqlite":
        return
    for chunk in chunks(sorted(set(subject_ids))):
        await tx.execute(_holding(change), {"values": chunk})


@cache
def _holding(change: bool) -> sa.Select[Any]:
    by_id = select_by(subjects.c.id, subjects.c.id, dialect="postgresql")
    return by_id.order_by(subjects.c.id).with_for_update(read=not change)


@cache
def _nirs(dialect: str) -> sa.Select[Any]:
    by_subject = select_by(subject_keys.c.subject_id, *subject_keys.c, dialect=dialect)
    return by_subject.where(subject_keys.c.kind == "nir")


async def data_keys(tx: Transaction, subject_ids: Iterable[str], vault: Vault) -> dict[str, DataKey]:
    """Unwrap the data keys of some subjects; an erased subject is absent from the answer."""
    keys = {}
    for chunk in chunks(sorted(set(subject_ids))):
        query = select_by(subject_data_keys.c.subject_id, *subject_data_keys.c, dialect=tx.dialect.name)
        for row in await tx.execute(query, {"values": chunk}):
            keys[row.subject_id] = vault.unwrap(row.subject_id, row.kek, row.wrapped)
    return keys


async def remember_aliases(tx: Transaction, pairs: Iterable[tuple[str, str]], vault: Vault) -> None:
    """Make the pseudonyms of (subject, partner) pairs findable when the partner writes about the person again."""
    await insert_all(tx, [aliases(pairs, vault)])


def aliases(pairs: Iterable[tuple[str, str]], vault: Vault) -> Insertion:
    """The rows that `remember_aliases` writes, for a transaction that writes them with others."""
    rows = [
        {"kind": "alias", "value": value, "subject_id": subject}
        for subject, partner in sorted(set(pairs))
        for value in alias(vault.pseudonym(subject, partner), partner, vault)
    ]
    return Insertion(subject_keys, rows, ignore=True)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a list into pieces that fit an IN list."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]

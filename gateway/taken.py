"""
Deliveries on their way out: locked, their subject held and their document opened, for the steps of `exchange.deliver`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import orjson
import sqlalchemy as sa

from consent.conventions.collection import Conventions
from consent.gate import Decision, Notice
from consent.projection import Projection
from gateway.auth.caller import Caller
from gateway.services import Services
from gateway.store import subjects
from gateway.store.crypto import OWN, DataKey
from gateway.store.database import Transaction, instant, one_of, select_by
from gateway.store.subjects import chunks
from gateway.store.tables import deliveries, documents, exchanges, notices
from schemas import Document, Kind

ROWS = sa.select(deliveries, exchanges.c.document_id, exchanges.c.purpose).join(
    exchanges, exchanges.c.id == deliveries.c.exchange_id
)
"""Deliveries with what their exchange says of them."""

OPEN: Final = ("queued", "available", "leased")
"""The states of a delivery that is still on its way."""

_NEVER: Final = ("~", "~")
"""After every place in the order."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    Which deliveries somebody comes for: those to its organisation, of some kinds (None: of all), but not what was accepted
    under the conventions (`closed`, ids) that do not allow its channel, or want its request signed: this stays.
    """

    recipient: str
    kinds: frozenset[Kind] | None
    closed: tuple[str, ...]

    @classmethod
    def by(cls, caller: Caller, kinds: frozenset[Kind] | None, conventions: Conventions, now: datetime) -> Wanted:
        """What a caller may take by its channel."""
        closed = conventions.closed(caller.partner, caller.channel, now, signed=not caller.unsigned)
        return cls(caller.partner, kinds, tuple(convention.id for convention in closed))

    def among(self, of: Any = deliveries) -> sa.ColumnElement[bool]:
        """The condition, on the table or an alias of it."""
        conditions: list[sa.ColumnElement[bool]] = [of.c.recipient == self.recipient]
        if self.kinds is not None:
            conditions.append(of.c.kind.in_(sorted(kind.value for kind in self.kinds)))
        if self.closed:
            decided_by = of.c.decision["convention"]["id"].as_string()
            conditions.append(sa.or_(decided_by.is_(None), decided_by.not_in(self.closed)))
        return sa.and_(*conditions)


@dataclass(slots=True)
class Taken:
    """One delivery on its way out, filled step by step."""

    delivery_id: str
    exchange_id: str
    kind: Kind
    purpose: str
    sender: str
    recipient: str
    subject_id: str
    document: Document | None
    key: DataKey | None
    trace: str | None
    decision: Decision | None = None
    decided_at: datetime | None = None
    projection: Projection | None = None
    notice: Notice | None = None

    @property
    def of_nobody(self) -> bool:
        """Whether this tells of an erasure: the person has no key any more, and it is sealed under the gateway's own."""
        return self.key is not None and self.key.subject_id == OWN


async def waiting(caller: Caller, services: Services, kinds: frozenset[Kind] | None) -> bool:
    """Whether something waits in the caller's mailbox; asked often, so it locks and opens nothing."""
    now = services.clock()
    wanted = Wanted.by(caller, kinds, services.conventions.latest, now)
    async with services.database.read() as tx:
        query = sa.select(deliveries.c.id).where(_available(wanted, now)).limit(1)
        return (await tx.execute(query)).first() is not None


def takeable(partner: sa.ColumnElement[str], now: datetime) -> sa.ColumnElement[bool]:
    """Whether something is free and due for a partner named by a column of the query it is used in."""
    return sa.exists().where(deliveries.c.recipient == partner, _free(now)).correlate_except(deliveries)


async def take(
    tx: Transaction,
    caller: Caller,
    limit: int,
    kinds: frozenset[Kind] | None,
    services: Services,
    now: datetime,
    *,
    one_a_person: bool = False,
) -> list[Taken]:
    """
    (1) Lock what is available to the caller's organisation, oldest first; rows another consumer holds are passed over.

    About one person, among the kinds asked for, nothing is taken before what came earlier: it is taken with it, or waits
    (`one_a_person`: always waits, for a transport that learns of each what became of it).
    """
    wanted = Wanted.by(caller, kinds, await services.conventions.in_force(tx, now), now)
    query = (
        ROWS.where(_available(wanted, now))
        .order_by(deliveries.c.created_at, deliveries.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=deliveries)
    )
    rows = await _in_order(tx, (await tx.execute(query)).all(), wanted)
    if one_a_person:
        rows = list({row.subject_id: row for row in reversed(rows)}.values())[::-1]
    return await opened(tx, rows, services)


async def _in_order(tx: Transaction, rows: Sequence[Any], wanted: Wanted) -> list[Any]:
    """
    Leave out the rows before which another about the same person must be handed over first.

    Seen once the rows are locked: another consumer may hold the earlier one, and have passed over it is no reason.
    """
    if not rows:
        return []
    mine = {row.id for row in rows}
    last = max(row.created_at for row in rows)
    blocked: dict[str, tuple[str, str]] = {}
    for people in chunks(sorted({row.subject_id for row in rows})):
        query = (
            sa.select(deliveries.c.subject_id, deliveries.c.created_at, deliveries.c.id)
            .where(wanted.among(), deliveries.c.state.in_(OPEN))
            .where(one_of(deliveries.c.subject_id, "values", tx.dialect.name), deliveries.c.created_at <= last)
        )
        for row in await tx.execute(query, {"values": people}):
            if row.id not in mine:
                place = (row.created_at, row.id)
                blocked[row.subject_id] = min(place, blocked.get(row.subject_id, place))
    return [row for row in rows if (row.created_at, row.id) < blocked.get(row.subject_id, _NEVER)]


def _available(wanted: Wanted, now: datetime) -> sa.ColumnElement[bool]:
    """What may be taken now: free and due, and no earlier one about the same person that is neither."""
    earlier = deliveries.alias("earlier")
    before = sa.tuple_(earlier.c.created_at, earlier.c.id) < sa.tuple_(deliveries.c.created_at, deliveries.c.id)
    waited_for = (
        sa.exists()
        .where(earlier.c.subject_id == deliveries.c.subject_id, wanted.among(earlier), before)
        .where(earlier.c.state.in_(OPEN), ~_free(now, earlier))
        .correlate(deliveries)
    )
    return sa.and_(wanted.among(), _free(now), ~waited_for)


def _free(now: datetime, of: Any = deliveries) -> sa.ColumnElement[bool]:
    at = instant(now)
    # The first condition says nothing more, but an index of states can be read by it: what is finished is never looked at.
    held = of.c.state.in_(("available", "leased"))
    free = sa.or_(of.c.state == "available", sa.and_(of.c.state == "leased", of.c.leased_until < at))
    return sa.and_(held, free, sa.or_(of.c.next_attempt_at.is_(None), of.c.next_attempt_at <= at))


async def queued(tx: Transaction, delivery_ids: Sequence[str], services: Services) -> list[Taken]:
    """(1) Lock the deliveries that the bus named and that still wait for it."""
    rows = await tx.execute(_named_and_queued(tx.dialect.name), {"values": [*delivery_ids]})
    return await opened(tx, rows.all(), services)


@cache
def _named_and_queued(dialect: str) -> sa.Select[Any]:
    wanted = one_of(deliveries.c.id, "values", dialect), deliveries.c.state == "queued"
    return ROWS.where(*wanted).with_for_update(of=deliveries)


async def opened(tx: Transaction, rows: Sequence[Any], services: Services) -> list[Taken]:
    """Hold the subjects of some of `ROWS`, and open their documents."""
    subject_ids = {row.subject_id for row in rows}
    await subjects.lock(tx, subject_ids, change=False)
    keys = await subjects.data_keys(tx, subject_ids, services.vault)
    sealed = await _sealed(tx, {row.document_id for row in rows})
    causes = await _causes(tx, [row.id for row in rows if row.kind == Kind.CONSENT])
    taken = []
    for row in rows:
        notice = causes.get(row.id)
        key = services.vault.own if notice is Notice.ERASURE else keys.get(row.subject_id)
        taken.append(taken_of(row, key, sealed.get(row.document_id), notice))
    return taken


async def _causes(tx: Transaction, delivery_ids: Sequence[str]) -> dict[str, Notice]:
    """Why the recipients of some notices are told."""
    found = {}
    query = select_by(notices.c.delivery_id, notices.c.delivery_id, notices.c.cause, dialect=tx.dialect.name)
    for ids in chunks(delivery_ids):
        found.update({row.delivery_id: Notice(row.cause) for row in await tx.execute(query, {"values": ids})})
    return found


async def _sealed(tx: Transaction, document_ids: set[str]) -> dict[str, bytes]:
    found = {}
    query = select_by(documents.c.id, documents.c.id, documents.c.sealed, dialect=tx.dialect.name)
    for ids in chunks(sorted(document_ids)):
        found.update({row.id: row.sealed for row in await tx.execute(query, {"values": ids})})
    return found


def taken_of(row: Any, key: DataKey | None, sealed: bytes | None, notice: Notice | None = None) -> Taken:
    """One of `ROWS`, its document opened; without the key (an erased person) or the sealed bytes there is no document."""
    document = orjson.loads(key.open(sealed, f"documents/{row.document_id}")) if key and sealed else None
    return Taken(
        delivery_id=row.id,
        exchange_id=row.exchange_id,
        kind=Kind(row.kind),
        purpose=row.purpose,
        sender=row.sender,
        recipient=row.recipient,
        subject_id=row.subject_id,
        document=document,
        key=key,
        trace=row.trace,
        notice=notice,
    )


async def update(tx: Transaction, taken: Iterable[Taken], change: dict[str, Any]) -> None:
    """Change the rows of some deliveries."""
    named = one_of(deliveries.c.id, "values", tx.dialect.name)
    for ids in chunks([item.delivery_id for item in taken]):
        await tx.execute(sa.update(deliveries).where(named).values(change), {"values": ids})

"""
The past, as the ledger tells it: the conventions, and what a person had said, just before one of its events.

The order is that of the ledger's rows and not of clocks: whoever changes a convention or records what a person says holds
it alone until committed, so that what an event's transaction saw is exactly what has an earlier number. Rows keep
everything; here is left out what a later event brought. What no event tells of is taken as having always been there.
"""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

from consent.agreement import Agreement, Objection
from consent.break_glass import Opening
from consent.conventions.collection import Conventions
from consent.ledger.event import Event, EventType
from consent.tables import agreements, ledger_events, objections
from gateway.records import place
from gateway.store import conventions
from gateway.store.agreements import Standing
from gateway.store.conventions import Record
from gateway.store.crypto import DataKey, Vault
from gateway.store.database import Transaction, moment
from schemas import Document

Change: TypeAlias = tuple[str, str, int, str, datetime | None]
"""One thing done to a convention: what, its id and version, by whom (SIRET), and when if it can be done several times."""

_CONVENTION_EVENTS = (
    EventType.CONVENTION_PROPOSED,
    EventType.CONVENTION_SIGNED,
    EventType.CONVENTION_REJECTED,
    EventType.CONVENTION_SUSPENDED,
    EventType.CONVENTION_RESUMED,
    EventType.CONVENTION_REVOKED,
)


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event with its number in the ledger's rows."""

    seq: int
    event: Event


class PastConventions:
    """
    Every convention that the gateway knows, with the order in which things were done to them.
    """

    def __init__(self, records: Sequence[Record], changes: Sequence[tuple[int, Change]]) -> None:
        """`changes` are numbered and in order."""
        self._records = records
        self._seqs = [seq for seq, _ in changes]
        self._changes = [change for _, change in changes]
        self._dates = sorted({day for record in records for day in (record.convention.starts, record.convention.ends)})
        self._built: dict[tuple[int, int], Conventions] = {}

    @classmethod
    async def load(cls, tx: Transaction, vault: Vault) -> PastConventions:
        """Read the rows, then the events: each change that a row shows has its event among them."""
        records = await conventions.every(tx)
        query = sa.select(ledger_events).where(ledger_events.c.type.in_(_CONVENTION_EVENTS))
        rows = (await tx.execute(query.order_by(ledger_events.c.seq))).all()
        return cls(records, [(row.seq, _change(opened(row, vault.own))) for row in rows])

    def before(self, seq: int, at: datetime) -> Conventions:
        """The conventions as they were just before the event of a number, in their state at an instant."""
        done = bisect_left(self._seqs, seq)
        # Between two changes, states only move when a convention begins or ends.
        window = (done, bisect_right(self._dates, at))
        if window not in self._built:
            later = frozenset(self._changes[done:])
            self._built[window] = Conventions(record.at(at) for record in self._without(later))
        return self._built[window]

    def _without(self, later: frozenset[Change]) -> Iterable[Record]:
        proposed = {change[1:3] for change in later if change[0] == EventType.CONVENTION_PROPOSED}
        for record in self._records:
            of = (record.convention.id, record.convention.version)
            if of in proposed:
                continue
            signed = [s for s in record.signatures if (EventType.CONVENTION_SIGNED, *of, s.siret, None) not in later]
            marks = [m for m in record.marks if (f"convention_{m.kind.value}", *of, m.by, m.at) not in later]
            yield Record(record.convention, signed, marks)


class PastPerson:
    """
    What one person ever said, with the events that recorded it; also the person's other events.
    """

    def __init__(self, said: Sequence[Any], objected: Sequence[Any], events: Sequence[Numbered]) -> None:
        """`said` and `objected` are rows of `agreements` and `objections`; `events` are in order."""
        self._said = said
        self._objected = objected
        self.events = events

    @classmethod
    async def load(cls, tx: Transaction, subject_id: str, key: DataKey) -> PastPerson:
        """Read the rows, then the events, which are opened with the person's key."""
        said = (await tx.execute(sa.select(agreements).where(agreements.c.subject_id == subject_id))).all()
        objected = (await tx.execute(sa.select(objections).where(objections.c.subject_id == subject_id))).all()
        query = sa.select(ledger_events).where(ledger_events.c.subject_id == subject_id).order_by(ledger_events.c.seq)
        events = [Numbered(row.seq, opened(row, key)) for row in (await tx.execute(query)).all() if row.sealed]
        return cls(said, objected, events)

    def before(self, seq: int) -> Standing:
        """What the person had said just before the event of a number."""
        later = [each.event for each in self.events if each.seq >= seq]
        given = _named(later, "agreement_id", EventType.AGREEMENT_GIVEN, EventType.AGREEMENT_REFUSED)
        withdrawn = _named(later, "agreement_id", EventType.AGREEMENT_WITHDRAWN)
        objected = _named(later, "objection_id", EventType.OBJECTION_RECORDED)
        kept = [
            self._untouched(row.decisive, seq) if row.id in withdrawn else row.decisive
            for row in self._said
            if row.id not in given
        ]
        stood = [
            Objection(row.id, row.recipient, row.purpose, moment(row.since), moment(row.until))
            for row in self._objected
            if row.id not in objected
        ]
        said = [Agreement.from_document(each) for each in kept]
        return Standing(said, [*stood, *self._forgotten(seq)], list(self._opened(seq)))

    def _opened(self, seq: int) -> Iterator[Opening]:
        """The emergency accesses opened before, each until it ended if that was before too: their events tell them whole."""
        before = [each.event for each in self.events if each.seq < seq]
        ended = {
            each.body["opening_id"]: each.occurred_at for each in before if each.type == EventType.BREAK_GLASS_ENDED
        }
        for event in before:
            if event.type == EventType.BREAK_GLASS:
                body, until = event.body, moment(event.body["until"])
                until = min(until, ended.get(body["opening_id"], until))
                yield Opening(body["opening_id"], body["hash"], body["flow"], event.occurred_at, until)

    def _forgotten(self, seq: int) -> Iterator[Objection]:
        """The objections recorded before, whose rows were deleted at their term: their events tell them whole."""
        kept = {row.id for row in self._objected}
        for each in self.events:
            body = each.event.body
            if each.seq < seq and each.event.type == EventType.OBJECTION_RECORDED and body["objection_id"] not in kept:
                term = moment(body["until"])
                yield Objection(body["objection_id"], body["recipient"], body["purpose"], each.event.occurred_at, term)

    def _untouched(self, decisive: Document, seq: int) -> Document:
        """An agreement as it was before later withdrawals: each of its events tells the lines taken back until then."""
        document = copy.deepcopy(decisive)
        told = [
            each.event.body["scopes"]
            for each in self.events
            if each.seq < seq and each.event.body.get("agreement_id") == document["id"] and "scopes" in each.event.body
        ]
        gone = {scope["id"] for scope in told[-1] if "withdrawn_at" in scope} if told else set()
        for scope in document["scopes"]:
            if scope["id"] not in gone:
                scope.pop("withdrawn_at", None)
        if document["state"] == "withdrawn" and any("withdrawn_at" not in scope for scope in document["scopes"]):
            document["state"] = "given"
        return document


def opened(row: Any, key: DataKey) -> Event:
    """Read the event of a row of `ledger_events`; raises `gateway.store.crypto.Unreadable`."""
    return Event.from_canonical(key.open(row.sealed, place(row.id)))


def _change(event: Event) -> Change:
    at = None if event.type in (EventType.CONVENTION_PROPOSED, EventType.CONVENTION_SIGNED) else event.occurred_at
    return event.type, event.body["convention_id"], event.body["version"], event.actor, at


def _named(events: Iterable[Event], member: str, *types: EventType) -> set[str]:
    return {event.body[member] for event in events if event.type in types and member in event.body}

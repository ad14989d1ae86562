"""
Decision replay: take a decision that the ledger records again, with what was in force that day, and compare.

A difference means that the record, the data or the code is not what it was: the auditor's question, answered by anybody who
holds the database and the keys, without changing anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import orjson
import sqlalchemy as sa

from consent.gate import Decision, Request, decide, decide_notice
from consent.ledger.event import Event, EventType
from consent.projection import project
from consent.tables import ledger_events
from gateway.history import Numbered, PastConventions, PastPerson, opened
from gateway.records import rules, told
from gateway.store import subjects
from gateway.store.agreements import Standing
from gateway.store.crypto import DataKey, Vault
from gateway.store.database import Transaction, moment
from gateway.store.tables import documents, exchanges
from schemas import Document, Kind

DECISIONS: Final = frozenset(
    {
        EventType.EXCHANGE_ACCEPTED,
        EventType.EXCHANGE_REFUSED,
        EventType.DISCLOSURE_MADE,
        EventType.WITHDRAWAL_NOTIFIED,
        EventType.SIMULATION,
    }
)
"""The types of events that record decisions of the gate; a simulation's is one too, though nothing followed from it."""

_COMPARED: Final = ("permit", "reasons", "fields", "convention", "agreement", "basis", "steps")
_COMPARED_OF_NOTICES: Final = ("permit", "reasons", "fields")

_PEOPLE: Final = 200


class UnknownDecision(LookupError):
    """No event of this id records a decision."""


class Outcome(StrEnum):
    """
    What came of a replay.

    `erased` when the person's key was destroyed, so that nothing can be opened any more; `forgotten` when the event itself, or an
    agreement of the person, came to the end of its retention, so that what was decided cannot be decided again.
    """

    SAME = "same"
    DIFFERENT = "different"
    ERASED = "erased"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    One decision replayed: of an event, about a recipient (SIRET; None when erased, or when no convention routed anywhere).

    `differences` names what is not the same (`left` and `withheld`: the pointers of what a disclosure held; `recipients`: a
    route that was not there); `same_rules` says whether the decision was taken by the rules of this very code.
    """

    event_id: str
    event_type: str
    recipient: str | None
    outcome: Outcome
    differences: tuple[str, ...] = ()
    same_rules: bool = True

    def to_json(self) -> dict[str, Any]:
        """The same, for a program."""
        return {
            "event": self.event_id,
            "type": self.event_type,
            "recipient": self.recipient,
            "outcome": self.outcome.value,
            "differences": list(self.differences),
            "same_rules": self.same_rules,
        }


async def replay(tx: Transaction, event_id: str, vault: Vault) -> list[Replayed]:
    """Take the decisions of one event again, one per recipient; raises `UnknownDecision`."""
    query = sa.select(ledger_events).where(ledger_events.c.id == event_id, ledger_events.c.type.in_(DECISIONS))
    row = (await tx.execute(query)).first()
    if row is None or (row.subject_id is None and row.type != EventType.SIMULATION):  # a notice of an erasure
        raise UnknownDecision("no event of this id records a decision that can be taken again")
    past = await PastConventions.load(tx, vault)
    if row.subject_id is None:
        found = list(_of_nobody(row, past, vault))
    else:
        found = [each async for each in _of_person(tx, row.subject_id, past, vault) if each.event_id == event_id]
    return found or [Replayed(row.id, row.type, None, Outcome.FORGOTTEN)]


async def replay_all(tx: Transaction, vault: Vault) -> AsyncIterator[Replayed]:
    """Take every decision of the ledger again, person by person; those recorded meanwhile are for another time."""
    last = (await tx.execute(sa.select(sa.func.max(ledger_events.c.seq)))).scalar_one_or_none() or 0
    past = await PastConventions.load(tx, vault)
    person = ""
    while True:
        query = (
            sa.select(ledger_events.c.subject_id)
            .where(
                ledger_events.c.subject_id > person,
                ledger_events.c.seq <= last,
                ledger_events.c.type.in_(DECISIONS),
            )
            .distinct()
            .order_by(ledger_events.c.subject_id)
            .limit(_PEOPLE)
        )
        people = (await tx.execute(query)).scalars().all()
        if not people:
            break
        for person in people:
            async for each in _of_person(tx, person, past, vault, last):
                yield each
    asked = (
        ledger_events.c.subject_id.is_(None),
        ledger_events.c.type == EventType.SIMULATION,
        ledger_events.c.seq <= last,
    )
    async for row in await tx.stream(sa.select(ledger_events).where(*asked).order_by(ledger_events.c.seq)):
        for each in _of_nobody(row, past, vault):
            yield each


async def _of_person(
    tx: Transaction, subject_id: str, past: PastConventions, vault: Vault, last: int | None = None
) -> AsyncIterator[Replayed]:
    key = (await subjects.data_keys(tx, [subject_id], vault)).get(subject_id)
    if key is None:
        for erased in await _erased(tx, subject_id):
            yield erased
        return
    person = await PastPerson.load(tx, subject_id, key)
    forgotten = any(_forgets_an_agreement(each.event) for each in person.events)
    for numbered in person.events:
        event = numbered.event
        if event.type not in DECISIONS or (last is not None and numbered.seq > last):
            continue
        document = await _document(tx, event, key) if "left" in event.body else None
        decisions = list(_decisions(event))
        for recorded in decisions:
            again = _decide(numbered, recorded, past, person.before(numbered.seq))
            compared = _compared(event, recorded, again, document)
            if forgotten and compared.outcome is Outcome.DIFFERENT:
                compared = replace(compared, outcome=Outcome.FORGOTTEN)
            yield compared
        if not decisions:
            yield _routed_nowhere(numbered, past)


def _of_nobody(row: Any, past: PastConventions, vault: Vault) -> Iterator[Replayed]:
    """A simulation about nobody in particular, or about somebody whom the gateway did not know: nothing had been said."""
    if row.sealed:
        numbered = Numbered(row.seq, opened(row, vault.own))
        for recorded in _decisions(numbered.event):
            yield _compared(numbered.event, recorded, _decide(numbered, recorded, past, Standing()), None)


def _forgets_an_agreement(event: Event) -> bool:
    return event.type == EventType.RETENTION_PURGED and event.body["class"] == "agreement_proof"


async def _erased(tx: Transaction, subject_id: str) -> list[Replayed]:
    columns = (ledger_events.c.id, ledger_events.c.type)
    query = sa.select(*columns).where(ledger_events.c.subject_id == subject_id, ledger_events.c.type.in_(DECISIONS))
    rows = (await tx.execute(query.order_by(ledger_events.c.seq))).all()
    return [Replayed(row.id, row.type, None, Outcome.ERASED) for row in rows]


def _decisions(event: Event) -> Iterator[Mapping[str, Any]]:
    """The decisions that an event records, each with its sender and recipient."""
    if "decision" in event.body:
        # Whoever asks for a simulation is its sender.
        parties = {"sender": event.body.get("sender", event.actor), "recipient": event.body["recipient"]}
        yield {**event.body["decision"], **parties}
    for decision in event.body.get("decisions", ()):
        yield {**decision, "sender": event.actor}


def _decide(numbered: Numbered, recorded: Mapping[str, Any], past: PastConventions, standing: Standing) -> Decision:
    body = numbered.event.body
    if body["kind"] == Kind.CONSENT:
        return decide_notice(recorded["recipient"])
    at = moment(recorded["decided_at"])
    request = Request(
        Kind(body["kind"]), body["purpose"], recorded["sender"], recorded["recipient"], at, body.get("channel")
    )
    return decide(request, past.before(numbered.seq, at), standing.agreements, standing.objections, standing.openings)


def _compared(event: Event, recorded: Mapping[str, Any], again: Decision, document: Document | None) -> Replayed:
    fresh = told(again)
    names = _COMPARED_OF_NOTICES if event.body["kind"] == Kind.CONSENT else _COMPARED
    differences = [name for name in names if fresh[name] != recorded[name]]
    if document is not None and again.permit:
        cut = project(document, again, event.body["pseudonym"])
        pointers = {"left": cut.left, "withheld": cut.withheld}
        differences += [name for name, found in pointers.items() if list(found) != event.body[name]]
    return Replayed(
        event.id,
        event.type.value,
        recorded["recipient"],
        Outcome.DIFFERENT if differences else Outcome.SAME,
        tuple(differences),
        event.body["rules"] == rules(),
    )


def _routed_nowhere(numbered: Numbered, past: PastConventions) -> Replayed:
    """A document that named no recipient and that no convention routed anywhere: the conventions of the time say it again."""
    event = numbered.event
    conventions = past.before(numbered.seq, event.occurred_at)
    routes = conventions.routes(Kind(event.body["kind"]), event.actor, event.body["purpose"], event.occurred_at)
    outcome = Outcome.DIFFERENT if routes else Outcome.SAME
    differences = ("recipients",) if routes else ()
    return Replayed(event.id, event.type.value, None, outcome, differences, event.body["rules"] == rules())


async def _document(tx: Transaction, event: Event, key: DataKey) -> Document | None:
    """The document that a disclosure was made from; None once it is no longer kept."""
    query = (
        sa.select(documents.c.id, documents.c.sealed)
        .join(exchanges, exchanges.c.document_id == documents.c.id)
        .where(exchanges.c.id == event.body["exchange_id"])
    )
    row = (await tx.execute(query)).first()
    if row is None:
        return None
    document: Document = orjson.loads(key.open(row.sealed, f"documents/{row.id}"))
    return document

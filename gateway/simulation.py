"""
Simulation: would an exchange pass, with which fields, and if not why? Nothing is sent or kept but the event that it was asked.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from consent.gate import Decision, Request, decide
from consent.ledger.event import EventType
from consent.projection import project
from gateway.admission import CARRIED
from gateway.auth.caller import Caller
from gateway.errors import Problem
from gateway.explanation import explained
from gateway.ingress import cleaned
from gateway.records import record_of, rules, told
from gateway.scopes import demand_current
from gateway.services import Services
from gateway.store import subjects
from gateway.store.agreements import Standing, standing
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction
from gateway.store.subjects import Identity
from schemas import Document, Issue, Kind, validate

_NOBODY = "p-" + "0" * 32
"""Stands in the projection for the pseudonym, which a simulation does not give."""


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked: a kind of document for a purpose to a recipient (SIRET), about a person or with a whole document.

    Without either, the answer is the one for a person of whom nothing is known.
    """

    kind: Kind
    purpose: str
    recipient: str
    subject: Document | None = None
    document: Document | None = None

    @property
    def person(self) -> Document | None:
        """The person that is asked about, as the sender writes them."""
        return self.document["subject"] if self.document is not None else self.subject


async def simulate(question: Question, sender: Document, caller: Caller, services: Services) -> dict[str, Any]:
    """
    Decide as if the caller sent this now; the decision in words, with the pointers of the document when there is one.

    A person that the gateway does not know, one that several people match and one who never agreed to anything give the same
    answer: asking reveals nothing that sending would not, creates nobody, and is recorded, with the person when there is one.
    Raises `Problem` document_invalid, malformed_request, and convention_outdated as sending would.
    """
    _check(question, sender, services)
    if question.person is not None:
        await services.limits.of_caller("subjects", caller)
    async with services.database.write(gate=True) as tx:
        person, key = await _known(tx, question, caller, services)
        now = services.clock()
        conventions = await services.conventions.in_force(tx, now)
        request = Request(
            question.kind, question.purpose, caller.partner, question.recipient, person.seen_at(now), caller.channel
        )
        decision = decide(request, conventions, person.agreements, person.objections, person.openings)
        if decision.permit and decision.convention is not None:
            demand_current(caller, [decision.convention.hash], conventions, now)
        event_id = str(uuid.uuid4())
        body = {
            "kind": question.kind.value,
            "purpose": question.purpose,
            "recipient": question.recipient,
            "client_id": caller.client_id,
            "channel": caller.channel,
            "rules": rules(),
            "decision": told(decision, request.at),
        }
        event = record_of(EventType.SIMULATION, now, caller.partner, body, key, event_id=event_id)
        await services.ledger.append(tx, [event])
    services.wake()
    asked = {"sender": caller.partner, "purpose": question.purpose}
    return explained(decision) | asked | _pointers(question, decision) | {"event": event_id}


async def _known(tx: Transaction, question: Question, caller: Caller, services: Services) -> tuple[Standing, DataKey]:
    """What the person said, with the key under which the simulation is recorded: the gateway's own for nobody."""
    nobody = Standing(), services.vault.own
    if question.person is None:
        return nobody
    subject_id = await subjects.find(tx, Identity.of(question.person, caller.partner, services.vault))
    if subject_id is None:
        return nobody
    await subjects.lock(
        tx, [subject_id], change=False
    )  # as a sending: what the event follows in the ledger is what was seen
    key = (await subjects.data_keys(tx, [subject_id], services.vault)).get(subject_id)
    return ((await standing(tx, [subject_id]))[subject_id], key) if key else nobody


def _pointers(question: Question, decision: Decision) -> dict[str, Any]:
    """Which places of the document would leave and which would stay; nothing leaves on a refusal."""
    if question.document is None:
        return {}
    if not decision.permit:
        return {"left": []}
    cut = project(question.document, decision, _NOBODY)
    return {"left": list(cut.left), "withheld": list(cut.withheld)}


def _check(question: Question, sender: Document, services: Services) -> None:
    if question.kind not in CARRIED:
        raise Problem(
            "malformed_request",
            f"« kind » : {', '.join(sorted(CARRIED))}.",
            f"“kind”: {', '.join(sorted(CARRIED))}.",
        )
    issues = _faults(question, sender, services)
    if issues:
        raise Problem(
            "document_invalid",
            "Rien n'a été simulé : corrigez les points listés.",
            "Nothing was simulated: correct the points listed.",
            issues=issues,
        )


def _faults(question: Question, sender: Document, services: Services) -> list[Issue]:
    """What the schema refuses in the document, or in the person alone."""
    if question.document is not None:
        whole = {**question.document, "sender": sender}
        return validate(question.kind, whole) or cleaned(question.kind, whole)[1]
    return [] if question.subject is None else faults_of_person(question.subject, sender, services)


def faults_of_person(subject: Document, sender: Document, services: Services) -> list[Issue]:
    """What the schema refuses in a person alone, whose schema is that of any document's subject."""
    carrier = {
        "kind": "status",
        "schema_version": "1.0",
        "id": str(uuid.uuid4()),
        "created_at": services.clock().isoformat(timespec="seconds"),
        "sender": sender,
        "purpose": "follow_up",
        "subject": subject,
        "referral_id": str(uuid.uuid4()),
        "status": "accepted",
        "sequence": 1,
        "occurred_at": services.clock().isoformat(timespec="seconds"),
    }
    return [issue for issue in validate(Kind.STATUS, carrier) if issue.pointer.startswith("/subject")]

"""
What the person says, at any partner's desk: an agreement, its withdrawal, an objection; and who must be told.

Each holds its subject alone until its transaction ends: an exchange is decided before, and committed, or after, and sees it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from consent.agreement import Objection
from consent.agreement import withdraw as withdrawn
from consent.gate import decide_notice
from consent.ledger.event import EventType
from gateway.admission import Crossing, Rows, Ruling, unfound
from gateway.auth.resource import Caller
from gateway.errors import Problem, not_found
from gateway.records import record_of
from gateway.services import Services
from gateway.store import agreements, idempotency, subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction
from gateway.store.idempotency import Attempt
from gateway.store.subjects import Identity
from gateway.store.tables import deliveries
from gateway.telemetry import current_traceparent
from schemas import Document, Issue, Kind, code_list, validate

OBJECTION_TEXT = (
    "La personne s'oppose à l'échange de ses données entre partenaires. Cessez de les utiliser pour cette finalité, détruisez "
    "celles qui ont été obtenues de façon proactive, et accusez réception (RGPD art. 19 et 21 ; CRPA art. L114-8)."
)
OBJECTION_TEXT_VERSION = "opposition-2026-11"


async def record_agreement(
    document: Document, sender: Document, caller: Caller, attempt: Attempt, services: Services
) -> dict[str, Any]:
    """
    Record what a person agreed to or refused; durable when it returns. Raises `Problem` (409, 422) and records nothing.

    The recording organisation is the caller's, whatever the document says.
    """
    now = services.clock()
    document = {**document, "id": str(document.get("id") or uuid.uuid4()), "sender": sender}
    document.setdefault("collected_by", sender)
    _check(validate(Kind.CONSENT, document))
    if document["collected_by"]["siret"] != caller.partner:
        raise Problem(
            "forbidden",
            "Un accord est déclaré par l'organisation qui l'a recueilli.",
            "An agreement is recorded by the organisation that collected it.",
        )
    async with services.database.write() as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        subject_id, key = await _subject(tx, document["subject"], caller, services)
        if not await agreements.add(tx, document, subject_id, key, now):
            raise Problem(
                "conflict", "Un accord porte déjà cet identifiant.", "An agreement already has this identifier."
            )
        given = document["state"] == "given"
        event_type = EventType.AGREEMENT_GIVEN if given else EventType.AGREEMENT_REFUSED
        body = {
            "agreement_id": document["id"],
            "scopes": _scopes(document),
            "level": document["evidence"]["level"],
            "client_id": caller.client_id,
        }
        await services.ledger.append(tx, [record_of(event_type, now, caller.partner, body, key)])
        answer = {"id": document["id"], "state": document["state"]}
        await idempotency.keep_answer(tx, attempt, answer, now, 201)
    services.wake()
    return answer


async def read_agreement(agreement_id: str, caller: Caller, services: Services) -> Document:
    """Give a consent document to the organisation that collected it; its reading is an event. Raises `Problem` not_found."""
    async with services.database.write() as tx:
        row = await agreements.get(tx, agreement_id)
        if row is None or row.collected_by != caller.partner:
            raise not_found()
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        if key is None:
            raise not_found()
        body = {"agreement_id": row.id, "client_id": caller.client_id}
        await services.ledger.append(
            tx, [record_of(EventType.CONTENT_READ, services.clock(), caller.partner, body, key)]
        )
    services.wake()
    return agreements.opened(row, key)


async def withdraw(
    agreement_id: str, scopes: Sequence[str] | None, channel: str, caller: Caller, attempt: Attempt, services: Services
) -> dict[str, Any]:
    """
    Take back an agreement, whole (`scopes` None) or per scope, and queue a notice to each recipient it let know something.

    No exchange is accepted on this ground once it has returned. Raises `Problem` not_found, or conflict when it is already
    taken back. Any organisation that the agreement names may record it.
    """
    now = services.clock()
    async with services.database.write() as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        row = await agreements.get(tx, agreement_id)
        if row is None or caller.partner not in _concerned(row):
            raise not_found()
        await subjects.lock(tx, [row.subject_id], change=True)
        row = await agreements.get(tx, agreement_id) or row  # read again: it may have changed before the lock
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        if key is None:
            raise not_found()
        document = _taken_back(agreements.opened(row, key), scopes, channel, caller, services)
        await agreements.replace(tx, document, key, now)
        told = await _past_recipients(
            tx, row.subject_id, row.id, {siret for scope in row.decisive["scopes"] for siret in scope["recipients"]}
        )
        notices = await _notify(tx, document, row.subject_id, key, told, caller, services)
        body = {"agreement_id": row.id, "scopes": _scopes(document), "notified": told, "client_id": caller.client_id}
        await services.ledger.append(tx, [record_of(EventType.AGREEMENT_WITHDRAWN, now, caller.partner, body, key)])
        answer = {"id": row.id, "state": document["state"], "notices": notices}
        await idempotency.keep_answer(tx, attempt, answer, now, 200)
        services.fault_point("withdraw.recorded")
    services.wake()
    return answer


async def record_objection(
    subject: Document,
    recipient: str | None,
    purpose: str | None,
    sender: Document,
    caller: Caller,
    attempt: Attempt,
    services: Services,
) -> dict[str, Any]:
    """
    Record a person's opposition, to one recipient or purpose or to all (None), and tell those who received something.

    It stops every later exchange it covers, whatever was agreed. Durable when it returns. Raises `Problem` (409, 422).
    """
    now = services.clock()
    objection = Objection.remembered(
        str(uuid.uuid4()), since=now, months=services.settings.objection_months, recipient=recipient, purpose=purpose
    )
    _check(validate(Kind.CONSENT, _objection_document(objection, subject, [], sender)))
    async with services.database.write() as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        subject_id, key = await _subject(tx, subject, caller, services)
        await agreements.add_objection(tx, objection, subject_id, caller.partner)
        told = await _past_recipients(tx, subject_id, None, None)
        told = [siret for siret in told if recipient in (None, siret)]
        document = _objection_document(objection, subject, told, sender)
        notices = await _notify(tx, document, subject_id, key, told, caller, services)
        body = {
            "objection_id": objection.id,
            "recipient": recipient,
            "purpose": purpose,
            "notified": told,
            "client_id": caller.client_id,
        }
        await services.ledger.append(tx, [record_of(EventType.OBJECTION_RECORDED, now, caller.partner, body, key)])
        answer = {"id": objection.id, "until": objection.until.isoformat(timespec="seconds"), "notices": notices}
        await idempotency.keep_answer(tx, attempt, answer, now, 201)
        services.fault_point("object.recorded")
    services.wake()
    return answer


async def _subject(tx: Transaction, subject: Document, caller: Caller, services: Services) -> tuple[str, DataKey]:
    """Find or create the person, and hold it alone."""
    identity = Identity.of(subject, caller.partner, services.vault)
    [found] = await subjects.resolve(tx, [identity], services.vault, services.clock())
    if not isinstance(found, str):
        issue = unfound(found, None)
        raise Problem(issue.code, issue.message_fr, issue.message_en, issues=[issue])
    await subjects.lock(tx, [found], change=True)
    return found, (await subjects.data_keys(tx, [found], services.vault))[found]


def _check(issues: Sequence[Issue]) -> None:
    if issues:
        raise Problem(
            "document_invalid",
            "Rien n'a été enregistré : corrigez les points listés et renvoyez.",
            "Nothing was recorded: correct the points listed and send again.",
            issues=issues,
        )


def _taken_back(
    document: Document, scopes: Sequence[str] | None, channel: str, caller: Caller, services: Services
) -> Document:
    known = {scope["id"] for scope in document["scopes"] if "withdrawn_at" not in scope}
    wanted = known if scopes is None else set(scopes)
    if document["state"] != "given" or not wanted or not wanted <= known:
        raise Problem(
            "conflict",
            "Cet accord, ou cette portée, n'est plus en cours : il n'y a rien à retirer.",
            "This agreement, or this scope, is no longer in force: there is nothing to withdraw.",
        )
    return withdrawn(document, services.clock(), scopes=sorted(wanted), channel=channel, collected_by=caller.partner)


async def _past_recipients(
    tx: Transaction, subject_id: str, agreement_id: str | None, named: set[str] | None
) -> list[str]:
    """
    The partners to whom something about the subject was handed over (RGPD art. 19), from what was delivered, never from a list.

    With an agreement: those who received on its ground, or whom it names.
    """
    query = sa.select(deliveries.c.recipient, deliveries.c.decision).where(
        deliveries.c.subject_id == subject_id, deliveries.c.disclosures > 0, deliveries.c.kind != Kind.CONSENT.value
    )
    rows = (await tx.execute(query)).all()
    return sorted(
        {
            row.recipient
            for row in rows
            if agreement_id is None or row.decision.get("agreement") == agreement_id or row.recipient in (named or ())
        }
    )


async def _notify(
    tx: Transaction,
    document: Document,
    subject_id: str,
    key: DataKey,
    told: Sequence[str],
    caller: Caller,
    services: Services,
) -> list[dict[str, str]]:
    """Queue one notice per past recipient; they travel like any document and are acknowledged like them."""
    if not told:
        return []
    crossing = Crossing(Kind.CONSENT, document, None, document["id"], row_id=str(uuid.uuid4()))
    crossing.subject_id = subject_id
    crossing.rulings = [Ruling(siret, decide_notice(siret)) for siret in told]
    rows = Rows(batch=str(uuid.uuid4()), trace=current_traceparent(), caller=caller, now=services.clock())
    rows.add(crossing, key)
    await rows.save(tx, services)
    await subjects.remember_aliases(tx, [(subject_id, siret) for siret in told], services.vault)
    return [{"recipient": ruling.recipient, "delivery": ruling.delivery_id} for ruling in crossing.rulings]


def _objection_document(objection: Objection, subject: Document, told: Sequence[str], sender: Document) -> Document:
    at = objection.since.isoformat(timespec="seconds")
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": objection.id,
        "created_at": at,
        "sender": sender,
        "purpose": objection.purpose or "follow_up",
        "subject": subject,
        "agreement_type": "consent",
        "state": "refused",
        "collected_by": sender,
        "collected_at": at,
        "channel": "oral_with_professional",
        "evidence": {"level": "declared_by_professional"},
        "text": {
            "version": OBJECTION_TEXT_VERSION,
            "sha256": hashlib.sha256(OBJECTION_TEXT.encode()).hexdigest(),
            "language": "fr",
        },
        "scopes": [
            {
                "id": "opposition",
                "purposes": [objection.purpose] if objection.purpose else sorted(code_list("purpose")),
                "kinds": ["referral", "bilan", "status"],
                "categories": ["exchange"],
                "recipients": list(told) or [sender["siret"]],
            }
        ],
        "valid_from": at,
        "valid_until": objection.until.isoformat(timespec="seconds"),
    }


def _concerned(row: Any) -> set[str]:
    return {row.collected_by} | {siret for scope in row.decisive["scopes"] for siret in scope["recipients"]}


def _scopes(document: Document) -> list[dict[str, Any]]:
    shown = ("id", "purposes", "kinds", "categories", "recipients", "withdrawn_at")
    return [{name: scope[name] for name in shown if name in scope} for scope in document["scopes"]]

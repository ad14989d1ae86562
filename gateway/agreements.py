"""
What the person agreed to, at any partner's desk: an agreement, a refusal, a renewal.

Each holds its subject alone until its transaction ends: an exchange is decided before, and committed, or after, and sees it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from consent.agreement import Agreement, AgreementState
from consent.evidence import expected, faults
from consent.ledger.event import EventType
from gateway import ingress, recording, sms, withdrawal
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.recording import scopes_of
from gateway.records import record_of
from gateway.services import Services
from gateway.store import agreements, idempotency, subjects
from gateway.store.database import Transaction
from gateway.store.idempotency import Attempt
from schemas import Document, Issue, Kind, validate

_SAID_AGAIN: Final = frozenset(
    {"channel", "evidence", "collected_at", "collector", "duration", "valid_until", "valid_from"}
)
"""What a renewal takes from the person's new answer, never from the agreement that it replaces."""


async def record_agreement(
    document: Document, sender: Document, caller: Caller, attempt: Attempt, services: Services
) -> dict[str, Any]:
    """
    Record what a person agreed to or refused; durable when it returns. Raises `Problem` (409, 422) and records nothing.

    The recording organisation is the caller's, whatever the document says. By SMS nothing is agreed yet: the answer holds the
    question to send, and the agreement begins with the reply.
    """
    now = services.clock()
    document = {**document, "id": str(document.get("id") or uuid.uuid4()), "sender": sender}
    document.setdefault("collected_by", sender)
    _check(validate(Kind.CONSENT, document), document, "document_invalid")
    document, found = ingress.cleaned(Kind.CONSENT, document)
    recording.check(found)
    _check(faults(document), document, "agreement_incomplete")
    if document["collected_by"]["siret"] != caller.partner:
        raise Problem(
            "forbidden",
            "Un accord est déclaré par l'organisation qui l'a recueilli.",
            "An agreement is recorded by the organisation that collected it.",
        )
    beyond = withdrawal.BEYOND if document["state"] == "refused" else ""
    async with services.database.write(gate=True, beyond=beyond) as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        subject_id, key = await recording.person(tx, document["subject"], caller, services)
        await _check_replaced(tx, document, subject_id, caller)
        if document["channel"] == "sms" and document["state"] == "given":
            answer = await sms.ask(tx, document, subject_id, key, caller=caller, services=services, now=now)
        else:
            await recording.keep(tx, document, subject_id, key, caller, services, now)
            answer = {"id": document["id"], "state": Agreement.from_document(document).state_at(now).value}
        if document["state"] == "refused":
            stopped = await withdrawal.refuse(tx, document, subject_id, key, caller, now, services)
            answer["also_stopped"] = stopped
        status = 202 if answer["state"] == "pending" else 201
        await idempotency.keep_answer(tx, attempt, answer, now, status)
    services.wake()
    return answer


async def renew(
    agreement_id: str, said: Document, sender: Document, caller: Caller, attempt: Attempt, services: Services
) -> dict[str, Any]:
    """
    Record that the person agreed again: a new agreement that replaces the earlier one, with its own evidence and term.

    `said` holds the new answer (channel, evidence, duration...) and may keep some lines only (`scopes`, their ids). A line
    that was taken back does not come back. Raises `Problem` not_found, conflict for an agreement refused or taken back, and
    as `record_agreement`.
    """
    async with services.database.read() as tx:
        row = await agreements.get(tx, agreement_id, caller.partner)
        if row is None:
            raise not_found()
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
    if key is None:
        raise not_found()
    document = _renewed(agreements.opened(row, key), said, services.clock())
    return await record_agreement(document, sender, caller, attempt, services)


async def listed(
    caller: Caller, state: str | None, cursor: tuple[str, str] | None, limit: int, services: Services
) -> tuple[list[dict[str, Any]], tuple[str, str] | None]:
    """
    The agreements that the caller's organisation collected, the last recorded first, without any identity; and the cursor of
    the next page (None: no more). With a `state`, a page may hold fewer than `limit`: go on until there is no cursor.
    """
    now = services.clock()
    async with services.database.read() as tx:
        rows = await agreements.collected(tx, caller.partner, cursor, limit)
    shown = [_summary(row, now) for row in rows]
    last = (rows[-1].recorded_at, rows[-1].id) if len(rows) == limit else None
    return [each for each in shown if state in (None, each["state"])], last


async def read_agreement(agreement_id: str, caller: Caller, services: Services) -> Document:
    """
    Give a consent document to the organisation that collected it; its reading is an event. Raises `Problem` not_found.

    Of an agreement asked for by SMS and not yet answered, only where it stands.
    """
    async with services.database.write() as tx:
        row = await agreements.get(tx, agreement_id, caller.partner)
        if row is None:
            # Another's is looked for among those asked for by SMS too, as a missing one is: both take the same time.
            if waiting := await sms.waiting(tx, agreement_id, caller, services.clock()):
                return waiting
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


def _check(issues: Sequence[Issue], document: Document, code: str) -> None:
    """Raise `Problem` when there are issues; when the evidence is among them, with what this way of agreeing asks for."""
    if not issues:
        return
    channel = document.get("channel")
    todo = ("Corrigez les points listés et renvoyez.", "Correct the points listed and send again.")
    if any(issue.pointer.startswith("/evidence") or issue.code.startswith("evidence") for issue in issues):
        todo = expected(channel) if isinstance(channel, str) and any(expected(channel)) else todo
    raise Problem(code, f"Rien n'a été enregistré. {todo[0]}", f"Nothing was recorded. {todo[1]}", issues=issues)


async def _check_replaced(tx: Transaction, document: Document, subject_id: str, caller: Caller) -> None:
    """Refuse to replace an agreement of somebody else, or collected by somebody else."""
    if "replaces" not in document:
        return
    row = await agreements.get(tx, document["replaces"], caller.partner)
    if row is None or row.subject_id != subject_id:
        fault = Issue(
            "unknown_agreement",
            "/replaces",
            "L'accord remplacé n'est pas un accord de cette personne recueilli par votre organisation.",
            "The agreement replaced is not one of this person, collected by your organisation.",
        )
        recording.check([fault])


def _renewed(earlier: Document, said: Document, now: datetime) -> Document:
    state = Agreement.from_document(earlier).state_at(now)
    live = {scope["id"] for scope in earlier["scopes"] if "withdrawn_at" not in scope}
    wanted = set(said.get("scopes", live))
    if state in (AgreementState.REFUSED, AgreementState.WITHDRAWN) or not wanted or not wanted <= live:
        raise Problem(
            "conflict",
            "Un accord refusé ou retiré, ou une portée retirée, ne se renouvelle pas : recueillez un nouvel accord.",
            "An agreement or a line that was refused or taken back is not renewed: collect a new agreement.",
        )
    at = now.isoformat(timespec="seconds")
    dropped = _SAID_AGAIN | {"id", "state", "events", "withdrawal", "created_at", "replaces"}
    kept = {name: value for name, value in earlier.items() if name not in dropped}
    answer = {name: value for name, value in said.items() if name != "scopes"}
    return {
        **kept,
        "created_at": at,
        "collected_at": at,
        "valid_from": answer.get("collected_at", at),
        **answer,
        "state": "given",
        "scopes": [scope for scope in earlier["scopes"] if scope["id"] in wanted],
        "replaces": earlier["id"],
    }


def _summary(row: Any, now: datetime) -> dict[str, Any]:
    agreement, said = Agreement.from_document(row.decisive), row.decisive
    return {
        "id": row.id,
        "agreement_type": agreement.agreement_type,
        "state": agreement.state_at(now).value,
        "evidence_level": agreement.evidence_level,
        "collected_at": said["collected_at"],
        "valid_from": said["valid_from"],
        "valid_until": agreement.valid_until.isoformat(timespec="seconds"),
        "scopes": scopes_of(said),
        "recorded_at": row.recorded_at,
    }

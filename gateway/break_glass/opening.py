"""
Opening an emergency access, and closing it before its term.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from consent.break_glass import Opening
from consent.conventions.collection import Candidate, Conventions
from consent.conventions.convention import Flow
from consent.gate import Decision, Request, decide
from consent.ledger.event import EventType
from consent.tables import break_glass
from gateway import ingress, recording
from gateway.auth.caller import Caller
from gateway.auth.scopes import Scopes
from gateway.break_glass import telling
from gateway.errors import Problem, not_found
from gateway.records import record_of
from gateway.services import Services
from gateway.store import idempotency, subjects
from gateway.store.agreements import Standing, standing
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant, moment
from gateway.store.idempotency import Attempt
from schemas import Document, Kind

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What a professional asks for: about whom, to send what to whom for what, for how many hours (None: the longest allowed).

    `reason` is a code of `break_glass_reason`, `statement` says it in words, `agent` is who answers for it (name, role).
    """

    subject: Document
    kind: Kind
    purpose: str
    recipient: str
    reason: str
    statement: str
    agent: Document
    hours: int | None = None


async def open_access(asked: Asked, caller: Caller, attempt: Attempt, services: Services) -> dict[str, Any]:
    """
    Open an access about a person; durable, in the ledger and on its way to every officer when it returns.

    Raises `Problem` break_glass_refused when no convention provides for it, when the person said no, when an agreement makes
    it needless, or while an earlier one of the same organisation waits for a review that is late; document_invalid,
    ambiguous_subject, unknown_subject as sending would.
    """
    recording.check(ingress.written({"/statement": asked.statement, "/agent/name": asked.agent["name"]}))
    async with services.database.write(beyond="the officers of every party are told") as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        subject_id, key = await recording.person(tx, asked.subject, caller, services)
        now = services.clock()
        await _none_late(tx, caller, now)
        conventions = await services.conventions.in_force(tx, now)
        person = (await standing(tx, [subject_id]))[subject_id]
        candidate, opening = _found(asked, conventions, person, caller, now)
        row = _row(asked, candidate, opening, subject_id, caller, key)
        await tx.execute(sa.insert(break_glass).values(row))
        told = await telling.tell(tx, row, candidate.convention, "opened", now)
        body = {
            "opening_id": opening.id,
            **_of(candidate),
            "kind": asked.kind.value,
            "recipient": asked.recipient,
            "reason": asked.reason,
            "statement_sha256": hashlib.sha256(asked.statement.encode()).hexdigest(),
            "until": row["until"],
            "review_due_at": row["review_due_at"],
            "told": told,
            "client_id": caller.client_id,
        }
        await services.ledger.append(tx, [record_of(EventType.BREAK_GLASS, now, caller.partner, body, key)])
        answer = {
            "id": opening.id,
            "convention": _of(candidate),
            "until": row["until"],
            "review_due_at": row["review_due_at"],
            "told": told,
        }
        await idempotency.keep_answer(tx, attempt, answer, now, 201)
        services.fault_point("break_glass.recorded")
    _log.warning("break_glass.opened", extra={"opening": opening.id, "convention": candidate.convention.id})
    services.wake()
    return answer


async def close(opening_id: str, caller: Caller, services: Services) -> dict[str, Any]:
    """
    End an access before its term, by the organisation that opened it; done again, it changes nothing. Raises `Problem` not_found.
    """
    async with services.database.write() as tx:
        row, key = await held(tx, opening_id, break_glass.c.sender == caller.partner, services)
        now = services.clock()
        if row.ended_at is None:
            await end(tx, row, key, "closed", caller.partner, services, now)
    services.wake()
    return {"id": opening_id, "ended_at": row.ended_at or instant(now)}


async def held(
    tx: Transaction, opening_id: str, among: sa.ColumnElement[bool], services: Services
) -> tuple[Any, DataKey]:
    """
    Read an access among those that somebody may see, while its subject is held alone.

    Raises `Problem` not_found, for an erased person too; another's holds nobody, and takes the time of a missing one.
    """
    query = sa.select(break_glass).where(break_glass.c.id == opening_id, among)
    row = (await tx.execute(query)).first()
    if row is None:
        raise not_found()
    await subjects.lock(tx, [row.subject_id], change=True)
    key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
    if key is None:
        raise not_found()
    return (await tx.execute(query)).one(), key  # read again: it may have changed before the lock


async def end(
    tx: Transaction, row: Any, key: DataKey, cause: str, actor: str, services: Services, now: datetime
) -> None:
    """Write that an access is over: at its term (`expired`), `closed`, or `unjustified`; nothing leaves under it any more."""
    change = sa.update(break_glass).where(break_glass.c.id == row.id)
    await tx.execute(change.values(ended_at=instant(now)))
    body = {"opening_id": row.id, "convention_id": row.convention_id, "recipient": row.recipient, "cause": cause}
    await services.ledger.append(tx, [record_of(EventType.BREAK_GLASS_ENDED, now, actor, body, key)])


async def _none_late(tx: Transaction, caller: Caller, now: datetime) -> None:
    late = sa.select(break_glass.c.id).where(
        break_glass.c.sender == caller.partner,
        break_glass.c.reviewed_at.is_(None),
        break_glass.c.review_due_at <= instant(now),
    )
    if (found := (await tx.execute(late.limit(1))).scalar_one_or_none()) is not None:
        raise _refused(
            f"L'accès d'urgence {found} de votre organisation n'a pas été revu dans le délai : faites-le revoir d'abord.",
            f"The emergency access {found} of your organisation was not reviewed in time: have it reviewed first.",
        )


def _found(
    asked: Asked, conventions: Conventions, person: Standing, caller: Caller, now: datetime
) -> tuple[Candidate, Opening]:
    """The flow that provides for it, and the opening under which the gate would let something leave on it."""
    request = Request(asked.kind, asked.purpose, caller.partner, asked.recipient, person.seen_at(now))
    refusals: list[Decision] = []
    for candidate in conventions.candidates(asked.kind, caller.partner, asked.recipient):
        flow = candidate.flow
        if flow.emergency is None or candidate.obstacle(asked.purpose, request.at) is not None:
            continue
        opening = _opening(candidate, flow, asked.hours, request.at)
        decision = decide(request, conventions, person.agreements, person.objections, [opening])
        if decision.break_glass == opening.id:
            return candidate, opening
        refusals.append(decision)
    if not refusals:
        raise _refused(
            "Aucune convention en vigueur ne prévoit d'accès d'urgence pour cet envoi.",
            "No convention in force provides for an emergency access for this transmission.",
        )
    if refusals[0].permit:
        raise _refused(
            "Aucune urgence n'est nécessaire : cet envoi est déjà permis.",
            "No emergency is needed: this transmission is permitted already.",
        )
    reason = refusals[0].reasons[0]
    raise _refused(reason.message_fr, reason.message_en, reason.code)


def _opening(candidate: Candidate, flow: Flow, hours: int | None, at: datetime) -> Opening:
    assert flow.emergency is not None
    longest = flow.emergency.hours
    if hours is not None and hours > longest:
        raise _refused(
            f"La convention permet {longest} heures au plus.", f"The convention allows {longest} hours at most."
        )
    until = at + timedelta(hours=hours or longest)
    # What is kept has no more than microseconds, and is what the gate must have been asked with.
    opening = Opening(str(uuid.uuid4()), candidate.convention.hash, flow.id, at, until)
    return replace(opening, since=moment(instant(at)), until=moment(instant(until)))


def _row(
    asked: Asked, candidate: Candidate, opening: Opening, subject_id: str, caller: Caller, key: DataKey
) -> dict[str, Any]:
    emergency = candidate.flow.emergency
    assert emergency is not None
    content = {"subject": asked.subject, "agent": asked.agent, "statement": asked.statement, "purpose": asked.purpose}
    return {
        "id": opening.id,
        "subject_id": subject_id,
        "convention_id": candidate.convention.id,
        "convention_version": candidate.convention.version,
        "convention_hash": candidate.convention.hash,
        "flow": candidate.flow.id,
        "kind": asked.kind.value,
        "sender": caller.partner,
        "recipient": asked.recipient,
        "client_id": caller.client_id,
        "reason": asked.reason,
        "sealed": key.seal(orjson.dumps(content), place(opening.id)),
        "opened_at": instant(opening.since),
        "until": instant(opening.until),
        "review_due_at": instant(opening.since + timedelta(days=emergency.review_days)),
    }


def content(row: Any, key: DataKey) -> Document:
    """What was said when an access was opened: the person as the sender wrote them, the professional, the statement."""
    found: Document = orjson.loads(key.open(row.sealed, place(row.id)))
    return found


def place(opening_id: str) -> str:
    """Name the place where it is sealed, for `DataKey.open`."""
    return f"break_glass/{opening_id}"


def _of(candidate: Candidate) -> dict[str, Any]:
    convention = candidate.convention
    return {
        "convention_id": convention.id,
        "version": convention.version,
        "hash": convention.hash,
        "flow": candidate.flow.id,
    }


def _refused(message_fr: str, message_en: str, reason: str | None = None) -> Problem:
    return Problem("break_glass_refused", message_fr, message_en, extra={"reason": reason} if reason else {})


def seen_by(caller: Caller, conventions: Conventions) -> sa.ColumnElement[bool]:
    """Which accesses somebody may see: those of the conventions that it is a party of, as they were signed; an auditor all."""
    if Scopes.LEDGER_READ.value in caller.scopes:
        return sa.true()
    mine = [each.hash for each in conventions if caller.partner in each.parties]
    return break_glass.c.convention_hash.in_(mine)

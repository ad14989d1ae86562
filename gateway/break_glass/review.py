"""
The review of an emergency access by another party, or by an auditor: justified, or not, and then what was sent must be erased.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from consent.gate import Notice
from consent.ledger.event import EventType
from consent.tables import break_glass
from consent.texts import texts
from gateway import ingress, notices, recording
from gateway.auth.caller import Caller
from gateway.break_glass import telling
from gateway.break_glass.opening import content, end, held, seen_by
from gateway.errors import Problem
from gateway.records import record_of
from gateway.services import Services
from gateway.store import idempotency
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, instant
from gateway.store.idempotency import Attempt
from gateway.store.tables import deliveries
from schemas import Document, Kind, validate

OUTCOMES = ("justified", "unjustified")

_TEXT = "urgence-2026-11"
"""The version of what the recipients of an unjustified access are told."""


async def review(
    opening_id: str,
    outcome: str,
    reviewer: Document,
    sender: Document,
    caller: Caller,
    attempt: Attempt,
    services: Services,
) -> dict[str, Any]:
    """
    Record what somebody else than the opening organisation says of an access, once.

    `unjustified` ends it at once, stops what has not left, and tells each recipient to erase what it was given; the answer holds
    these notices. Raises `Problem` not_found, forbidden for the organisation that opened it, conflict when it was reviewed.
    """
    recording.check(ingress.written({"/reviewer/name": reviewer["name"]}))
    async with services.database.write(beyond="every party may review, and whoever received something is told") as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        now = services.clock()
        conventions = await services.conventions.in_force(tx, now)
        row, key = await held(tx, opening_id, seen_by(caller, conventions), services)
        _demand_other(row, caller)
        change = {"reviewed_at": instant(now), "reviewed_by": caller.partner, "outcome": outcome}
        await tx.execute(sa.update(break_glass).where(break_glass.c.id == row.id).values(change))
        if outcome == "unjustified" and row.ended_at is None:
            await end(tx, row, key, "unjustified", caller.partner, services, now)
        told = await _received(tx, row) if outcome == "unjustified" else []
        sent = await notices.notify(
            tx,
            _notice(row, content(row, key)["subject"], told, sender, now),
            Notice.BREAK_GLASS,
            subject_id=row.subject_id,
            key=key,
            told=told,
            caller=caller,
            services=services,
        )
        await _record(tx, row, key, outcome, reviewer, told, caller, services, now)
        if (convention := conventions.of_hash(row.convention_hash)) is not None:
            await telling.tell(tx, row._asdict(), convention, "reviewed", now)
        answer = {"id": row.id, "outcome": outcome, "notices": sent}
        await idempotency.keep_answer(tx, attempt, answer, now, 200)
        services.fault_point("break_glass.reviewed")
    services.wake()
    return answer


def _demand_other(row: Any, caller: Caller) -> None:
    if caller.partner == row.sender:
        raise Problem(
            "forbidden",
            "Un accès d'urgence est revu par une autre organisation que celle qui l'a ouvert.",
            "An emergency access is reviewed by another organisation than the one that opened it.",
        )
    if row.reviewed_at is not None:
        raise Problem("conflict", "Cet accès d'urgence est déjà revu.", "This emergency access is already reviewed.")


async def _record(
    tx: Transaction,
    row: Any,
    key: DataKey,
    outcome: str,
    reviewer: Document,
    told: list[str],
    caller: Caller,
    services: Services,
    now: datetime,
) -> None:
    body = {
        "opening_id": row.id,
        "convention_id": row.convention_id,
        "outcome": outcome,
        "role": reviewer["role"],
        "notified": told,
        "client_id": caller.client_id,
    }
    await services.ledger.append(tx, [record_of(EventType.BREAK_GLASS_REVIEWED, now, caller.partner, body, key)])


async def _received(tx: Transaction, row: Any) -> list[str]:
    """Who was handed something under an access, from what was delivered."""
    query = sa.select(deliveries.c.recipient, deliveries.c.decision).where(
        deliveries.c.subject_id == row.subject_id, deliveries.c.disclosures > 0, deliveries.c.recipient == row.recipient
    )
    rows = (await tx.execute(query)).all()
    return sorted({each.recipient for each in rows if each.decision.get("break_glass") == row.id})


def _notice(row: Any, subject: Document, told: list[str], sender: Document, now: datetime) -> Document:
    """The consent document by which the recipients are told: nothing lets them keep what they have."""
    at, text = now.isoformat(timespec="seconds"), texts()[_TEXT]
    notice = {
        "kind": "consent",
        "schema_version": "1.0",
        "id": row.id,
        "created_at": at,
        "sender": sender,
        "purpose": "follow_up",
        "subject": subject,
        "agreement_type": "consent",
        "state": "expired",
        "collected_by": sender,
        "collected_at": at,
        "channel": "oral_with_professional",
        "evidence": {"level": "declared_by_professional"},
        "text": {"version": text.version, "sha256": text.sha256, "language": text.language},
        "scopes": [
            {
                "id": "urgence",
                "purposes": ["follow_up"],
                "kinds": [row.kind],
                "categories": ["exchange"],
                "recipients": told or [sender["siret"]],
            }
        ],
        "valid_from": at,
        "valid_until": at,
    }
    recording.check(validate(Kind.CONSENT, notice))
    return notice

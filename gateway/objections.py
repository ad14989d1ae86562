"""
The person's opposition, recorded at any partner's desk: it stops every later exchange it covers, whatever was agreed.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from consent.agreement import Objection
from consent.conventions.convention import ConventionState
from consent.conventions.retention import purges
from consent.gate import Notice
from consent.ledger.event import EventType
from consent.texts import texts
from gateway import ingress, notices, recording
from gateway.auth.caller import Caller
from gateway.destruction import destroy
from gateway.records import record_of
from gateway.services import Services
from gateway.store import agreements, idempotency
from gateway.store.database import instant
from gateway.store.idempotency import Attempt
from schemas import Document, Kind, code_list, validate

_TEXT = "opposition-2026-11"
"""The version of what past recipients are told."""


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
    Record an opposition, to one recipient or purpose or to all (None); tell those who received something, and destroy what
    waits for them.

    Durable when it returns. Raises `Problem` (409, 422).
    """
    now = services.clock()
    months = await _remembered_for(recipient, purpose, services, now)
    objection = Objection.remembered(str(uuid.uuid4()), since=now, months=months, recipient=recipient, purpose=purpose)
    notice = _notice(objection, subject, [], sender)
    recording.check(validate(Kind.CONSENT, notice))
    recording.check(ingress.cleaned(Kind.CONSENT, notice)[1])
    async with services.database.write(beyond="whoever received something must be told") as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        subject_id, key = await recording.person(tx, subject, caller, services)
        await agreements.add_objection(tx, objection, subject_id, caller.partner)
        told = await notices.past_recipients(tx, subject_id, None, set())
        told = [siret for siret in told if recipient in (None, siret)]
        sent = await notices.notify(
            tx,
            _notice(objection, subject, told, sender),
            Notice.OBJECTION,
            subject_id=subject_id,
            key=key,
            told=told,
            caller=caller,
            services=services,
        )
        body = {
            "objection_id": objection.id,
            "recipient": recipient,
            "purpose": purpose,
            "until": instant(objection.until),
            "notified": told,
            "client_id": caller.client_id,
        }
        await services.ledger.append(tx, [record_of(EventType.OBJECTION_RECORDED, now, caller.partner, body, key)])
        destroyed = await destroy(tx, subject_id, key, [objection], services, now)
        until = objection.until.isoformat(timespec="seconds")
        answer = {"id": objection.id, "until": until, "notices": sent, "destroyed": destroyed}
        await idempotency.keep_answer(tx, attempt, answer, now, 201)
        services.fault_point("object.recorded")
    services.wake()
    return answer


async def _remembered_for(recipient: str | None, purpose: str | None, services: Services, now: datetime) -> int:
    """
    For how many months: the longest that a convention says of those in force that it stops something of, else the gateway's own.

    The person is told the term: no later version of a convention moves it.
    """
    own = services.settings.durations
    async with services.database.read() as tx:
        conventions = await services.conventions.in_force(tx, now)
    return max(
        (
            purges(convention, own)["objection"]
            for convention in conventions
            if convention.state == ConventionState.VALID
            and any(
                recipient in (None, flow.recipient) and (purpose is None or purpose in flow.purposes)
                for flow in convention.flows
            )
        ),
        default=own.objection,
    )


def _notice(objection: Objection, subject: Document, told: Sequence[str], sender: Document) -> Document:
    """The consent document by which past recipients are told."""
    at = objection.since.isoformat(timespec="seconds")
    text = texts()[_TEXT]
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
        "text": {"version": text.version, "sha256": text.sha256, "language": text.language},
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

"""
Agreement by SMS: a question that waits, sealed, for the person's reply; until then nothing is agreed.

The gateway sends no message and knows no operator: it writes the question, the partner's own system sends it and brings the
reply. The number is kept only as a blind index, to check that the reply comes from the number that was asked.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from consent import sms
from consent.ledger.event import EventType
from consent.tables import sms_requests
from consent.texts import texts
from gateway import recording, withdrawal
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.records import record_of
from gateway.services import Services
from gateway.store import agreements, idempotency, subjects
from gateway.store.crypto import DataKey, Vault
from gateway.store.database import Transaction, insert_ignore, instant, moment
from gateway.store.idempotency import Attempt
from gateway.store.tables import partners
from schemas import Document, Kind, validate
from schemas.phones import read_phone

_SKEW = timedelta(minutes=5)
"""How far a partner's clock may be ahead of ours."""


async def ask(
    tx: Transaction,
    document: Document,
    subject_id: str,
    key: DataKey,
    *,
    caller: Caller,
    services: Services,
    now: datetime,
) -> dict[str, Any]:
    """
    Keep a consent document until its reply, and give what the partner's system needs: the question and the correlation.

    Raises `Problem` conflict when the identifier is in use.
    """
    correlation = secrets.token_urlsafe(24)
    question = sms.question(document, *await _names(tx, document), _address(document, services))
    expires_at = now + timedelta(hours=services.settings.sms_reply_hours)
    row = {
        "correlation": correlation,
        "agreement_id": document["id"],
        "subject_id": subject_id,
        "collected_by": caller.partner,
        "phone": _phone(services.vault, correlation, document["subject"]["phones"][0])[0],
        "sealed": key.seal(orjson.dumps({"document": document, "question": question}), _place(correlation)),
        "requested_at": instant(now),
        "expires_at": instant(expires_at),
        "state": "pending",
    }
    if await agreements.known(tx, document["id"]):
        raise recording.already_there()
    added = await tx.execute(insert_ignore(sms_requests, tx).values(row).returning(sms_requests.c.correlation))
    if added.first() is None:
        raise recording.already_there()
    body = {
        "agreement_id": document["id"],
        "channel": "sms",
        "text": sms.WORDS,
        "scopes": recording.scopes_of(document),
        "client_id": caller.client_id,
    }
    await services.ledger.append(tx, [record_of(EventType.AGREEMENT_REQUESTED, now, caller.partner, body, key)])
    told = {"correlation": correlation, "question": question, "expires_at": expires_at.isoformat(timespec="seconds")}
    return {"id": document["id"], "state": "pending", "sms": told}


async def reply(
    correlation: str,
    phone: str,
    message: str,
    received_at: datetime,
    *,
    caller: Caller,
    attempt: Attempt,
    services: Services,
) -> dict[str, Any]:
    """
    Take the person's reply: the first one decides, any later one is counted for nothing.

    The request is found, by its correlation, its number and its partner, before anything is read in the message. Raises
    `Problem` not_found, or malformed_request for a time that cannot be.
    """
    now = services.clock()
    query = sa.select(sms_requests).where(
        sms_requests.c.correlation == correlation,
        sms_requests.c.collected_by == caller.partner,
        sms_requests.c.phone.in_(_phone(services.vault, correlation, phone)),
    )
    async with services.database.write(beyond=withdrawal.BEYOND) as tx:
        if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
            return dict(earlier)
        row = (await tx.execute(query)).first()
        if row is None:
            raise not_found()
        await subjects.lock(tx, [row.subject_id], change=True)
        row = (
            await tx.execute(query.with_for_update())
        ).one()  # read again: another reply may have come before the lock
        if row.state != "pending" or row.expires_at <= instant(now):
            return {"id": row.agreement_id, "state": _state(row, now), "counted": False}
        if not moment(row.requested_at) - _SKEW <= received_at <= now + _SKEW:
            raise Problem(
                "malformed_request",
                "« received_at » est le moment de la réponse : après la demande, et pas dans l'avenir.",
                "“received_at” is the time of the reply: after the request, and not in the future.",
            )
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        if key is None:
            raise not_found()
        asked = orjson.loads(key.open(row.sealed, _place(correlation)))
        document = sms.answered(asked["document"], asked["question"], message, correlation, received_at)
        recording.check(validate(Kind.CONSENT, document))
        await recording.keep(tx, document, row.subject_id, key, caller, services, now)
        closed = sa.update(sms_requests).where(sms_requests.c.correlation == correlation)
        await tx.execute(closed.values(state=document["state"], sealed=None))
        answer = {"id": document["id"], "state": document["state"], "counted": True}
        if document["state"] == "refused":
            answer["also_stopped"] = await withdrawal.refuse(tx, document, row.subject_id, key, caller, now, services)
        await idempotency.keep_answer(tx, attempt, answer, now, 200)
        services.fault_point("sms.recorded")
    services.wake()
    return answer


async def waiting(tx: Transaction, agreement_id: str, caller: Caller, now: datetime) -> dict[str, Any] | None:
    """Where a question of the caller's stands while it has no reply; None when there is no such question."""
    query = sa.select(sms_requests).where(
        sms_requests.c.agreement_id == agreement_id, sms_requests.c.collected_by == caller.partner
    )
    row = (await tx.execute(query)).first()
    if row is None:
        return None
    state = {"requested_at": row.requested_at, "expires_at": row.expires_at}
    return {"id": row.agreement_id, "state": _state(row, now), **state}


def _state(row: Any, now: datetime) -> str:
    """An answer is what it was; a question without one waits, then expires."""
    if row.state != "pending":
        return str(row.state)
    return "expired" if row.expires_at <= instant(now) else "pending"


def _phone(vault: Vault, correlation: str, number: str) -> tuple[bytes, ...]:
    """The blind indexes of a number for one question, the newest first: two questions to one number cannot be joined."""
    return vault.blinds("phone", f"{correlation}|{read_phone(number) or number}")


async def _names(tx: Transaction, document: Document) -> tuple[str, list[str]]:
    """How the organisation that asks and the recipients are named; an unregistered one by its SIRET."""
    asking = document["collected_by"]
    wanted = list(dict.fromkeys(siret for scope in document["scopes"] for siret in scope["recipients"]))
    named = partners.c.siret.in_([asking["siret"], *wanted])
    known = {row.siret: row.name for row in await tx.execute(sa.select(partners.c.siret, partners.c.name).where(named))}
    asks = asking.get("name") or known.get(asking["siret"], asking["siret"])
    return asks, [known.get(siret, siret) for siret in wanted]


def _address(document: Document, services: Services) -> str:
    """Where the text that the person agrees to can be read."""
    version = document["text"]["version"]
    return f"{services.settings.public_address}/v1/texts/{version}" if version in texts() else document["text"]["url"]


def _place(correlation: str) -> str:
    return f"sms_requests/{correlation}"

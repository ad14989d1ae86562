"""
Erasing a person: the data key is destroyed, and with it everything sealed under it, here and in every copy of the data.

What remains says nothing of anybody: commitments that no one can open, and the counts, dates and organisations of exchanges
that are no longer joined to each other. Proofs still verify. Whoever received something is told, by a notice that is the last
thing to hold their pseudonym and goes with its acknowledgement. The certificate is an event of the ledger.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from consent.ledger import indexer
from consent.ledger.commitment import Disclosure
from consent.ledger.event import EventType
from consent.tables import ledger_events, objections
from gateway import notices
from gateway.auth.caller import Caller
from gateway.errors import Problem, busy, not_found
from gateway.person import finding
from gateway.person.erasure_notice import tell
from gateway.person.traces import destroy, scrub
from gateway.records import place, record_of
from gateway.services import Services
from gateway.store import idempotency
from gateway.store import subjects as subjects_in_store
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction, insert_ignore, instant
from gateway.store.idempotency import Attempt
from gateway.store.tables import deliveries, erasures, subject_keys, subjects
from schemas import Document

_T = TypeVar("_T")

_TRIES: Final = 100
_TOGETHER: Final = 50
_REST: Final = 0.05

AGAIN: Final = "restored_backup"
"""Why somebody is erased a second time (a code of `erasure_reason`)."""

_CARRIED: Final = ("nir", "pivot")
"""What an objection that outlives its person is recognised by; pseudonyms go."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An erasure asked for: of whom, known to which `partner` if by pseudonym, why (a code of `erasure_reason`)."""

    subject: Document
    partner: str
    reason: str
    keep_objections: bool = True


class _Held(Exception):
    """Somebody holds a delivery of the person at this instant: waiting for it with the person held would be a deadlock."""


async def erase(asked: Asked, sender: Document, caller: Caller, attempt: Attempt, services: Services) -> dict[str, Any]:
    """
    Erase a person; durable when it returns. Gives the certificate: its id is that of the event in the ledger.

    An objection in force is kept for its remaining time, under a new and otherwise empty person, unless told otherwise: it is
    kept for that sole use (CRPA R114-9-7). Raises `Problem` unknown_subject, or conflict when the person's deliveries are
    held for long.
    """

    async def once() -> dict[str, Any]:
        async with services.database.write() as tx:
            if (earlier := await idempotency.earlier_answer(tx, attempt)) is not None:
                return dict(earlier)
            certificate = await _erased(tx, asked, sender, caller, services)
            await idempotency.keep_answer(tx, attempt, certificate, services.clock(), 200)
            services.fault_point("erase.recorded")
        return certificate

    certificate = await _when_free(once)
    services.wake()
    await scrub(services.database)
    return certificate


async def erase_all(
    everybody: Sequence[Asked], sender: Document, caller: Caller, services: Services
) -> list[dict[str, Any] | None]:
    """
    Erase many people, some at a time, and tidy up once; gives their certificates in order, None for somebody unknown.

    What was erased before an error stays erased. Raises `Problem` conflict as `erase` does.
    """
    certificates: list[dict[str, Any] | None] = []
    for start in range(0, len(everybody), _TOGETHER):

        async def once(some: Sequence[Asked] = everybody[start : start + _TOGETHER]) -> list[dict[str, Any] | None]:
            async with services.database.write() as tx:
                await indexer.alone(tx, change=True)
                await finding.hold(tx, [(asked.subject, asked.partner) for asked in some], services)
                return [await _erased_if_known(tx, asked, sender, caller, services) for asked in some]

        certificates += await _when_free(once)
        services.wake()
    await scrub(services.database)
    return certificates


async def certificate_of(ident: str, services: Services) -> bytes:
    """
    Give the certificate of an erasure as a `.tlog-proof` that shows its event, once the log has it.

    Raises `Problem` not_found, or conflict when the log does not place it in time.
    """
    own = services.vault.own
    query = sa.select(ledger_events.c.sealed).where(
        ledger_events.c.id == ident, ledger_events.c.type == EventType.ERASURE
    )
    for _ in range(_TRIES):
        async with services.database.read() as tx:
            sealed = (await tx.execute(query)).scalar_one_or_none()
            if sealed is None:
                raise not_found()
            disclosure = Disclosure(own.open(sealed, place(ident)), own.opening(ident))
            found = await services.ledger.receipt(tx, ident, disclosure)
        if found is not None:
            return found
        services.wake()
        await asyncio.sleep(_REST)
    raise busy()


async def _when_free(once: Callable[[], Awaitable[_T]]) -> _T:
    """Try until nobody holds a delivery of the people concerned; a try that fails has had no effect."""
    for _ in range(_TRIES):
        try:
            return await once()
        except _Held:
            await asyncio.sleep(_REST)
    raise busy()


async def _erased_if_known(
    tx: Transaction, asked: Asked, sender: Document, caller: Caller, services: Services
) -> dict[str, Any] | None:
    try:
        return await _erased(tx, asked, sender, caller, services)
    except Problem as problem:
        if problem.code != "unknown_subject":
            raise
        return None


async def _erased(
    tx: Transaction, asked: Asked, sender: Document, caller: Caller, services: Services
) -> dict[str, Any]:
    now, ident = services.clock(), str(uuid.uuid4())
    await indexer.alone(tx, change=True)  # before the person is held, as a search does: neither waits for the other
    key = await finding.find(tx, asked.subject, asked.partner, services, change=True)
    told = await notices.past_recipients(tx, key.subject_id, None, set())
    pseudonyms = {siret: services.vault.pseudonym(key.subject_id, siret) for siret in told}
    counts = await _stop(tx, key.subject_id, key, services, now)
    kept = await _carry(tx, key.subject_id, services, now) if asked.keep_objections else 0
    counts |= await destroy(tx, key.subject_id, now)
    await tx.execute(sa.insert(erasures).values(person=key.subject_id, objections_kept=asked.keep_objections))
    services.fault_point("erase.destroyed")
    sent = [
        await tell(tx, ident, siret, pseudonym, sender, caller=caller, services=services)
        for siret, pseudonym in pseudonyms.items()
    ]
    body = {
        "reason": asked.reason,
        "destroyed": counts,
        "objections_kept": kept,
        "notified": told,
        "client_id": caller.client_id,
    }
    event = record_of(EventType.ERASURE, now, caller.partner, body, services.vault.own, event_id=ident)
    await services.ledger.append(tx, [event])
    return {"id": ident, "erased_at": instant(now), **body, "notices": sent}


async def erase_again(subject_id: str, services: Services, *, keep_objections: bool) -> bool:
    """
    Erase somebody whom a restored backup brought back; False when they are not there. Durable when it returns.

    Nobody is told: everybody was, when they were erased. Raises `Problem` conflict as `erase` does.
    """

    async def once() -> bool:
        async with services.database.write() as tx:
            now, own = services.clock(), services.vault.own
            await indexer.alone(tx, change=True)
            await subjects_in_store.lock(tx, [subject_id], change=True)
            there = sa.select(subjects.c.id).where(subjects.c.id == subject_id, subjects.c.erased_at.is_(None))
            if (await tx.execute(there)).first() is None:
                return False
            key = (await subjects_in_store.data_keys(tx, [subject_id], services.vault)).get(subject_id)
            counts = await _stop(tx, subject_id, key or own, services, now)
            kept = await _carry(tx, subject_id, services, now) if keep_objections else 0
            counts |= await destroy(tx, subject_id, now)
            await tx.execute(insert_ignore(erasures, tx).values(person=subject_id, objections_kept=keep_objections))
            body = {
                "reason": AGAIN,
                "destroyed": counts,
                "objections_kept": kept,
                "notified": [],
                "client_id": "tdu",
            }
            operator = services.settings.operator_siret
            await services.ledger.append(tx, [record_of(EventType.ERASURE, now, operator, body, own)])
            return True

    return await _when_free(once)


async def _stop(tx: Transaction, subject_id: str, key: DataKey, services: Services, now: datetime) -> dict[str, int]:
    """Hold every delivery of the person, and stop those that wait. Raises `_Held`."""
    mine = deliveries.c.subject_id == subject_id
    count = sa.select(sa.func.count()).select_from(deliveries).where(mine)
    columns = (deliveries.c.id, deliveries.c.exchange_id, deliveries.c.recipient, deliveries.c.state)
    query = sa.select(*columns).where(mine).order_by(deliveries.c.id).with_for_update(skip_locked=True)
    rows = (await tx.execute(query)).all()
    if len(rows) != (await tx.execute(count)).scalar_one():
        raise _Held
    stopped = [row for row in rows if row.state in ("queued", "available")]
    change = sa.update(deliveries).where(mine, deliveries.c.state.in_(["queued", "available"]))
    await tx.execute(change.values(state="stopped", updated_at=instant(now)))
    told = (
        {
            "delivery_id": row.id,
            "exchange_id": row.exchange_id,
            "recipient": row.recipient,
            "reasons": ["subject_erased"],
        }
        for row in stopped
    )
    operator = services.settings.operator_siret
    await services.ledger.append(
        tx, [record_of(EventType.DISCLOSURE_STOPPED, now, operator, body, key) for body in told]
    )
    return {"deliveries_stopped": len(stopped)}


async def _carry(tx: Transaction, subject_id: str, services: Services, now: datetime) -> int:
    """Move the objections in force to a new person, of whom nothing else is known; gives how many there were."""
    query = sa.select(objections).where(objections.c.subject_id == subject_id, objections.c.until > instant(now))
    rows = (await tx.execute(query)).all()
    if not rows:
        return 0
    [fresh] = await subjects_in_store.create(tx, [str(uuid.uuid4())], services.vault, now)
    known = subject_keys.c.subject_id == subject_id, subject_keys.c.kind.in_(_CARRIED)
    await tx.execute(sa.update(subject_keys).where(*known).values(subject_id=fresh.subject_id))
    events = []
    for row in rows:
        ident = str(uuid.uuid4())  # the old one is known to whoever recorded it
        moved = sa.update(objections).where(objections.c.id == row.id)
        await tx.execute(moved.values(id=ident, subject_id=fresh.subject_id))
        body = {
            "objection_id": ident,
            "recipient": row.recipient,
            "purpose": row.purpose,
            "until": row.until,
            "notified": [],
            "carried": True,
        }
        events.append(record_of(EventType.OBJECTION_RECORDED, now, services.settings.operator_siret, body, fresh))
    await services.ledger.append(tx, events)
    return len(rows)

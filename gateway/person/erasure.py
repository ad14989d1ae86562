"""
Erasing a person: the data key is destroyed, and with it everything sealed under it, here and in every copy of the data.

What remains says nothing of anybody: commitments that no one can open, and the counts, dates and organisations of exchanges
that are no longer joined to each other. Proofs still verify. Whoever received something is told, by a notice that is the last
thing to hold their pseudonym and goes with its acknowledgement. The certificate is an event of the ledger.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from consent.gate import Notice
from consent.ledger import indexer
from consent.ledger.commitment import Disclosure
from consent.ledger.event import EventType
from consent.ledger.lists import PERSON, bucket_of, key_of, prefix_of
from consent.tables import ledger_events, ledger_list_rows, ledger_lists, objections
from consent.tables import metadata as consent_metadata
from consent.texts import texts
from gateway import notices
from gateway.auth.caller import Caller
from gateway.errors import Problem, busy, not_found
from gateway.person import finding
from gateway.records import place, record_of
from gateway.services import Services
from gateway.store import idempotency
from gateway.store import subjects as subjects_in_store
from gateway.store.crypto import DataKey
from gateway.store.database import Database, Transaction, instant
from gateway.store.idempotency import Attempt
from gateway.store.tables import (
    attachment_chunks,
    attachments,
    deliveries,
    documents,
    exchanges,
    metadata,
    subject_data_keys,
    subject_keys,
    subjects,
)
from schemas import Document, code_list

_T = TypeVar("_T")

ERASED: Final = "erased"
"""Whom everything is about that was about somebody erased: nobody can tell one of them from another."""

_UNJOINED: Final = (exchanges, deliveries, ledger_events)
"""What keeps its rows, for counts and proofs, about nobody."""

_TEXT: Final = "effacement-2026-11"
_LATE: Final = timedelta(minutes=5)
_TRIES: Final = 100
_TOGETHER: Final = 50
_REST: Final = 0.05

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
    counts = await _stop(tx, key, services, now)
    kept = await _carry(tx, key.subject_id, services, now) if asked.keep_objections else 0
    counts |= await _destroy(tx, key.subject_id, now)
    services.fault_point("erase.destroyed")
    sent = [
        await _tell(tx, ident, siret, pseudonym, sender, caller=caller, services=services)
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


async def _stop(tx: Transaction, key: DataKey, services: Services, now: datetime) -> dict[str, int]:
    """Hold every delivery of the person, and stop those that wait. Raises `_Held`."""
    mine = deliveries.c.subject_id == key.subject_id
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


def about_somebody() -> list[sa.Table]:
    """Every table whose rows are about a person and go with them; of the others, only what names the person goes."""
    tables = [*consent_metadata.sorted_tables, *metadata.sorted_tables]
    return [table for table in reversed(tables) if "subject_id" in table.c and table not in _UNJOINED]


async def _destroy(tx: Transaction, subject_id: str, now: datetime) -> dict[str, int]:
    """Delete the key, what it sealed, what the person was found by, and what joined their rows; gives how many of each."""
    await _overwrite(tx, on=True)
    files = sa.select(attachments.c.id).where(attachments.c.subject_id == subject_id)
    await tx.execute(sa.delete(attachment_chunks).where(attachment_chunks.c.attachment_id.in_(files)))
    counts = {}
    for table in about_somebody():
        gone = await tx.execute(sa.delete(table).where(table.c.subject_id == subject_id))
        counts[table.name] = int(gone.rowcount)
    counts["events"] = await unjoin(tx, subject_id)
    await tx.execute(sa.update(subjects).where(subjects.c.id == subject_id).values(erased_at=instant(now)))
    return counts


async def _overwrite(tx: Transaction, *, on: bool) -> None:
    """On SQLite, have deleted bytes overwritten in the file; it costs writes, so only here."""
    if tx.dialect.name == "sqlite":
        await tx.exec_driver_sql(f"PRAGMA secure_delete={'ON' if on else 'OFF'}")


async def unjoin(tx: Transaction, subject_id: str) -> int:
    """
    Have nothing name a person any more: their events lose content and label, their list its rows; gives how many events.

    The list itself keeps its hashes: the index would not verify otherwise. Nobody can tell whose it was.
    """
    events = ledger_events.c
    labels = sa.select(events.label).where(events.subject_id == subject_id, events.label.is_not(None)).distinct()
    keys = [key_of(prefix_of(PERSON, label.hex()), 0) for label in (await tx.execute(labels)).scalars()]
    for key in keys:
        ident = sa.select(ledger_lists.c.id).where(ledger_lists.c.bucket == bucket_of(key), ledger_lists.c.key == key)
        await tx.execute(sa.delete(ledger_list_rows).where(ledger_list_rows.c.list_id.in_(ident)))
    done = await tx.execute(
        sa.update(ledger_events)
        .where(events.subject_id == subject_id)
        .values(subject_id=ERASED, label=None, sealed=b"")
    )
    for table in (exchanges, deliveries):
        await tx.execute(sa.update(table).where(table.c.subject_id == subject_id).values(subject_id=ERASED))
    return int(done.rowcount)


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


async def _tell(
    tx: Transaction,
    ident: str,
    recipient: str,
    pseudonym: str,
    sender: Document,
    *,
    caller: Caller,
    services: Services,
) -> dict[str, str]:
    """Queue the notice of one recipient: about a new person with no key, sealed under the gateway's own."""
    now, nobody = services.clock(), str(uuid.uuid4())
    await tx.execute(sa.insert(subjects).values(id=nobody, created_at=instant(now)))
    [sent] = await notices.notify(
        tx,
        _notice(ident, recipient, pseudonym, sender, now),
        Notice.ERASURE,
        subject_id=nobody,
        key=services.vault.own,
        told=[recipient],
        caller=caller,
        services=services,
    )
    return sent


def _notice(ident: str, recipient: str, pseudonym: str, sender: Document, now: datetime) -> Document:
    at, text = now.isoformat(timespec="seconds"), texts()[_TEXT]
    return {
        "kind": "consent",
        "schema_version": "1.0",
        "id": ident,
        "created_at": at,
        "sender": sender,
        "recipients": [{"siret": recipient}],
        "purpose": "follow_up",
        "subject": {"pseudonym": pseudonym},
        "agreement_type": "consent",
        "state": "refused",
        "collected_by": sender,
        "collected_at": at,
        "channel": "oral_with_professional",
        "evidence": {"level": "declared_by_professional"},
        "text": {"version": text.version, "sha256": text.sha256, "language": text.language},
        "scopes": [
            {
                "id": "effacement",
                "purposes": sorted(code_list("purpose")),
                "kinds": ["referral", "bilan", "status"],
                "categories": ["exchange"],
                "recipients": [recipient],
            }
        ],
        "valid_from": at,
        "duration": "one_year",
    }


async def scrub(database: Database) -> None:
    """
    Have the database let go of the bytes of deleted keys: what an update or a deletion leaves behind until somebody tidies up.

    On SQLite the write-ahead log is emptied, on PostgreSQL the table of keys is vacuumed. Its own write-ahead log and its
    archives keep them for their time: see the runbook of backups.
    """
    if database.dialect == "sqlite":
        async with database.engine.connect() as connection:
            await connection.exec_driver_sql("ROLLBACK")
            await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            await connection.exec_driver_sql("BEGIN")
        return
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.exec_driver_sql("VACUUM subject_data_keys")


async def sweep(services: Services, now: datetime, limit: int) -> int:
    """
    Unjoin once more what a transaction that had read the key before the erasure wrote after it, and forget the person's row.

    Such a transaction lasts seconds; the keeper comes minutes later.
    """
    before = instant(now - _LATE)
    query = sa.select(subjects.c.id).where(subjects.c.erased_at < before).limit(limit)
    async with services.database.read() as tx:
        waiting: Sequence[str] = (await tx.execute(query)).scalars().all()
    for subject_id in waiting:
        async with services.database.write() as tx:
            await indexer.alone(tx, change=True)
            await unjoin(tx, subject_id)
            await tx.execute(sa.delete(subjects).where(subjects.c.id == subject_id))
    return len(waiting)


async def forget_notice(tx: Transaction, row: Any) -> None:
    """Delete the notice of an erasure once it is closed: it was the last thing that held the person's pseudonym."""
    of = sa.select(exchanges.c.document_id).where(exchanges.c.id == row.exchange_id).scalar_subquery()
    await tx.execute(sa.delete(documents).where(documents.c.id == of))
    for table in (exchanges, deliveries):
        await tx.execute(sa.update(table).where(table.c.subject_id == row.subject_id).values(subject_id=ERASED))
    await tx.execute(sa.delete(subjects).where(subjects.c.id == row.subject_id))


async def forget_strangers(services: Services, subject_ids: Iterable[str], now: datetime) -> int:
    """
    Erase, of some people, those of whom nothing is left but what they are recognised by: an objection that came to its term.

    Nobody is told: nothing about them was ever handed over. Gives how many there were.
    """
    done = 0
    for subject_id in sorted(set(subject_ids)):
        async with services.database.write() as tx:
            await indexer.alone(tx, change=True)
            await subjects_in_store.lock(tx, [subject_id], change=True)
            if not await _stranger(tx, subject_id):
                continue
            counts = await _destroy(tx, subject_id, now)
            body = {"class": "stranger", "destroyed": counts}
            own, operator = services.vault.own, services.settings.operator_siret
            await services.ledger.append(tx, [record_of(EventType.RETENTION_PURGED, now, operator, body, own)])
            done += 1
    return done


async def _stranger(tx: Transaction, subject_id: str) -> bool:
    """Whether a person is in the register and nothing else is about them."""
    known = sa.select(subjects.c.id).where(subjects.c.id == subject_id, subjects.c.erased_at.is_(None))
    if (await tx.execute(known)).first() is None:
        return False
    recognised = (subject_keys, subject_data_keys)
    for table in [*(each for each in about_somebody() if each not in recognised), exchanges, deliveries]:
        if (await tx.execute(sa.select(table.c.subject_id).where(table.c.subject_id == subject_id).limit(1))).first():
            return False
    return True

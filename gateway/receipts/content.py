"""
What a receipt says, gathered once for the page and for the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from consent import iso27560
from consent.ledger.commitment import Disclosure
from consent.ledger.event import EventType
from consent.tables import ledger_events, objections
from consent.texts import texts
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.history import opened
from gateway.records import place, record_of
from gateway.services import Services
from gateway.store import agreements, subjects
from gateway.store.crypto import DataKey
from gateway.store.database import Transaction
from gateway.store.tables import partners
from gateway.withdrawal import concerned
from schemas import Document


@dataclass(frozen=True, slots=True)
class Content:
    """
    A consent document completed with what follows from it, the names of its organisations, and its place in the log.

    `index` is None during the second that the sequencer takes; `proof` is the address that the QR code holds: the
    agreement's identifier and nothing else.
    """

    document: Document
    names: dict[str, str]
    index: int | None
    origin: str
    proof: str
    issued: datetime

    def record(self, address: str) -> Document:
        """The receipt for machines: ISO/IEC TS 27560 in DPV terms, the evidence, and where the proof is."""
        filled, missing = iso27560.fields(self.document)
        publisher = self.document["collected_by"]
        published = iso27560.receipt(self.document, address=address, publisher=publisher, created=self.issued)
        return published | {
            "iso_27560": filled,
            "iso_27560_missing": missing,
            "evidence": self.document["evidence"],
            "ledger": {"origin": self.origin, "index": self.index, "proof": self.proof},
        }


async def content(agreement_id: str, caller: Caller, services: Services) -> Content:
    """
    Gather the receipt of an agreement for the organisation that collected it; its reading is an event.

    Raises `Problem` not_found.
    """
    now = services.clock()
    async with services.database.write() as tx:
        row = await agreements.get(tx, agreement_id, caller.partner)
        if row is None:
            raise not_found()
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        if key is None:
            raise not_found()
        document = agreements.opened(row, key)
        names = await _names(tx, document)
        placed = sa.select(ledger_events.c.index).where(ledger_events.c.id == row.event_id)
        index = (await tx.execute(placed)).scalar_one_or_none()
        body = {"agreement_id": row.id, "client_id": caller.client_id, "content": "receipt"}
        await services.ledger.append(tx, [record_of(EventType.CONTENT_READ, now, caller.partner, body, key)])
    services.wake()
    text, address = document["text"], services.settings.public_address
    if text["version"] in texts():
        text = text | {"url": f"{address}/v1/texts/{text['version']}"}
    subject = document["subject"] | {"pseudonym": services.vault.pseudonym(row.subject_id, caller.partner)}
    return Content(
        document=iso27560.completed(document | {"subject": subject, "text": text}, names, now),
        names=names,
        index=index,
        origin=services.settings.origin,
        proof=f"{address}/v1/consents/{agreement_id}/proof",
        issued=now,
    )


async def proof(agreement_id: str, caller: Caller, services: Services, *, withdrawal: bool = False) -> bytes:
    """
    Give the proof file of an agreement, or of its last withdrawal, to any organisation it concerns (C2SP tlog-proof): the
    collecting one makes it available to the others.

    A withdrawal shows its event to who recorded it alone: it names everybody who was told. Raises `Problem` not_found, or
    conflict while the event is not yet in a checkpoint (a second at most).
    """
    async with services.database.read(beyond="an agreement is proven to every organisation that it names") as tx:
        row = await agreements.get(tx, agreement_id, caller.partner, named=True)
        if row is None or row.event_id is None or caller.partner not in concerned(row):
            raise not_found()
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        if withdrawal:
            kind, named = EventType.AGREEMENT_WITHDRAWN, ("agreement_id", row.id)
            event = await _event_of(tx, row.subject_id, key, kind, named)
            return await _proof(tx, event, key if event.actor == caller.partner else None, services)
        event = (await tx.execute(sa.select(ledger_events).where(ledger_events.c.id == row.event_id))).one()
        return await _proof(tx, event, key, services)


async def objection_proof(objection_id: str, caller: Caller, services: Services) -> bytes:
    """Give the proof file of an objection to the organisation that recorded it; raises `Problem` as `proof` does."""
    async with services.database.read() as tx:
        mine = sa.select(objections).where(objections.c.id == objection_id, objections.c.recorded_by == caller.partner)
        row = (await tx.execute(mine)).one_or_none()
        if row is None:
            raise not_found()
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        named = "objection_id", row.id
        event = await _event_of(tx, row.subject_id, key, EventType.OBJECTION_RECORDED, named)
        return await _proof(tx, event, key, services)


async def _event_of(
    tx: Transaction, subject_id: str, key: DataKey | None, kind: EventType, named: tuple[str, str]
) -> Any:
    """The last event of a kind about a person that names something; raises `Problem` not_found."""
    about = ledger_events.c.subject_id == subject_id, ledger_events.c.type == kind.value
    rows = await tx.execute(sa.select(ledger_events).where(*about).order_by(ledger_events.c.seq.desc()))
    member, value = named
    for row in rows.all():
        if key is not None and row.sealed and opened(row, key).body.get(member) == value:
            return row
    raise not_found()


async def _proof(tx: Transaction, event: Any, key: DataKey | None, services: Services) -> bytes:
    disclosure = None if key is None else Disclosure(key.open(event.sealed, place(event.id)), key.opening(event.id))
    found = await services.ledger.receipt(tx, event.id, disclosure)
    if found is None:
        raise Problem(
            "conflict",
            "La preuve n'est pas encore publiée : réessayez dans une seconde.",
            "The proof is not published yet: try again in a second.",
            headers={"Retry-After": "1"},
        )
    return found


async def _names(tx: Transaction, document: Document) -> dict[str, str]:
    wanted: set[Any] = {siret for scope in document["scopes"] for siret in scope["recipients"]}
    wanted |= {document["collected_by"]["siret"]}
    rows = await tx.execute(sa.select(partners.c.siret, partners.c.name).where(partners.c.siret.in_(sorted(wanted))))
    return {row.siret: row.name for row in rows}

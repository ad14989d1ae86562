"""
Reading a referral through FHIR: the same people may, the same fields leave, and each reading is an event of the ledger.
"""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa

from consent.gate import Request, decide
from consent.ledger.event import EventType
from consent.projection import project
from gateway.auth.caller import Caller
from gateway.errors import not_found
from gateway.fhir import resources
from gateway.records import record_of
from gateway.services import Services
from gateway.store import subjects
from gateway.store.agreements import standing
from gateway.store.database import Transaction
from gateway.store.tables import deliveries, documents, exchanges
from schemas import Document, Kind


async def service_request(caller: Caller, services: Services, referral_id: str) -> dict[str, Any]:
    """
    Give a referral as a ServiceRequest: whole to its sender, cut down again by the gate to a recipient it was disclosed to.

    Raises `Problem` not_found for everybody else, and when what allowed the disclosure has ended.
    """
    async with services.database.write(gate=True) as tx:
        document = await _readable(tx, await _referral(tx, caller, referral_id), caller, services)
        if document is None:
            raise not_found()
    services.wake()
    return resources.service_request(document, services.settings.public_address)


async def task(caller: Caller, services: Services, delivery_id: str) -> dict[str, Any]:
    """
    Give one delivery of a referral as a Task, to its sender or its recipient; raises `Problem` not_found.

    The recipient's last status is in it: whole to the recipient, and to the sender as the gate cuts it, once disclosed.
    """
    query = (
        sa.select(deliveries, exchanges.c.document_id)
        .join(exchanges, exchanges.c.id == deliveries.c.exchange_id)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.kind == "referral",
            deliveries.c.state != "refused",
            sa.or_(
                deliveries.c.sender == caller.partner,
                sa.and_(deliveries.c.recipient == caller.partner, deliveries.c.disclosures > 0),
            ),
        )
    )
    async with services.database.write(gate=True) as tx:
        row = (await tx.execute(query)).first()
        if row is None:
            raise not_found()
        last = await _last_status(tx, row, caller)
        status = None if last is None else await _readable(tx, last, caller, services)
    services.wake()
    return resources.task(
        delivery_id=row.id,
        referral_id=row.document_id,
        state=row.state,
        parties=(row.sender, row.recipient),
        times=(row.created_at, row.updated_at),
        status=status,
        address=services.settings.public_address,
    )


async def _readable(tx: Transaction, row: Any, caller: Caller, services: Services) -> Document | None:
    """
    Open a document, whole for its sender and cut down for another, and enter this reading in the ledger.

    None when the person was erased or the gate, asked again, refuses.
    """
    now = services.clock()
    await subjects.lock(tx, [row.subject_id], change=False)
    key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
    if key is None:
        return None
    document: Document = orjson.loads(key.open(row.sealed, f"documents/{row.id}"))
    body: dict[str, Any] = {"document_id": row.id, "client_id": caller.client_id, "through": "fhir"}
    if row.sender != caller.partner:
        await services.quorum.require()
        conventions = await services.conventions.in_force(tx, now)
        person = (await standing(tx, {row.subject_id}))[row.subject_id]
        request = Request(Kind(row.kind), row.purpose, row.sender, caller.partner, person.seen_at(now))
        decision = decide(request, conventions, person.agreements, person.objections, person.openings)
        if not decision.permit:
            return None
        projection = project(document, decision, services.vault.pseudonym(row.subject_id, caller.partner))
        document = projection.document
        body |= {"left": list(projection.left), "withheld": list(projection.withheld)}
    await services.ledger.append(tx, [record_of(EventType.CONTENT_READ, now, caller.partner, body, key)])
    return document


async def _referral(tx: Transaction, caller: Caller, referral_id: str) -> Any:
    received = (
        sa.select(deliveries.c.id)
        .join(exchanges, exchanges.c.id == deliveries.c.exchange_id)
        .where(
            exchanges.c.document_id == documents.c.id,
            deliveries.c.recipient == caller.partner,
            deliveries.c.disclosures > 0,
        )
        .exists()
    )
    query = (
        sa.select(documents, exchanges.c.purpose)
        .join(exchanges, exchanges.c.document_id == documents.c.id)
        .where(
            documents.c.id == referral_id,
            documents.c.kind == "referral",
            sa.or_(documents.c.sender == caller.partner, received),
        )
        .limit(1)
    )
    row = (await tx.execute(query)).first()
    if row is None:
        raise not_found()
    return row


async def _last_status(tx: Transaction, delivery: Any, caller: Caller) -> Any | None:
    """The newest status the recipient gave, once it was disclosed to the caller (or given by it)."""
    disclosed = (
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.exchange_id == exchanges.c.id,
            deliveries.c.recipient == caller.partner,
            deliveries.c.disclosures > 0,
        )
        .exists()
    )
    query = (
        sa.select(documents, exchanges.c.purpose)
        .join(exchanges, exchanges.c.document_id == documents.c.id)
        .where(
            exchanges.c.about == delivery.document_id,
            exchanges.c.kind == "status",
            exchanges.c.sender == delivery.recipient,
            sa.or_(exchanges.c.sender == caller.partner, disclosed),
        )
        .order_by(exchanges.c.received_at.desc())
        .limit(1)
    )
    return (await tx.execute(query)).first()

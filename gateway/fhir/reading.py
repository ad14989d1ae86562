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
from gateway.auth.resource import Caller
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
    now = services.clock()
    async with services.database.write() as tx:
        row = await _referral(tx, caller, referral_id)
        await subjects.lock(tx, [row.subject_id], change=False)
        key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
        if key is None:
            raise not_found()
        document: Document = orjson.loads(key.open(row.sealed, f"documents/{row.id}"))
        body: dict[str, Any] = {"document_id": row.id, "client_id": caller.client_id, "through": "fhir"}
        if row.sender != caller.partner:
            conventions = await services.conventions.in_force(tx, now)
            person = (await standing(tx, {row.subject_id}))[row.subject_id]
            request = Request(Kind.REFERRAL, row.purpose, row.sender, caller.partner, now)
            decision = decide(request, conventions, person.agreements, person.objections)
            if not decision.permit:
                raise not_found()
            projection = project(document, decision, services.vault.pseudonym(row.subject_id, caller.partner))
            document = projection.document
            body |= {"left": list(projection.left), "withheld": list(projection.withheld)}
        await services.ledger.append(tx, [record_of(EventType.CONTENT_READ, now, caller.partner, body, key)])
    services.wake()
    return resources.service_request(document, services.settings.public_address)


async def task(caller: Caller, services: Services, delivery_id: str) -> dict[str, Any]:
    """Give one delivery of a referral as a Task, to its sender or its recipient; raises `Problem` not_found."""
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
    async with services.database.read() as tx:
        row = (await tx.execute(query)).first()
        if row is None:
            raise not_found()
        status = await _last_status(tx, row, caller, services)
    return resources.task(
        delivery_id=row.id,
        referral_id=row.document_id,
        state=row.state,
        sender=row.sender,
        recipient=row.recipient,
        times=(row.created_at, row.updated_at),
        status=status,
    )


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


async def _last_status(tx: Transaction, delivery: Any, caller: Caller, services: Services) -> str | None:
    """The newest status the recipient gave, once it was disclosed to the caller (or given by it)."""
    query = (
        sa.select(documents)
        .join(exchanges, exchanges.c.document_id == documents.c.id)
        .join(deliveries, deliveries.c.exchange_id == exchanges.c.id)
        .where(
            exchanges.c.about == delivery.document_id,
            exchanges.c.kind == "status",
            exchanges.c.sender == delivery.recipient,
            sa.or_(exchanges.c.sender == caller.partner, deliveries.c.disclosures > 0),
        )
        .order_by(exchanges.c.received_at.desc())
        .limit(1)
    )
    row = (await tx.execute(query)).first()
    if row is None:
        return None
    key = (await subjects.data_keys(tx, [row.subject_id], services.vault)).get(row.subject_id)
    return None if key is None else str(orjson.loads(key.open(row.sealed, f"documents/{row.id}"))["status"])

"""
Attachments handed over on demand to who was handed their document: the gate is asked again, and the file is then a disclosure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.projection import project
from gateway import handover
from gateway.attachments import READY, pieces, shown
from gateway.auth.caller import Caller
from gateway.errors import Problem, not_found
from gateway.records import record_of, rules, told
from gateway.services import Services
from gateway.store.database import Transaction
from gateway.store.tables import attachments, deliveries
from gateway.taken import ROWS, Taken, opened


async def of_delivery(
    delivery_id: str, caller: Caller, services: Services, channel: str = "mailbox"
) -> list[dict[str, Any]]:
    """The attachments that a recipient may have with a delivery that was handed over to it, those not there yet too."""
    async with services.database.write(gate=True) as tx:
        item, projected = await _permitted(tx, deliveries.c.id == delivery_id, caller, services, channel)
        blind = {services.vault.blind("attachment", each["sha256"]): each for each in projected}
        found = sa.select(attachments).where(attachments.c.exchange_id == item.exchange_id)
        rows = {bytes(row.digest): row for row in await tx.execute(found) if row.digest is not None}
    return [shown(rows.get(digest), each) for digest, each in blind.items()]


async def hand_over(
    ident: str, caller: Caller, services: Services, channel: str = "mailbox"
) -> tuple[Mapping[str, Any], AsyncIterator[bytes]]:
    """
    Give one attachment to a recipient of its document: what it is, and its bytes.

    The gate is asked again, and the disclosure is durable before anything is given. Raises `Problem` not_found, or conflict
    while it is not ready.
    """
    async with services.database.write(gate=True) as tx:
        received = sa.exists().where(
            deliveries.c.exchange_id == attachments.c.exchange_id, deliveries.c.recipient == caller.partner
        )
        # Another's is not found by the same query as a missing one: the time of the answer tells no more than its body.
        row = (await tx.execute(sa.select(attachments).where(attachments.c.id == ident, received))).first()
        if row is None:
            raise not_found()
        item, projected = await _permitted(tx, deliveries.c.exchange_id == row.exchange_id, caller, services, channel)
        blind = {services.vault.blind("attachment", each["sha256"]): each for each in projected}
        said = blind.get(bytes(row.digest)) if row.digest is not None else None
        if said is None or item.key is None or item.decision is None:
            raise not_found()
        if row.state not in READY:
            raise Problem(
                "conflict",
                "Cette pièce n'est pas disponible : elle est en cours d'examen, ou a été écartée par l'antivirus.",
                "This attachment is not available: it is being examined, or the antivirus set it aside.",
                headers={"Retry-After": "60"},
            )
        body = {
            "delivery_id": item.delivery_id,
            "exchange_id": item.exchange_id,
            "recipient": item.recipient,
            "client_id": caller.client_id,
            "attachment_id": ident,
            "rules": rules(),
            "decision": told(item.decision, item.decided_at),
        }
        event = record_of(EventType.DISCLOSURE_MADE, services.clock(), item.recipient, body, item.key)
        await services.ledger.append(tx, [event])
    services.wake()
    return said, pieces(row, item.key, services)


async def _permitted(
    tx: Transaction, wanted: sa.ColumnElement[bool], caller: Caller, services: Services, channel: str
) -> tuple[Taken, Sequence[Mapping[str, Any]]]:
    """A delivery that was handed over to the caller, decided again, with the attachments its projection lets out."""
    mine = sa.and_(wanted, deliveries.c.recipient == caller.partner, deliveries.c.disclosures > 0)
    query = ROWS.where(mine, deliveries.c.state.in_(["leased", "acknowledged"])).order_by(deliveries.c.id).limit(1)
    taken = await opened(tx, (await tx.execute(query)).all(), services)
    if not taken or taken[0].document is None:
        raise not_found()
    await handover.decide_again(tx, taken, services, channel)
    [item] = taken
    if item.decision is None or not item.decision.permit or item.document is None:
        raise not_found()
    projection = project(item.document, item.decision, "p")
    return item, [each for each in projection.document.get("attachments", ()) if "sha256" in each]

"""
The quarantine: a refused file is kept aside, sealed and for a short time, so that its sender can be helped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from consent.ledger.event import EventType
from consent.ledger.store import Ledger
from gateway.auth.caller import Caller
from gateway.records import record_of
from gateway.services import Services
from gateway.store.crypto import Vault
from gateway.store.database import Transaction, insert_ignore, instant
from gateway.store.tables import quarantine


@dataclass(frozen=True, slots=True)
class Aside:
    """A file in quarantine, without its content: who sent it, by which adapter and why it was refused, and until when it is kept."""

    id: str
    sender: str
    client_id: str
    adapter: str
    code: str
    received_at: str
    expires_at: str


async def set_aside(raw: bytes, adapter: str, code: str, caller: Caller, services: Services) -> str:
    """
    Keep a refused file under the gateway's own key, with its event in the ledger; returns the quarantine's id.

    A file that its sender's software sends again and again is kept once: the same bytes have the same id.
    """
    now = services.clock()
    digest = hashlib.sha256(raw).hexdigest()
    ident = services.vault.document_id(caller.client_id, f"quarantine/{adapter}/{digest}")
    row = {
        "id": ident,
        "client_id": caller.client_id,
        "sender": caller.partner,
        "adapter": adapter,
        "code": code,
        "sealed": services.vault.own.seal(raw, _place(ident)),
        "received_at": instant(now),
        "expires_at": instant(now + timedelta(days=services.settings.quarantine_days)),
    }
    body = {"quarantine_id": ident, "adapter": adapter, "code": code, "client_id": caller.client_id, "bytes": len(raw)}
    event = record_of(EventType.FILE_QUARANTINED, now, caller.partner, body, services.vault.own)
    async with services.database.write() as tx:
        kept = await tx.execute(insert_ignore(quarantine, tx).values(row).returning(quarantine.c.id))
        if kept.first() is not None:
            await services.ledger.append(tx, [event])
    services.wake()
    return ident


async def listed(tx: Transaction) -> Sequence[Aside]:
    """Every file in quarantine, newest first; nothing of their content."""
    columns = [quarantine.c[name] for name in Aside.__dataclass_fields__]
    rows = await tx.execute(sa.select(*columns).order_by(quarantine.c.received_at.desc(), quarantine.c.id))
    return [Aside(*row) for row in rows]


async def opened(tx: Transaction, ident: str, vault: Vault, operator: str, now: datetime) -> bytes | None:
    """
    Give the bytes of a file in quarantine to the operator (its SIRET), None when there is none of that id.

    The reading is an event of the ledger, in the caller's transaction: commit before the bytes are shown.
    """
    sealed = (await tx.execute(sa.select(quarantine.c.sealed).where(quarantine.c.id == ident))).scalar()
    if sealed is None:
        return None
    body = {"quarantine_id": ident, "how": "command"}
    await Ledger().append(tx, [record_of(EventType.CONTENT_READ, now, operator, body, vault.own)])
    return vault.own.open(sealed, _place(ident))


def _place(ident: str) -> str:
    return f"quarantine/{ident}"

"""
The quarantine: a refused file is kept aside, sealed and for a short time, so that its sender can be helped.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa

from consent.ledger.event import EventType
from gateway.auth.resource import Caller
from gateway.records import record_of
from gateway.services import Services
from gateway.store.database import instant
from gateway.store.tables import quarantine


async def set_aside(raw: bytes, adapter: str, code: str, caller: Caller, services: Services) -> str:
    """Keep a refused file under the gateway's own key, with its event in the ledger; returns the quarantine's id."""
    now = services.clock()
    ident = str(uuid.uuid4())
    row = {
        "id": ident,
        "client_id": caller.client_id,
        "sender": caller.partner,
        "adapter": adapter,
        "code": code,
        "sealed": services.vault.own.seal(raw, f"quarantine/{ident}"),
        "received_at": instant(now),
        "expires_at": instant(now + timedelta(days=services.settings.quarantine_days)),
    }
    body = {"quarantine_id": ident, "adapter": adapter, "code": code, "client_id": caller.client_id, "bytes": len(raw)}
    event = record_of(EventType.FILE_QUARANTINED, now, caller.partner, body, services.vault.own)
    async with services.database.write() as tx:
        await tx.execute(sa.insert(quarantine), [row])
        await services.ledger.append(tx, [event])
    services.wake()
    return ident
